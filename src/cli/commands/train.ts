import { Command, Option } from 'commander';
import type { Engine } from '../../compute/engines/engine.ts';
import { precisions } from '../../compute/graph/plan.ts';
import type { Collective } from '../../distributed/collective.ts';
import { XlstmError } from '../../errors.ts';
import { openRun } from '../../training/resume.ts';
import type { Run } from '../../training/run.ts';
import { type RunResult, type StepEvent, trainRun } from '../../training/train_run.ts';
import { tokenizerChoice } from '../chosen_tokenizer.ts';
import { collectGarbage } from '../collect_garbage.ts';
import { addEngineOptions, withEngine } from '../engine_options.ts';
import { interruptible } from '../interrupt.ts';
import { type IsGiven, newRun, type TrainOptions } from '../new_run.ts';
import { integer, loraOptions, number, path, positive } from '../parse.ts';
import { withRanks } from '../ranks.ts';
import { StepEvents } from '../step_events.ts';
import { requireNoModelOptions, requireNoRunOptions, requireOptionsOf } from '../train_conflicts.ts';
import { announce, firstWords, measureTokens, report } from '../train_report.ts';
import { History } from '../ui/curve.ts';
import { ProgressWriter } from '../ui/progress.ts';

/** Without options: a small model on Moby-Dick, two minutes on two cores. */
export function trainCommand(): Command {
  const command = new Command('train')
    .description('train a language model on text; without options a small one on Moby-Dick')
    .option(
      '--data <path...>',
      'texts: files, folders, "patterns*", - for standard input; .jsonl, .parquet, .gz, .zst; or token files. Their last tenth is held out',
    )
    .option('--corpus <name>', 'a built-in text: moby-dick or sotu', 'moby-dick')
    .option('--documents', 'each file or chapter is a document: the state is erased where one starts')
    .option(
      '--validation <path...>',
      'held-out texts, or token files, of your own; all of the others is trained on',
    )
    .option(
      '--validation-share <f>',
      'share of the text, its end, that is held out (default: 0.1); 0: none, and nothing is measured',
      number(0, 0.9),
    )
    .option(
      '--tokenizer <choice>',
      'bytes; bpe:N, N tokens trained on the text to train on; or a tokenizer.json, or a model with one',
      tokenizerChoice,
      'bytes',
    )
    .option('--field <name>', 'field of .jsonl, column of .parquet, that has the text (default: text)')
    .option(
      '--weights <w...>',
      'for each path of --data its share of what is trained on, with --order shuffled: 3 1',
      (text: string, before: number[] | undefined) => [...(before ?? []), positive()(text)],
    )
    .option('--out <folder>', 'folder of the run (default: a new one under runs/)', path)
    .option(
      '--init <model>',
      'begin with the weights and the tokenizer of a model: a run, its best/, a folder, a file of weights, an address',
      path,
    )
    .option(
      '--lora <settings>',
      'with --init: train low-rank adapters, the model stays as it is; rank=8,alpha=16 or rank=8,alpha=16,targets=q,v',
      loraOptions,
    )
    .option(
      '--resume <folder>',
      'go on with a run exactly where its last checkpoint stands; with a larger --steps beyond its end',
      path,
    )
    .option('--accept-new-data', 'with --resume: go on although the texts are others than before')
    .option(
      '--config <file>',
      "a model's config.json, of any architecture: decides all of the next eight",
      path,
    )
    .option('--architecture <name>', 'xlstm, or xlstm-large: that of the 7B model, mLSTM alone', 'xlstm')
    .option('--model <notation>', 'kinds of blocks, m mLSTM to s sLSTM: xLSTM[m:s]', 'xLSTM[1:1]')
    .option('--slstm-at <list>', 'blocks that are sLSTM, counted from 0: 1,3 or all or none')
    .option('--blocks <n>', 'blocks', integer(1), 4)
    .option('--dim <n>', 'width of the embedding', integer(1), 128)
    .option('--heads <n>', 'heads of every block', integer(1), 4)
    .option('--dropout <rate>', 'dropout', number(0, 0.99), 0)
    .option('--tie-weights', 'the output layer uses the embedding')
    .option('--batch <n>', 'sequences of a batch', integer(1), 16)
    .option('--length <n>', "tokens of a sequence; with --init by default the model's", integer(1), 128)
    .option('--micro-batches <n>', 'batches whose gradients make one step', integer(1), 1)
    .option('--steps <n>', 'training steps, counted from the beginning of the run', integer(1), 1200)
    .option('--learning-rate <rate>', 'learning rate after the warm-up', positive(), 4e-3)
    .option('--warmup-steps <n>', 'steps of linear warm-up', integer(0), 100)
    .option(
      '--final-fraction <f>',
      'learning rate at the end of the cosine, as a fraction',
      number(0, 1),
      0.02,
    )
    .option('--beta1 <b>', 'AdamW: decay of the first moment', number(0, 0.9999), 0.9)
    .option('--beta2 <b>', 'AdamW: decay of the second moment', number(0, 0.9999), 0.95)
    .option('--weight-decay <w>', 'AdamW: weight decay', number(0), 0.1)
    .option('--clip-norm <n>', 'bound on the norm of the gradient, 0 for none', number(0), 1)
    .addOption(
      new Option(
        '--precision <type>',
        'bf16: operands of the products of dense layers and of the mLSTM are rounded to bfloat16, for processors that have avx512_bf16 and graphics processors; all else stays float32',
      )
        .choices(precisions)
        .default('f32'),
    )
    .option(
      '--order <order>',
      'contiguous (batches continue each other), documents (the same, documents in random order) or shuffled (windows)',
      'contiguous',
    )
    .option('--seed <n>', 'seed of initial values, order and dropout', integer(0), 1)
    .option('--evaluate-every <n>', 'steps between measurements on the held-out text', integer(1), 400)
    .option(
      '--evaluation-tokens <n>',
      'held-out tokens to measure at most, in windows evenly over the text (default: all); 0: measure nothing',
      integer(0),
    )
    .option('--checkpoint-every <n>', 'steps between checkpoints', integer(1), 400)
    .option(
      '--tensorboard',
      'write event files for TensorBoard, too, into the folder tensorboard/ of the run',
    )
    .option('--sample <n>', 'tokens to write at the end, 0 for none', integer(0), 300)
    .option('--prompt <text>', 'what the sample continues (default: words of the held-out text)')
    .option('--json', 'print the result as one JSON object on standard output')
    .addOption(
      new Option(
        '--wait <how>',
        'of ranks that mpirun started: those that wait for others spin, or sleep and leave the core (default: sleep where ranks outnumber cores)',
      ).choices(['spin', 'sleep']),
    )
    .addOption(
      new Option(
        '--wire <type>',
        'of ranks that mpirun started: how gradients are sent; bf16 is half as much, and no longer the bits of one process',
      )
        .choices(['f32', 'bf16'])
        .default('f32'),
    )
    .addHelpText(
      'after',
      `
The folder of the run holds the last checkpoint (checkpoint/), the model that had the least loss on the held-out text
(best/) and metrics.jsonl. Other commands take the run, which is its last checkpoint, or runs/NAME/best.

With --resume and more --steps the learning rate rises (or falls) within --warmup-steps steps from where it stands to the
cosine of a run that had been planned so long; with the same --steps a run goes on to the same bits as without a break.

Examples:
  xlstm train
  xlstm train --data book.txt --out runs/book --blocks 6 --dim 192 --model xLSTM[1:0]
  xlstm train --data book.txt --tokenizer bpe:8000
  xlstm train --data book.txt --validation other.txt --evaluation-tokens 100000
  xlstm train --data library.tokens --order shuffled   # larger than memory: see xlstm tokenize
  xlstm train --data letters/ --documents --order documents
  xlstm train --data book.txt --architecture xlstm-large --blocks 4 --dim 128
  xlstm train --init runs/moby-dick/best --data letters.txt --learning-rate 1e-3
  xlstm train --init book-q4 --lora rank=8,alpha=16 --data letters.txt
  xlstm train --data book.txt --config gru.json   # {"architecture": "gru", "vocab_size": 256, "embedding_dim": 128}
  mpirun -n 4 xlstm train --data book.txt     # four processes share each batch: docs/clusters.md
  xlstm train --resume runs/book
  xlstm train --resume runs/book --steps 3000
  xlstm train --resume runs/book --data moved/book.txt`,
    );
  return addEngineOptions(command).action((options: TrainOptions) => {
    const isGiven: IsGiven = (name) => command.getOptionValueSource(name) === 'cli';
    return withRanks(options.wait, async (ranks) => {
      const { collective } = ranks;
      if (options.config !== undefined) requireNoModelOptions(command);
      requireOptionsOf(options.architecture, command);
      if (options.resume !== undefined) requireNoRunOptions(command);
      else if (options.acceptNewData) {
        throw new XlstmError('usage', '--accept-new-data: goes with --resume, found without it');
      }
      if (options.sample > 0 && options.prompt === '') {
        throw new XlstmError('data', '--prompt: expected some text, found none', 'For no sample: --sample 0');
      }
      const quiet = collective.rank > 0;
      const threads = options.threads ?? ranks.threads;
      const train = async (engine: Engine): Promise<void> => {
        const run =
          options.resume !== undefined
            ? await resumedRun(
                engine,
                options.resume,
                options,
                isGiven('steps') ? options.steps : undefined,
                collective,
              )
            : await newRun(engine, options, isGiven, collective);
        let result: RunResult;
        let tokensPerByte: number;
        let prompt: string;
        try {
          if (!quiet) announce(run);
          tokensPerByte = measureTokens(run);
          prompt = options.prompt ?? firstWords(run);
          collectGarbage();
          result = quiet
            ? await interruptible((signal) => trainRun(run, { signal }))
            : await trainWithProgress(run, tokensPerByte, options.tensorboard ?? false);
        } finally {
          await run.close();
        }
        if (!quiet) await report(run, result, tokensPerByte, { ...options, prompt });
      };
      if (!quiet && collective.size > 1) {
        const rounded =
          options.wire === 'bf16' ? '; gradients are rounded to bf16: not the bits of one process' : '';
        process.stderr.write(`ranks   ${ranks.description}${rounded}\n`);
      }
      await withEngine({ engine: options.engine, threads }, train, quiet);
    });
  });
}

