import { Command } from 'commander';
import { requireHubName } from '../../checkpoints/hub/cache.ts';
import { downloadModel, type ModelLicence } from '../../checkpoints/hub/download.ts';
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
Prints the model's folder, and the first time under which licence it is given; licence.json beside its files says it again. A download that was broken off goes on; every file is checked. Afterwards the name stands for the
folder in every command. HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE are minded.

Examples:
  xlstm download NX-AI/xLSTM-7b
  xlstm quantize NX-AI/xLSTM-7b --dtype q4 --out models/7b-q4
  xlstm generate models/7b-q4 --prompt "The"`,
    )
    .action(async (name: string) => {
      requireHubName(name);
      const progress = writingProgress(name);
      let terms: ModelLicence | undefined;
      const folder = await interruptible((signal) =>
        progress.during(
          downloadModel(name, {
            ...{ signal, onProgress: progress.bytes },
            onLicence: (licence) => {
              terms = licence;
            },
          }),
        ),
      );
      if (terms) process.stderr.write(`${licenceLine(name, terms)}\n`);
      standardOutput().line(folder);
    });
}

/** Whoever uses a model has to mind its terms, whatever those of this program are. */
function licenceLine(model: string, { name, link, file }: ModelLicence): string {
  const where = [link, file].filter((place) => place !== undefined).join(', ');
  if (name === undefined && where === '')
    return `licence ${model} names none: ask its makers before you use it`;
  return `licence ${model} is given under ${name ?? 'the terms'}${where && `: ${where}`}`;
}
