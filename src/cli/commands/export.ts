import { Command } from 'commander';
import { loadCheckpoint } from '../../checkpoints/checkpoint_folder.ts';
import { writeFileAtomic } from '../../checkpoints/files.ts';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { formatBytes } from '../../format.ts';
import { exportOnnx } from '../../onnx/export_onnx.ts';
import { integer, path } from '../parse.ts';

interface ExportOptions {
  readonly onnx: string;
  readonly sequence?: boolean;
  readonly batch: number;
}

export function exportCommand(): Command {
  return new Command('export')
    .description('a model as a file for other runtimes')
    .argument('<model>', 'a checkpoint, or the folder of a run')
    .requiredOption('--onnx <file>', 'write an ONNX file', path)
    .option('--sequence', 'a whole sequence at once; else one step, with the state going in and coming out')
    .option('--batch <n>', 'sequences at once', integer(1), 1)
    .addHelpText(
      'after',
      `
Inputs are x (of a language model: tokens) and, of a step, state.*; outputs are y (logits) and next.*, the states to go
on from. States are zeros before a sequence.

Examples:
  xlstm export runs/weather --onnx weather.onnx
  xlstm export runs/mine --onnx mine.onnx --sequence`,
    )
    .action(async (folder: string, { onnx, sequence, batch }: ExportOptions) => {
      // Nothing is computed: the engine only holds the parameters.
      const engine = createReferenceEngine();
      try {
        const { model } = await loadCheckpoint(engine, folder);
        const file = await exportOnnx(model, { form: sequence ? 'sequence' : 'step', batch });
        await writeFileAtomic(onnx, file);
        process.stderr.write(`${onnx}: ${formatBytes(file.length)}\n`);
      } finally {
        await engine.close();
      }
    });
}
