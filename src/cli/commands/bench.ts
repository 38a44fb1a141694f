import { Argument, Command, Option } from 'commander';
import type { Engine } from '../../compute/engines/engine.ts';
import { type Precision, precisions } from '../../compute/graph/plan.ts';
import { packedFormats } from '../../compute/program/constants.ts';
import { benchGemm } from '../../lab/bench/gemm.ts';
import { benchDecode, benchPrefill } from '../../lab/bench/generate.ts';
import { benchLength } from '../../lab/bench/length.ts';
import { benchPeers } from '../../lab/bench/peers.ts';
import { benchProfile, type ProfiledProgram, profiledPrograms } from '../../lab/bench/profile.ts';
import { benchArchitectures, type Matrices, type ModelShape } from '../../lab/bench/subject.ts';
import { benchTrain } from '../../lab/bench/train.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { type Output, standardOutput } from '../output.ts';
import { blockList, integer, integerList } from '../parse.ts';
import { printFigures, printLengths, printPeers, printProfile } from '../ui/bench_tables.ts';

interface BenchOptions extends EngineChoice {
  readonly repeats: number;
  readonly json?: boolean;
}

/** The options of a command that measures a model. */
interface ModelOptions extends BenchOptions, ModelShape {}

/** Measures speed; every figure is the median of repeated runs in one process, after a warm-up. */
export function benchCommand(): Command {
  return new Command('bench')
    .description('measure training, decoding, matrix products; where the time goes; what others reach')
    .addCommand(trainCommand())
    .addCommand(decodeCommand())
    .addCommand(prefillCommand())
    .addCommand(gemmCommand())
    .addCommand(lengthCommand())
    .addCommand(profileCommand())
    .addCommand(peersCommand());
}

const benchmark = (name: string, description: string, repeats: number): Command =>
  addEngineOptions(
    new Command(name)
      .description(description)
      .option(
        '--repeats <n>',
        'measurements, of which the median, least and greatest are shown',
        integer(1),
        repeats,
      )
      .option('--json', 'print one JSON object on standard output'),
  );

const addModelOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--architecture <name>', 'the family of models')
        .choices(benchArchitectures)
        .default('xlstm'),
    )
    .option('--blocks <n>', 'blocks', integer(1), 4)
    .option('--dim <n>', 'width of the embedding', integer(1), 128)
    .option('--heads <n>', 'heads of every block', integer(1), 4)
    .option('--slstm-at <list>', 'blocks that are sLSTM, counted from 0: 1,3 or all or none', blockList, [])
    .option('--vocab <n>', 'size of the vocabulary', integer(2), 256);

const modelShape = ({ architecture, blocks, dim, heads, slstmAt, vocab }: ModelOptions): ModelShape => ({
  architecture,
  blocks,
  dim,
  heads,
  slstmAt,
  vocab,
});

const addPrecision = (command: Command, of: string): Command =>
  command.addOption(new Option('--precision <type>', of).choices(precisions).default('f32'));

/** Of a model that is used, not trained. */
const addMatrices = (command: Command): Command =>
  addPrecision(command, 'of the products of dense layers').addOption(
    new Option('--dtype <format>', 'small weights, as of xlstm quantize')
      .choices(packedFormats)
      .conflicts('precision'),
  );

const addBatchOptions = (command: Command): Command =>
  command
    .option('--batch <n>', 'sequences of a batch', integer(1), 16)
    .option('--length <n>', 'tokens of a sequence', integer(1), 256);

/** Runs a benchmark on the chosen engine and prints its report as JSON or as a person reads it. */
async function report<T>(
  options: BenchOptions,
  measure: (engine: Engine) => Promise<T>,
  print: (output: Output, report: T) => void,
): Promise<void> {
  const output = standardOutput();
  const result = await withEngine(options, measure);
  if (options.json) output.json(result);
  else print(output, result);
}

function trainCommand(): Command {
  type Options = ModelOptions & { batch: number; length: number; steps: number; precision: Precision };
  const command = benchmark('train', 'training steps: forward, backward, clipping and AdamW', 5);
  return addPrecision(addBatchOptions(addModelOptions(command)), 'of the products of dense layers')
    .option('--steps <n>', 'training steps of one measurement', integer(1), 5)
    .action((options: Options) => {
      const { batch, length, steps, repeats, precision } = options;
      return report(
        options,
        (engine) => benchTrain(engine, modelShape(options), { batch, length, steps, repeats, precision }),
        printFigures,
      );
    });
}

