import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../../checkpoints/files.ts';
import { checkEmpty, readFolders, recordLines } from '../cells/merge.ts';
import { type StudyCell, studyCellKey } from './cell.ts';
import { corpusFolder, openCorpus } from './corpus.ts';
import { type KeptSettings, keptSettings, MERGED_COMMON } from './options.ts';
import { furtherSweepCells, plannedCells } from './plan.ts';
import { type StudyRecord, studyRecords } from './records.ts';

/**
 * Puts the results of several folders of a study into a new one, with a report on all of them; the study can go on there.
 * Throws a data error where their settings or texts are not the same. Resolves to the numbers of records, and of those
 * that were left out because another folder had their cell.
 */
export async function mergeStudies(
  out: string,
  folders: readonly string[],
): Promise<{ readonly records: number; readonly repeated: number }> {
  await checkEmpty(out);
  const { settings, records, repeated } = await readFolders<KeptSettings, StudyCell, StudyRecord>(
    folders,
    studyRecords,
    MERGED_COMMON,
    keptSettings,
  );
  const { checkStudyReport, writeStudyReport } = await import('./report/report.ts');
  await checkStudyReport(out);
  const union = <T>(of: (one: KeptSettings) => readonly T[]): T[] => [...new Set(settings.flatMap(of))];
  const merged: KeptSettings = {
    ...settings[0],
    models: union(({ models }) => models),
    sizes: union(({ sizes }) => sizes).sort((a, b) => a - b),
    seeds: Math.max(...settings.map(({ seeds }) => seeds)),
    minutes: settings.reduce((sum, { minutes }) => sum + minutes, 0),
    engine: union(({ engine }) => [engine]).join('; '),
  };
  await makeFolder(out);
  await cp(corpusFolder(folders[0]), corpusFolder(out), { recursive: true });
  const { facts, close } = await openCorpus(corpusFolder(out));
  close();
  const ended = new Set(records.map(studyCellKey));
  const notRun = [...plannedCells(merged), ...furtherSweepCells(merged, records)]
    .filter((cell) => !ended.has(studyCellKey(cell)))
    .map((cell) => ({ cell, seconds: undefined }));
  await writeFileAtomic(join(out, 'settings.json'), `${JSON.stringify(merged, null, 2)}\n`);
  await writeFileAtomic(join(out, 'results.jsonl'), recordLines(records));
  await writeStudyReport(out, { records, notRun, facts, settings: merged });
  return { records: records.length, repeated };
}