async function resumedRun(
  engine: Engine,
  folder: string,
  { data, validation, acceptNewData, wire }: TrainOptions,
  steps: number | undefined,
  collective: Collective,
): Promise<Run> {
  const { run, note } = await openRun(engine, folder, {
    data,
    validation,
    acceptNewData,
    steps,
    collective,
    wire,
  });
  if (note && collective.rank === 0) process.stderr.write(`note    ${note}\n`);
  return run;
}

/** Ctrl-C stops after the step in progress, with a checkpoint. */
async function trainWithProgress(run: Run, tokensPerByte: number, tensorboard: boolean): Promise<RunResult> {
  const { steps, batchSize, microBatches, length } = run.options;
  const bitsPerNat = tokensPerByte / Math.LN2;
  const progress = new ProgressWriter();
  const losses = new History();
  let tokensPerSecond = 0;
  let validationLoss: number | undefined;
  const onWarning = (message: string): void => progress.print(`warning: ${message}`);
  const events = tensorboard ? new StepEvents(run, onWarning) : undefined;
  const onStep = (event: StepEvent): void => {
    events?.add(event);
    losses.push(event.loss);
    // A moving average: single steps vary too much to read.
    tokensPerSecond =
      tokensPerSecond === 0 ? event.tokensPerSecond : 0.95 * tokensPerSecond + 0.05 * event.tokensPerSecond;
    validationLoss = event.validationLoss ?? validationLoss;
    const tokensLeft = (steps - event.step) * batchSize * microBatches * length;
    progress.update({
      step: event.step,
      totalSteps: steps,
      loss: event.loss,
      bitsPerByte: event.loss * bitsPerNat,
      ...(validationLoss === undefined ? {} : { validationLoss }),
      learningRate: event.learningRate,
      tokensPerSecond,
      elapsedSeconds: event.elapsedSeconds,
      secondsLeft: tokensLeft / tokensPerSecond,
      losses: losses.values,
    });
  };
  try {
    return await interruptible((signal) => trainRun(run, { signal, onStep, onWarning }));
  } finally {
    events?.close();
    progress.finish();
  }
}