function decodeCommand(): Command {
  type Options = ModelOptions & Matrices & { context: number; tokens: number };
  const command = benchmark('decode', 'one token after the other, batch 1', 5);
  return addMatrices(addModelOptions(command))
    .option('--context <n>', 'tokens read before', integer(0), 0)
    .option('--tokens <n>', 'tokens of one measurement', integer(1), 200)
    .action((options: Options) => {
      const { context, tokens, repeats, precision, dtype } = options;
      return report(
        options,
        (engine) => benchDecode(engine, modelShape(options), { context, tokens, repeats, precision, dtype }),
        printFigures,
      );
    });
}

function prefillCommand(): Command {
  type Options = ModelOptions & Matrices & { length: number };
  return addMatrices(addModelOptions(benchmark('prefill', 'reading a context, batch 1', 5)))
    .option('--length <n>', 'tokens of the context', integer(1), 4096)
    .action((options: Options) => {
      const { length, repeats, precision, dtype } = options;
      return report(
        options,
        (engine) => benchPrefill(engine, modelShape(options), { length, repeats, precision, dtype }),
        printFigures,
      );
    });
}

function gemmCommand(): Command {
  type Options = BenchOptions & { m: number; n: number; k: number; precision: Precision };
  const command = benchmark('gemm', 'the matrix product of [m, k] and [k, n]', 9);
  return addPrecision(command, 'what the operands are rounded to')
    .option('--m <n>', 'rows of the result', integer(1), 512)
    .option('--n <n>', 'columns of the result', integer(1), 512)
    .option('--k <n>', 'inner dimension', integer(1), 512)
    .action((options: Options) => {
      const { m, n, k, repeats, precision } = options;
      return report(options, (engine) => benchGemm(engine, { m, n, k, repeats, precision }), printFigures);
    });
}

function lengthCommand(): Command {
  type Options = ModelOptions & { lengths: number[]; tokensPerStep?: number; steps: number; tokens: number };
  return addModelOptions(benchmark('length', 'cost and memory against the length of the sequences', 5))
    .option(
      '--lengths <list>',
      'lengths of training sequences and of contexts',
      integerList(1),
      [256, 1024, 4096, 16384],
    )
    .option('--tokens-per-step <n>', 'tokens of a training step (default: the greatest length)', integer(1))
    .option('--steps <n>', 'training steps of one measurement', integer(1), 1)
    .option('--tokens <n>', 'tokens decoded in one measurement', integer(1), 500)
    .action((options: Options) => {
      const { lengths, steps, tokens, repeats } = options;
      const tokensPerStep = options.tokensPerStep ?? Math.max(...lengths);
      return report(
        options,
        (engine) =>
          benchLength(engine, modelShape(options), { lengths, tokensPerStep, steps, tokens, repeats }),
        printLengths,
      );
    });
}

function profileCommand(): Command {
  type Options = ModelOptions & Matrices & { batch: number; length: number };
  const command = benchmark('profile', 'time by kernel of one Program, against what bounds it', 5);
  return addMatrices(addBatchOptions(addModelOptions(command)))
    .addArgument(new Argument('<program>', 'what to look into').choices(profiledPrograms))
    .action((program: ProfiledProgram, options: Options) => {
      const { batch, length, repeats, precision, dtype } = options;
      const what = { program, batch, length, repeats, precision, dtype };
      return report(options, (engine) => benchProfile(engine, modelShape(options), what), printProfile);
    });
}

function peersCommand(): Command {
  type Options = ModelOptions & {
    batch: number;
    length: number;
    steps: number;
    tokens: number;
    python: string;
  };
  const command = benchmark('peers', 'what people use today beside this, where it is installed', 3);
  return addBatchOptions(addModelOptions(command))
    .option('--steps <n>', 'training steps of one measurement', integer(1), 3)
    .option('--tokens <n>', 'tokens decoded in one measurement', integer(1), 200)
    .option('--python <path>', 'the Python that peers are installed in', 'python3')
    .action((options: Options) => {
      const { batch, length, steps, tokens, python, repeats } = options;
      return report(
        options,
        (engine) =>
          benchPeers(engine, modelShape(options), { batch, length, steps, tokens, python, repeats }),
        printPeers,
      );
    });
}
