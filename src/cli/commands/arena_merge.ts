import { Command } from 'commander';
import { XlstmError } from '../../errors.ts';
import { mergeArenas } from '../../lab/arena/merge.ts';
import { folderSettings } from '../../lab/cells/merge.ts';
import { mergeStudies } from '../../lab/scaling/merge.ts';
import { mergeSearches } from '../../lab/search/merge.ts';
import { path } from '../parse.ts';

/** Results of several machines as one. */
export const arenaMergeCommand = (): Command =>
  new Command('merge')
    .description('put the results of several folders of one kind of arena into a new one')
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
      const { records, repeated } = await merges[kinds[0]](out, folders);
      if (repeated > 0) {
        process.stderr.write(`${repeated} results left out: another folder before had their cell\n`);
      }
      process.stdout.write(
        `${records} results. report: ${out}/report.html and report.md; results: ${out}/results.jsonl\n`,
      );
    });

const merges = {
  'the arena': mergeArenas,
  'a scaling study': mergeStudies,
  'a search': mergeSearches,
} as const;

async function kindOf(folder: string): Promise<keyof typeof merges> {
  const { study } = (await folderSettings(folder)) as { readonly study?: unknown };
  if (study === 'search') return 'a search';
  return study === 'scaling' ? 'a scaling study' : 'the arena';
}
