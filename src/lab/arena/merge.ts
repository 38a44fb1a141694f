import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../../checkpoints/files.ts';
import { checkEmpty, readFolders, recordLines } from '../cells/merge.ts';
import { type ArenaOptions, MERGED_COMMON, mergedSettings } from './options.ts';
import { type CellName, type CellRecord, cellRecords } from './records.ts';

/**
 * Puts the results of several folders of an arena into a new one, with a report on all of them. Throws a data error where
 * their settings are not the same. Resolves to the numbers of records, and of those that were left out because another
 * folder had their cell.
 */
export async function mergeArenas(
  out: string,
  folders: readonly string[],
): Promise<{ readonly records: number; readonly repeated: number }> {
  await checkEmpty(out);
  const { settings, records, repeated } = await readFolders<Partial<ArenaOptions>, CellName, CellRecord>(
    folders,
    cellRecords,
    MERGED_COMMON,
    mergedSettings,
  );
  const { checkReport, writeReport } = await import('./report/report.ts');
  await checkReport(out);
  await makeFolder(out);
  await writeFileAtomic(join(out, 'settings.json'), `${JSON.stringify(settings[0], null, 2)}\n`);
  await writeFileAtomic(join(out, 'results.jsonl'), recordLines(records));
  await writeReport(out, [...records]);
  return { records: records.length, repeated };
}
