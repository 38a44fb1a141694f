import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../../../checkpoints/files.ts';
import { formatDuration } from '../../../format.ts';
import { count } from '../../arena/report/format.ts';
import { page } from '../../arena/report/page.ts';
import { checkReport } from '../../arena/report/report.ts';
import { sectionMarkdown } from '../../arena/report/section.ts';
import { escapeMarkdown } from '../../arena/report/table.ts';
import type { SearchOptions } from '../options.ts';
import type { SearchRecord } from '../records.ts';
import { answerSection } from './answer.ts';
import { type Findings, findingsOf } from './findings.ts';
import { scoreSection, theorySection, trialSection } from './tables.ts';

const TITLE = 'xLSTM arena: tasks that decide';

/** Throws where the files of the report could not take their names. */
export const checkSearchReport = checkReport;

/** Writes report.html, which needs nothing but itself, and report.md with the same tables. */
export async function writeSearchReport(
  folder: string,
  records: readonly SearchRecord[],
  { trials }: Pick<SearchOptions, 'trials'>,
): Promise<void> {
  const findings = findingsOf(records, trials);
  const sections =
    records.length === 0
      ? []
      : [
          answerSection(findings),
          scoreSection(findings),
          theorySection(findings),
          trialSection(findings, records),
        ];
  const lead = summary(findings, records);
  const markdown = [`# ${TITLE}`, '', escapeMarkdown(lead), '', ...sections.map(sectionMarkdown)];
  await makeFolder(folder);
  await writeFileAtomic(join(folder, 'report.html'), page(TITLE, lead, sections));
  await writeFileAtomic(join(folder, 'report.md'), `${markdown.join('\n').trimEnd()}\n`);
}

function summary({ tasks, contestants }: Findings, records: readonly SearchRecord[]): string {
  if (records.length === 0) return 'No cell has been recorded yet.';
  const of = (kind: SearchRecord['kind']): number => records.filter((record) => record.kind === kind).length;
  const seconds = records.reduce((sum, { trainSeconds }) => sum + trainSeconds, 0);
  return (
    `${count(contestants.length, 'model')} at ${count(tasks.length, 'task')}: ${count(of('trial'), 'trial')}, ${count(of('test'), 'test')}, ` +
    `${formatDuration(seconds)} of training in all.`
  );
}
