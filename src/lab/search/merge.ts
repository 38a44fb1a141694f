import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../../checkpoints/files.ts';
import { checkEmpty, readFolders, recordLines } from '../cells/merge.ts';
import type { SearchCell } from './cell.ts';
import { type KeptSettings, keptSettings, MERGED_COMMON } from './options.ts';
import { type SearchRecord, searchRecords } from './records.ts';

/**
 * Puts the results of several folders of a search into a new one, with a report on all of them; the search can go on
 * there. Throws a data error where their settings are not the same. Resolves to the numbers of records, and of those that
 * were left out because another folder had their cell.
 */
export async function mergeSearches(
  out: string,
  folders: readonly string[],
): Promise<{ readonly records: number; readonly repeated: number }> {
  await checkEmpty(out);
  const { settings, records, repeated } = await readFolders<KeptSettings, SearchCell, SearchRecord>(
    folders,
    searchRecords,
    MERGED_COMMON,
    keptSettings,
  );
  const { checkSearchReport, writeSearchReport } = await import('./report/report.ts');
  await checkSearchReport(out);
  const union = <T>(of: (one: KeptSettings) => readonly T[]): T[] => [...new Set(settings.flatMap(of))];
  const merged: KeptSettings = {
    ...settings[0],
    tasks: union(({ tasks }) => tasks),
    models: union(({ models }) => models),
    trials: Math.max(...settings.map(({ trials }) => trials)),
    seeds: Math.max(...settings.map(({ seeds }) => seeds)),
    minutes: settings.reduce((sum, { minutes }) => sum + minutes, 0),
    engine: union(({ engine }) => [engine]).join('; '),
  };
  await makeFolder(out);
  await writeFileAtomic(join(out, 'settings.json'), `${JSON.stringify(merged, null, 2)}\n`);
  await writeFileAtomic(join(out, 'results.jsonl'), recordLines(records));
  await writeSearchReport(out, records, merged);
  return { records: records.length, repeated };
}
