import { Command } from 'commander';
import { XlstmError } from '../../errors.ts';
import { mergeArenas } from '../../lab/arena/merge.ts';
import { folderSettings } from '../../lab/cells/merge.ts';
import { mergeStudies } from '../../lab/scaling/merge.ts';
import { path } from '../parse.ts';

/** Results of several machines as one. */
export const arenaMergeCommand = (): Command =>
  new Command('merge')
    .description('put the results of several folders, of the arena or of a scaling study, into a new one')
    .argument('<out>', 'the new folder', path)
    .argument('<folders...>', 'folders that were given with --out')
    .action(async (out: string, folders: readonly string[]) => {
      const kinds = await Promise.all(folders.map(kindOf));
      const other = kinds.findIndex((kind) => kind !== kinds[0]);
      if (other > 0) {
        throw new XlstmError(
          'data',
          `${folders[0]} has results of ${kinds[0]}, ${folders[other]} of ${kinds[other]}`,
          'Merge results of one kind.',
        );
      }
      const merge = kinds[0] === STUDY ? mergeStudies : mergeArenas;
      const { records, repeated } = await merge(out, folders);
      if (repeated > 0) {
        process.stderr.write(`${repeated} results left out: another folder before had their cell\n`);
      }
      process.stdout.write(
        `${records} results. report: ${out}/report.html and report.md; results: ${out}/results.jsonl\n`,
      );
    });

const STUDY = 'a scaling study';

async function kindOf(folder: string): Promise<string> {
  const { study } = await folderSettings<{ study: string }>(folder);
  return study === 'scaling' ? STUDY : 'the arena';
}
