import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../../../checkpoints/files.ts';
import { XlstmError } from '../../../errors.ts';
import { formatDuration } from '../../../format.ts';
import type { CellRecord } from '../records.ts';
import { type Arena, arenaOf } from './arena.ts';
import { publishedSection } from './comparison.ts';
import { costSections } from './cost.ts';
import { count } from './format.ts';
import { page } from './page.ts';
import { lengthSection, scoreSection } from './scores.ts';
import { type Section, sectionMarkdown } from './section.ts';
import { settingsSection } from './settings_section.ts';
import { escapeMarkdown } from './table.ts';
import { textSections } from './text.ts';

const TITLE = 'xLSTM arena';

const HTML = 'report.html';
const MARKDOWN = 'report.md';

/** Throws where the files of the report could not take their names. */
export async function checkReport(outFolder: string): Promise<void> {
  for (const name of [HTML, MARKDOWN]) {
    const path = join(outFolder, name);
    if ((await stat(path).catch(() => undefined))?.isDirectory()) {
      throw new XlstmError(
        'data',
        `${path}: expected a file or nothing, found a folder`,
        'The report is written there: move the folder away, or choose another one with --out.',
      );
    }
  }
}

/** Writes report.html, which needs nothing but itself, and report.md with the same tables. */
export async function writeReport(outFolder: string, records: CellRecord[]): Promise<void> {
  const arena = arenaOf(records);
  const sections = sectionsOf(arena);
  const lead = summary(arena);
  const markdown = [
    `# ${TITLE}`,
    '',
    escapeMarkdown(lead),
    '',
    ...sections.map(sectionMarkdown).filter(Boolean),
  ];
  await makeFolder(outFolder);
  await writeFileAtomic(join(outFolder, HTML), page(TITLE, lead, sections));
  await writeFileAtomic(join(outFolder, MARKDOWN), `${markdown.join('\n').trimEnd()}\n`);
}

function sectionsOf(arena: Arena): Section[] {
  if (arena.records.length === 0) return [];
  return [
    scoreSection(arena),
    lengthSection(arena),
    ...textSections(arena),
    ...costSections(arena),
    publishedSection(arena),
    settingsSection(arena),
  ].filter((section) => section !== undefined);
}

function summary({ records, tasks, contestants }: Arena): string {
  if (records.length === 0) return 'No run has been recorded yet.';
  const statuses = (['done', 'diverged', 'failed'] as const).map((status) => {
    const number = records.filter((record) => record.status === status).length;
    return { number, words: `${number} ${status}` };
  });
  const seconds = records.reduce((sum, { trainSeconds }) => sum + trainSeconds, 0);
  const outcome = statuses
    .filter(({ number }) => number > 0)
    .map(({ words }) => words)
    .join(', ');
  return (
    `${count(contestants.length, 'model')} at ${count(tasks.length, 'task')}, ${count(records.length, 'run')} ` +
    `(${outcome}), ${formatDuration(seconds)} of training in all.`
  );
}
