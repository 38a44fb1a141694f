import { Command, Option } from 'commander';
import { configText } from '../../checkpoints/config_text.ts';
import type { FileContent } from '../../checkpoints/files.ts';
import { checkNew, writeFolder } from '../../checkpoints/new_folder.ts';
import { safetensorsPieces } from '../../checkpoints/weight_stream.ts';
import { type PackedFormat, packedFormats } from '../../compute/program/constants.ts';
import { ByteTokenizer } from '../../data/tokenizer.ts';
import { describeTokenizer } from '../../data/tokenizer_registry.ts';
import { formatCount } from '../../format.ts';
import { LARGE_PRESETS } from '../../models/large/presets.ts';
import { formatDesign, readDesign } from '../../models/registry.ts';
import { Design } from '../../nn/architecture.ts';
import { Parameters, Scope } from '../../nn/parameters.ts';
import { integer, path } from '../parse.ts';
import { writingProgress } from '../writing_progress.ts';

interface InitOptions {
  readonly preset: string;
  readonly dtype?: PackedFormat;
  readonly out?: string;
  readonly seed: number;
}

export function initCommand(): Command {
  return new Command('init')
    .description('write a model with random weights, tensor by tensor')
    .addOption(
      new Option('--preset <name>', 'what it is').choices(Object.keys(LARGE_PRESETS)).makeOptionMandatory(),
    )
    .addOption(
      new Option('--dtype <format>', 'small weights, as of xlstm quantize (default: float32)').choices(
        packedFormats,
      ),
    )
    .option('--out <folder>', 'a new folder (default: models/<preset>, with the format behind it)', path)
    .option('--seed <n>', 'seed of the weights', integer(0), 1)
    .addHelpText(
      'after',
      `
One tensor is in memory at a time, the file may be larger than memory. xlstm-tiny reads bytes; the others have the sizes
and the vocabulary of published models, and no tokenizer.

Examples:
  xlstm init --preset xlstm-tiny && xlstm generate models/xlstm-tiny
  xlstm init --preset xlstm-7b --dtype q4      (5.1 GB)`,
    )
    .action(async ({ preset, dtype, seed, out = defaultFolder(preset, dtype) }: InitOptions) => {
      checkNew(out, 'Name another folder with --out.');
      const { architecture, config } = readDesign(
        { architecture: 'xlstm-large', ...LARGE_PRESETS[preset] },
        preset,
      );
      const design = new Design(architecture, config, dtype);
      const parameters = new Parameters(dtype);
      design.build(new Scope(parameters));
      const progress = writingProgress(out);
      const files = new Map<string, FileContent>([
        ['config.json', configText(formatDesign(design), architecture.decimals)],
        [
          'model.safetensors',
          safetensorsPieces(parameters.list, initialValues(parameters, seed), preset, progress.bytes),
        ],
      ]);
      const bytes = new ByteTokenizer();
      if (LARGE_PRESETS[preset].vocabSize === bytes.vocabSize) {
        files.set('tokenizer.json', text(describeTokenizer(bytes)));
      }
      await progress.during(writeFolder(out, files));
      process.stderr.write(
        `${out}: ${design.describe().summary}, ${formatCount(parameters.count)} parameters\n`,
      );
    });
}

const defaultFolder = (preset: string, dtype: PackedFormat | undefined): string =>
  `models/${preset}${dtype === undefined ? '' : `-${dtype}`}`;

const text = (json: unknown): string => `${JSON.stringify(json, null, 2)}\n`;

/** One tensor at a time is made. */
function* initialValues(parameters: Parameters, seed: number): Generator<{ values: ArrayLike<number> }> {
  for (const [, values] of parameters.initial(seed, parameters.list)) yield { values };
}
