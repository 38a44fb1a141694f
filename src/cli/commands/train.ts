import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { loadCheckpoint } from '../../checkpoints/checkpoint.ts';
import { type Corpus, holdOutTenth, mobyDick, readTexts, sotu } from '../../data/text.ts';
import { ByteTokenizer, DOCUMENT, encodeDocuments, type Tokenizer } from '../../data/tokenizer.ts';
import type { Engine } from '../../engine/engine.ts';
import { XlstmError } from '../../errors.ts';
import { formatCount, formatDuration } from '../../format.ts';
import { Session } from '../../generation/session.ts';
import { Model } from '../../nn/model.ts';
import {
  type RunOptions,
  type RunResult,
  readProgress,
  requireNewFolder,
  runTraining,
  type StepEvent,
  type TrainingRun,
} from '../../training/run.ts';
import {
  blocksFromNotation,
  isSlstmBlock,
  type LanguageModelConfig,
  languageModelConfig,
  parseConfig,
} from '../../xlstm/config.ts';
import { XlstmLanguageModel } from '../../xlstm/language_model.ts';
import { collectGarbage } from '../collect_garbage.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { interruptible } from '../interrupt.ts';
import { blockList, integer, number, positive } from '../parse.ts';
import { History } from '../ui/curve.ts';
import { ProgressWriter } from '../ui/progress.ts';

interface TrainOptions extends EngineChoice {
  readonly data?: string[];
  readonly corpus: string;
  readonly documents?: boolean;
  readonly out?: string;
  readonly resume?: string;
  readonly config?: string;
  readonly model: string;
  readonly slstmAt?: string;
  readonly blocks: number;
  readonly dim: number;
  readonly heads: number;
  readonly dropout: number;
  readonly tieWeights?: boolean;
  readonly batch: number;
  readonly length: number;
  readonly microBatches: number;
  readonly steps: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly finalFraction: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
  readonly order: string;
  readonly seed: number;
  readonly evaluateEvery: number;
  readonly checkpointEvery: number;
  readonly sample: number;
  readonly prompt: string;
  readonly json?: boolean;
}

/** The run without what belongs to one terminal. */
type Run = Omit<TrainingRun, 'signal' | 'onStep'>;

/** Without options: a small model on Moby-Dick, two minutes on two cores. */
export function trainCommand(): Command {
  const command = new Command('train')
    .description('train a language model on text; without options a small one on Moby-Dick')
    .option(
      '--data <path...>',
      'text files or folders, or - for standard input; their last tenth is held out',
    )
    .option('--corpus <name>', 'a built-in text: moby-dick or sotu', 'moby-dick')
    .option('--documents', 'each file or chapter is a document: the state is erased where one starts')
    .option('--out <folder>', 'folder of the run (default: a new one under runs/)')
    .option('--resume <folder>', 'go on with a run exactly where its last checkpoint stands')
    .option('--config <file>', "a model's config.json in place of the model options below")
    .option('--model <notation>', 'kinds of blocks, m mLSTM to s sLSTM: xLSTM[m:s]', 'xLSTM[1:1]')
    .option('--slstm-at <list>', 'blocks that are sLSTM, counted from 0: 1,3 or all or none')
    .option('--blocks <n>', 'blocks', integer(1), 4)
    .option('--dim <n>', 'width of the embedding', integer(1), 128)
    .option('--heads <n>', 'heads of every block', integer(1), 4)
    .option('--dropout <rate>', 'dropout', number(0, 0.99), 0)
    .option('--tie-weights', 'the output layer uses the embedding')
    .option('--batch <n>', 'sequences of a batch', integer(1), 16)
    .option('--length <n>', 'tokens of a sequence', integer(1), 128)
    .option('--micro-batches <n>', 'batches whose gradients make one step', integer(1), 1)
    .option('--steps <n>', 'training steps', integer(1), 1200)
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
    .option('--order <order>', 'contiguous (batches continue each other) or shuffled', 'contiguous')
    .option('--seed <n>', 'seed of initial values, order and dropout', integer(0), 1)
    .option('--evaluate-every <n>', 'steps between measurements on the held-out text', integer(1), 400)
    .option('--checkpoint-every <n>', 'steps between checkpoints', integer(1), 400)
    .option('--sample <n>', 'characters to write at the end, 0 for none', integer(0), 300)
    .option('--prompt <text>', 'what the sample continues', 'The whale')
    .option('--json', 'print the result as one JSON object on standard output')
    .addHelpText(
      'after',
      `
Examples:
  xlstm train
  xlstm train --data book.txt --out runs/book --blocks 6 --dim 192 --model xLSTM[1:0]
  xlstm train --resume runs/book`,
    );
  return addEngineOptions(command).action((options: TrainOptions) => {
    if (options.resume) requireNoRunOptions(command);
    if (options.sample > 0 && options.prompt === '') {
      throw new XlstmError('data', '--prompt: expected some text, found none', 'For no sample: --sample 0');
    }
    return withEngine(options, async (engine) => {
      const run = options.resume ? await resumedRun(engine, options.resume) : await newRun(engine, options);
      announce(run);
      collectGarbage();
      const result = await trainWithProgress(run);
      await report(run, result, options);
    });
  });
}

