import { taskByName } from '../../tasks/registry.ts';
import { contestantTitle } from './appearance.ts';
import { type Arena, type ArenaTask, type Cell, mean } from './arena.ts';
import { claims } from './claims.ts';
import { count, formatScore, formatSigned } from './format.ts';
import { type PublishedScore, publishedScores, type SourceKey, sources } from './published.ts';
import { scoreCells, scoreColumns } from './scores.ts';
import { type Block, type Section, table, text } from './section.ts';
import { figures, type Table, type TableRow, words } from './table.ts';

/** Scores within this of each other agree: less than what seeds and settings make out. */
const AGREEMENT = 0.1;

/** What was published beside what was measured here. */
export function publishedSection(arena: Arena): Section {
  const found = arena.ofKind('score').flatMap((task) => comparedRows(arena, task));
  const used = [...new Set(found.flatMap(({ published }) => published.map(({ source }) => source)))];
  const shown = (Object.keys(sources) as SourceKey[]).filter((source) => used.includes(source));
  return {
    id: 'published',
    title: 'Published beside measured',
    blocks: [
      text(
        'Published models are larger, saw more examples and were tried with more settings; sizes, seeds and times of ' +
          'the runs here are in the table of settings. Tasks are defined as in the xLSTM paper, which other sources do not ' +
          'always follow; lengths are those that each source says.',
      ),
      ...(found.length > 0 ? [text(tally(found)), table(scoresTable(found, shown)), sourceList(shown)] : []),
      table(claimsTable(arena)),
      ...notRun(arena),
    ],
  };
}

interface Compared {
  readonly cell: Cell;
  readonly published: readonly PublishedScore[];
}

function comparedRows(arena: Arena, task: ArenaTask): Compared[] {
  return arena.contestants.flatMap((contestant) => {
    const published = publishedScores.filter(
      ({ task: name, model }) => name === task.name && model === contestant.key,
    );
    const cell = arena.cell(task, contestant);
    return published.length > 0 && cell.runs.length > 0 ? [{ cell, published }] : [];
  });
}

/**
 * Whether scores agree with what was published, the best with figures of the best seed and the mean with means; of
 * sources that disagree among themselves, with which.
 */
export function verdict(scores: readonly number[], published: readonly PublishedScore[]): string {
  if (scores.length === 0) return 'no figure: no run finished';
  const measured = { best: Math.max(...scores), mean: mean(scores) };
  const gaps = published.map(({ source, score }) => {
    const { short, statistic } = sources[source];
    return { name: short, gap: measured[statistic] - score };
  });
  const near = gaps.filter(({ gap }) => Math.abs(gap) <= AGREEMENT);
  const below = gaps.filter(({ gap }) => gap < -AGREEMENT);
  const above = gaps.filter(({ gap }) => gap > AGREEMENT);
  if (near.length === gaps.length) return 'agrees';
  const differences = [...below, ...above]
    .map(({ name, gap }) => `${formatScore(Math.abs(gap))} ${gap < 0 ? 'below' : 'above'} ${name}`)
    .join('; ');
  if (near.length > 0) return `agrees with ${near.map(({ name }) => name).join('; ')}; ${differences}`;
  if (above.length === 0) return `not reproduced: ${differences}`;
  return `${below.length === 0 ? 'higher than published' : 'between the published'}: ${differences}`;
}

function tally(found: readonly Compared[]): string {
  const verdicts = found.map(({ cell, published }) => verdict(cell.scores, published));
  const counted = [
    [/^agrees$/, 'agree with every source'],
    [/^agrees with/, 'agree with some'],
    [/^higher/, 'are higher than published'],
    [/^not reproduced/, 'are lower'],
    [/^between/, 'lie between the published'],
    [/^no figure/, 'have no figure'],
  ] as const;
  const outcomes = counted
    .map(([start, words]) => ({ words, number: verdicts.filter((one) => start.test(one)).length }))
    .filter(({ number }) => number > 0)
    .map(({ words, number }) => `${number} ${words}`);
  const names = found
    .filter((_, k) => verdicts[k].startsWith('not reproduced'))
    .map(({ cell }) => `${cell.contestant.title} on ${cell.task.title}`);
  const missed = names.length > 0 ? ` Not reproduced: ${names.join('; ')}.` : '';
  return (
    `Of the ${count(found.length, 'cell')} with published figures, with agreement within ${AGREEMENT}: ` +
    `${outcomes.join(', ')}.${missed}`
  );
}

function scoresTable(found: readonly Compared[], shown: readonly SourceKey[]): Table {
  return {
    title: 'Scaled accuracy: published, and measured here (best, mean and least of the seeds that finished)',
    columns: [
      words('model'),
      ...shown.map((source) => figures(sources[source].short)),
      ...scoreColumns,
      words('verdict'),
    ],
    rows: found.map(({ cell, published }, k): TableRow => {
      const first = k === 0 || found[k - 1].cell.task !== cell.task;
      const figure = (source: SourceKey): string => {
        const score = published.find((one) => one.source === source);
        return score ? `${formatSigned(score.score, 2)}${score.confirmed ? ' †' : ''}` : '';
      };
      return {
        cells: [
          cell.contestant.title,
          ...shown.map(figure),
          ...scoreCells(cell),
          verdict(cell.scores, published),
        ],
        heading: first ? cell.task.title : undefined,
      };
    }),
  };
}

const sourceList = (shown: readonly SourceKey[]): Block => ({
  kind: 'list',
  items: shown.map((source) => {
    const { short, citation, protocol, certainty } = sources[source];
    return `${short}: ${citation}. ${protocol[0].toUpperCase()}${protocol.slice(1)}. The figures: ${certainty}.`;
  }),
});

const claimsTable = (arena: Arena): Table => ({
  title: 'What papers say in words',
  columns: [words('published'), words('source'), words('measured here')],
  rows: claims.map(({ published, source, measure }) => ({
    cells: [published, source, measure(arena) ?? 'not measured in this run'],
  })),
  look: 'prose',
});

/** Published figures of tasks and models that this run leaves out. */
function notRun({ tasks, contestants, cell }: Arena): Block[] {
  const missing: string[] = [];
  const partly: string[] = [];
  for (const name of new Set(publishedScores.map(({ task }) => task))) {
    const task = tasks.find((one) => one.name === name);
    if (!task) {
      missing.push(taskByName(name).title);
      continue;
    }
    const run = contestants
      .filter((contestant) => cell(task, contestant).runs.length > 0)
      .map(({ key }) => key);
    const published = new Set(publishedScores.filter((one) => one.task === name).map(({ model }) => model));
    const left = [...published].filter((model) => !run.includes(model));
    if (left.length > 0) partly.push(`${task.title}: ${left.map(contestantTitle).join(', ')}`);
  }
  return [
    ...(missing.length > 0
      ? [text(`Published tasks that are not part of this run: ${missing.join(', ')}.`)]
      : []),
    ...(partly.length > 0
      ? [text('Published models that were not run at a task:'), { kind: 'list', items: partly } as const]
      : []),
  ];
}
