import { Command, Option } from 'commander';
import { type ConvertOptions, convertCheckpoint } from '../../checkpoints/convert.ts';
import { formatBytes, formatCount } from '../../format.ts';
import { foreignLayouts } from '../../nn/architecture.ts';
import { path } from '../parse.ts';
import { writingProgress } from '../writing_progress.ts';

export function convertCommand(): Command {
  return new Command('convert')
    .description('write a model as another program reads it')
    .argument('<model>', 'a checkpoint of any of them, or the folder of a run')
    .argument('<folder>', 'a new folder', path)
    .addOption(
      new Option('--to <program>', 'whose files are written')
        .choices(['xlstm', ...foreignLayouts])
        .makeOptionMandatory(),
    )
    .addHelpText(
      'after',
      `
transformers has xLSTM Large alone (xlstm train --architecture xlstm-large), of widths that are multiples of 128; official is the package xlstm of PyTorch,
which has both architectures; xlstm is this project, which reads all of them as they are. Numbers become float32. Some rows of
one tensor are in memory at a time.

Examples:
  xlstm convert runs/book book-hf --to transformers
  xlstm convert models/xLSTM-7b 7b-official --to official`,
    )
    .action(async (model: string, folder: string, { to }: Pick<ConvertOptions, 'to'>) => {
      const progress = writingProgress(folder);
      const { parameters, bytes } = await progress.during(
        convertCheckpoint(model, folder, { to, onProgress: progress.bytes }),
      );
      process.stderr.write(`${folder}: ${formatCount(parameters)} parameters, ${formatBytes(bytes)}\n`);
    });
}