/** What a run computes is decided when it starts: a resumed one takes only what leaves that as it is. */
function requireNoRunOptions(command: Command): void {
  const free = new Set(['resume', 'engine', 'threads', 'sample', 'prompt', 'json']);
  const given = command.options.filter(
    (option) =>
      !free.has(option.attributeName()) && command.getOptionValueSource(option.attributeName()) === 'cli',
  );
  if (given.length === 0) return;
  throw new XlstmError(
    'usage',
    `${given.map(({ long }) => long).join(', ')}: a run that is resumed keeps the options it was started with`,
    'Leave them out, or start a new run without --resume.',
  );
}

async function newRun(engine: Engine, options: TrainOptions): Promise<Run> {
  const { order, steps, batch: batchSize, out, data, corpus: name } = options;
  if (order !== 'contiguous' && order !== 'shuffled') {
    throw new XlstmError('usage', `--order: expected contiguous or shuffled, found "${order}"`);
  }
  const folder = out ?? freeFolder(data ? 'text' : name);
  await requireNewFolder(folder);
  const tokenizer = new ByteTokenizer(options.documents ? [DOCUMENT] : []);
  const config = await modelConfig(options, tokenizer.vocabSize);
  const { length, microBatches, learningRate, finalFraction, beta1, beta2, weightDecay, clipNorm, seed } =
    options;
  const { evaluateEvery, checkpointEvery } = options;
  const runOptions: RunOptions = {
    steps,
    batchSize,
    length,
    microBatches,
    learningRate,
    finalFraction,
    beta1,
    beta2,
    weightDecay,
    clipNorm,
    seed,
    order,
    evaluateEvery,
    checkpointEvery,
    epsilon: 1e-8,
    warmupSteps: Math.min(options.warmupSteps, steps),
  };
  const source = { data: data ?? null, corpus: name };
  const texts = encodeCorpus(tokenizer, await readCorpus(data, name));
  const model = Model.create(engine, (scope) => new XlstmLanguageModel(scope, config), seed);
  return { model, tokenizer, options: runOptions, folder, source, ...texts };
}

async function resumedRun(engine: Engine, folder: string): Promise<Run> {
  const { model, tokenizer, training } = await loadCheckpoint(engine, folder);
  if (!training) {
    throw new XlstmError(
      'checkpoint',
      `${folder}: the checkpoint holds a model, but no training state to go on from`,
    );
  }
  const { options, source, step } = readProgress(training, folder);
  if (step >= options.steps) {
    throw new XlstmError(
      'checkpoint',
      `${folder}: the run is complete (${step} of ${options.steps} steps)`,
      'Start a new run with xlstm train.',
    );
  }
  const { data, corpus } = source as { data: string[] | null; corpus: string };
  const texts = encodeCorpus(tokenizer, await readCorpus(data ?? undefined, corpus));
  return { model, tokenizer, options, folder, source, resume: training, ...texts };
}

async function readCorpus(paths: readonly string[] | undefined, name: string): Promise<Corpus> {
  if (paths) return holdOutTenth(paths.join(', '), await readTexts(paths));
  if (name === 'moby-dick') return mobyDick();
  if (name === 'sotu') return sotu();
  throw new XlstmError(
    'usage',
    `--corpus: expected moby-dick or sotu, found "${name}"`,
    'For texts of your own use --data.',
  );
}

function encodeCorpus(tokenizer: Tokenizer, corpus: Corpus): Pick<TrainingRun, 'train' | 'validation'> {
  const encode = (part: Corpus['train']): Int32Array =>
    encodeDocuments(
      tokenizer,
      part.map(({ text }) => text),
    );
  return { train: encode(corpus.train), validation: encode(corpus.validation) };
}

