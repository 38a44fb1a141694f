import { Command, Option } from 'commander';
import { convertCheckpoint } from '../../checkpoints/convert.ts';
import { type PackedFormat, packedFormats } from '../../compute/program/constants.ts';
import { formatBytes } from '../../format.ts';
import { path } from '../parse.ts';
import { writingProgress } from '../writing_progress.ts';

interface QuantizeOptions {
  readonly dtype: PackedFormat;
  readonly out?: string;
}

export function quantizeCommand(): Command {
  return new Command('quantize')
    .description('a model with small weights: less memory, faster generation')
    .argument('<model>', 'a checkpoint, or the folder of a run')
    .addOption(
      new Option('--dtype <format>', 'q8: 9 bits a weight; q4: 5; bf16: 16')
        .choices(packedFormats)
        .makeOptionMandatory(),
    )
    .option('--out <folder>', 'folder of the new model (default: <model>-<format>)', path)
    .addHelpText(
      'after',
      `
Matrices are packed; embeddings, gates, norms and states stay float32. With q4 the output layer has q8. Measure what it costs
with xlstm eval on both.

Examples:
  xlstm quantize runs/book --dtype q8
  xlstm quantize runs/book --dtype q4 --out book-small`,
    )
    .action(
      async (model: string, { dtype, out = `${model.replace(/[/\\]+$/, '')}-${dtype}` }: QuantizeOptions) => {
        const progress = writingProgress(out);
        const { parameters, bytes } = await progress.during(
          convertCheckpoint(model, out, { to: 'xlstm', packing: dtype, onProgress: progress.bytes }),
        );
        process.stderr.write(
          `${out}: ${formatBytes(bytes)} of weights, ${((8 * bytes) / parameters).toFixed(1)} bits each; they were ${formatBytes(4 * parameters)}\n`,
        );
      },
    );
}
