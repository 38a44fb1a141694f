import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { loadCheckpoint, saveCheckpoint } from '../../checkpoints/checkpoint_folder.ts';
import { type PackedFormat, packedFormats } from '../../compute/program/constants.ts';
import { XlstmError } from '../../errors.ts';
import { formatBytes } from '../../format.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { path } from '../parse.ts';

interface QuantizeOptions extends EngineChoice {
  readonly dtype: PackedFormat;
  readonly out?: string;
}

export function quantizeCommand(): Command {
  const command = new Command('quantize')
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
    );
  return addEngineOptions(command).action((model: string, options: QuantizeOptions) => {
    const { dtype, out = `${model.replace(/[/\\]+$/, '')}-${dtype}` } = options;
    if (existsSync(out)) {
      throw new XlstmError('data', `${out}: is there already`, 'Name another folder with --out.');
    }
    return withEngine(options, async (engine) => {
      const loaded = await loadCheckpoint(engine, model, dtype);
      const { count, packed, regions } = loaded.model.parameters;
      if (packed.bytes === 0) {
        throw new XlstmError(
          'data',
          `${model}: expected matrices of 32 × 32 numbers or more, found none`,
          'There is nothing to gain by small weights.',
        );
      }
      await saveCheckpoint(out, loaded);
      const bytes = regions.reduce((sum, region) => sum + region.bytes, 0);
      process.stderr.write(
        `${out}: ${formatBytes(bytes)} of weights, ${((8 * bytes) / count).toFixed(1)} bits each; they were ${formatBytes(4 * count)}\n`,
      );
    });
  });
}
