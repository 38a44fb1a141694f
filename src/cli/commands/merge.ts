import { Command } from 'commander';
import { loadAdapter, loadCheckpoint, saveCheckpoint } from '../../checkpoints/checkpoint_folder.ts';
import { checkNew } from '../../checkpoints/new_folder.ts';
import { formatCount } from '../../format.ts';
import { mergeAdapter } from '../../nn/merge_adapter.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { path } from '../parse.ts';

export function mergeCommand(): Command {
  const command = new Command('merge')
    .description('make one model of a model and its adapter')
    .argument('<base>', 'a checkpoint or the folder of a run', path)
    .argument('<adapter>', 'the folder of an adapter, or of the run that trained it', path)
    .argument('<folder>', 'a new folder', path)
    .addHelpText(
      'after',
      `
The new model computes the same, without the adapter's cost. Its numbers are float32, also where those of the base are small:
xlstm quantize makes it small again.

Example:
  xlstm merge runs/book runs/letters letters`,
    );
  return addEngineOptions(command).action(
    (base: string, folder: string, out: string, options: EngineChoice) => {
      checkNew(out);
      return withEngine(options, async (engine) => {
        const adapter = await loadAdapter(folder);
        const { model, tokenizer } = await loadCheckpoint(engine, base, { adapter });
        const merged = await mergeAdapter(model);
        await saveCheckpoint(out, { model: merged, ...(tokenizer && { tokenizer }) });
        process.stderr.write(`${out}: ${formatCount(merged.parameters.count)} parameters\n`);
      });
    },
  );
}
