import { join } from 'node:path';
import { writeFileAtomic } from '../../../checkpoints/files.ts';
import { count } from '../../arena/report/format.ts';
import { page } from '../../arena/report/page.ts';
import { checkReport } from '../../arena/report/report.ts';
import { type Section, sectionMarkdown } from '../../arena/report/section.ts';
import { escapeMarkdown } from '../../arena/report/table.ts';
import { analyse } from './analysis.ts';
import { answerSection } from './answer.ts';
import { modelsOf } from './appearance.ts';
import { claimSection } from './claims.ts';
import { contestSection } from './contest_section.ts';
import { contestsOf } from './contests.ts';
import { costSection } from './cost_section.ts';
import { exponentSection } from './exponent_section.ts';
import type { StudyFindings } from './findings.ts';
import { longSection } from './long_section.ts';
import { lossSection } from './loss_section.ts';
import { studySettingsSection } from './settings_section.ts';

const TITLE = 'xLSTM scaling study';

/** Throws where the files of the report could not take their names. */
export const checkStudyReport = checkReport;

/** Writes report.html, which needs nothing but itself, and report.md with the same tables. */
export async function writeStudyReport(folder: string, findings: StudyFindings): Promise<void> {
  const sections = sectionsOf(findings);
  const lead = summary(findings);
  const markdown = [
    `# ${TITLE}`,
    '',
    escapeMarkdown(lead),
    '',
    ...sections.map(sectionMarkdown).filter(Boolean),
  ];
  await writeFileAtomic(join(folder, 'report.html'), page(TITLE, lead, sections));
  await writeFileAtomic(join(folder, 'report.md'), `${markdown.join('\n').trimEnd()}\n`);
}

function sectionsOf(findings: StudyFindings): Section[] {
  if (findings.records.length === 0) return [];
  const analysis = analyse(findings.records);
  const contests = contestsOf(analysis);
  return [
    answerSection(analysis, contests, findings),
    lossSection(analysis),
    contestSection(contests, analysis),
    exponentSection(analysis),
    longSection(analysis),
    costSection(analysis),
    claimSection(analysis, contests),
    studySettingsSection(findings),
  ].filter((section) => section !== undefined);
}

function summary({ records, notRun, settings }: StudyFindings): string {
  if (records.length === 0) return 'No cell has been recorded yet.';
  const trained = records.filter(({ kind, status }) => kind === 'train' && status === 'done');
  const { quick } = settings;
  return (
    `${quick ? 'The quick version. ' : ''}${count(modelsOf(trained).length, 'model')}, ${count(trained.length, 'training')}` +
    `${notRun.length > 0 ? `; ${count(notRun.length, 'cell')} did not fit into the time` : ''}.`
  );
}