async function modelConfig(options: TrainOptions, vocabSize: number): Promise<LanguageModelConfig> {
  if (options.config) return readConfig(options.config, vocabSize);
  const { blocks, dim, heads, dropout, length, tieWeights } = options;
  return languageModelConfig({
    vocabSize,
    numBlocks: blocks,
    embeddingDim: dim,
    numHeads: heads,
    slstmAt:
      options.slstmAt === undefined ? blocksFromNotation(options.model, blocks) : blockList(options.slstmAt),
    dropout,
    contextLength: length,
    tieWeights: tieWeights ?? false,
  });
}

async function readConfig(path: string, vocabSize: number): Promise<LanguageModelConfig> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new XlstmError('config', `${path}: cannot be read as JSON (${(error as Error).message})`);
  }
  const config = parseConfig(json, path);
  if (config.vocabSize >= vocabSize) return config;
  throw new XlstmError(
    'config',
    `${path}: vocab_size: the tokenizer needs at least ${vocabSize}, found ${config.vocabSize}`,
  );
}

function freeFolder(name: string): string {
  for (let i = 1; ; i++) {
    const folder = i === 1 ? `runs/${name}` : `runs/${name}-${i}`;
    if (!existsSync(folder)) return folder;
  }
}

function announce({ model, options, train, validation, folder }: Run): void {
  const { config } = model.network;
  const slstm = Array.from({ length: config.numBlocks }, (_, i) => i).filter((i) =>
    isSlstmBlock(config, i),
  ).length;
  const { steps, batchSize, microBatches, length } = options;
  const lines = [
    `model   ${formatCount(model.parameters.count)} parameters: ${config.numBlocks - slstm} mLSTM and ${slstm} sLSTM blocks, width ${config.embeddingDim}`,
    `text    ${formatCount(train.length)} tokens to train on, ${formatCount(validation.length)} held out`,
    `run     ${steps} steps of ${batchSize * microBatches} × ${length} tokens, into ${folder}/`,
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
}

/** Held-out tokens for each byte of text they stand for: turns nats per token into nats per byte. */
function tokensPerByte({ tokenizer, validation }: Run): number {
  const specials = new Set(tokenizer.specials.values());
  const text = tokenizer.decode(validation.filter((token) => !specials.has(token)));
  return validation.length / new TextEncoder().encode(text).length;
}

/** Ctrl-C stops after the step in progress, with a checkpoint. */
async function trainWithProgress(run: Run): Promise<RunResult> {
  const { steps, batchSize, microBatches, length } = run.options;
  const bitsPerNat = tokensPerByte(run) / Math.LN2;
  const progress = new ProgressWriter();
  const losses = new History();
  let tokensPerSecond = 0;
  let validationLoss: number | undefined;
  const onStep = (event: StepEvent): void => {
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
    return await interruptible((signal) => runTraining({ ...run, signal, onStep }));
  } finally {
    progress.finish();
  }
}

async function report(run: Run, result: RunResult, options: TrainOptions): Promise<void> {
  const { model, folder } = run;
  if (result.validationLoss === undefined || result.interrupted) {
    process.stderr.write(`stopped after step ${result.steps}; go on with: xlstm train --resume ${folder}\n`);
    return;
  }
  const validationLoss = result.validationLoss * tokensPerByte(run);
  const bitsPerByte = validationLoss / Math.LN2;
  const sample = options.sample > 0 ? await writeSample(run, options) : null;
  const { steps, trainingSeconds } = result;
  if (options.json) {
    const facts = {
      folder,
      steps,
      trainingSeconds,
      validationLoss,
      bitsPerByte,
      parameters: model.parameters.count,
      engine: model.engine.description,
      sample,
    };
    process.stdout.write(`${JSON.stringify(facts)}\n`);
    return;
  }
  process.stdout.write(`${steps} steps in ${formatDuration(trainingSeconds)}; the model is in ${folder}/\n`);
  process.stdout.write(
    `validation loss ${validationLoss.toFixed(4)} nats per byte (${bitsPerByte.toFixed(3)} bits per byte)\n`,
  );
  if (sample)
    process.stdout.write(`\n${sample}\n\nmore: npx xlstm generate ${folder} --prompt "${options.prompt}"\n`);
}

async function writeSample(
  { model, tokenizer, options: { seed } }: Run,
  { prompt, sample }: TrainOptions,
): Promise<string> {
  const session = new Session(model, tokenizer);
  await session.append(prompt);
  let text = prompt;
  for await (const piece of session.generate({ maxTokens: sample, temperature: 0.8, topP: 0.95, seed }))
    text += piece;
  return text;
}
