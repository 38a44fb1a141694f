import { Command } from 'commander';
import { requireHubName } from '../../checkpoints/hub/cache.ts';
import { downloadModel } from '../../checkpoints/hub/download.ts';
import { interruptible } from '../interrupt.ts';
import { standardOutput } from '../output.ts';
import { writingProgress } from '../writing_progress.ts';

export function downloadCommand(): Command {
  return new Command('download')
    .description('get a model from a hub, into the folder that programs of Hugging Face share')
    .argument('<name>', 'owner/model, or owner/model@revision')
    .addHelpText(
      'after',
      `
Prints the model's folder. A download that was broken off goes on; every file is checked. Afterwards the name stands for the
folder in every command. HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE are minded.

Examples:
  xlstm download NX-AI/xLSTM-7b
  xlstm quantize NX-AI/xLSTM-7b --dtype q4 --out models/7b-q4
  xlstm generate models/7b-q4 --prompt "The"`,
    )
    .action(async (name: string) => {
      requireHubName(name);
      const progress = writingProgress(name);
      const folder = await interruptible((signal) =>
        progress.during(downloadModel(name, { signal, onProgress: progress.bytes })),
      );
      standardOutput().line(folder);
    });
}
