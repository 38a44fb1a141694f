import { lineChart, type Series } from '../../charts/line_chart.ts';
import { type Arena, type ArenaTask, type Cell, mean } from './arena.ts';
import { formatScore, formatSigned, messageOf, runsInWords } from './format.ts';
import { type HeatCell, heatMap } from './heat_map.ts';
import { type Block, type Drawing, type Section, table, text } from './section.ts';
import { figures, type Table, type TableRow, words } from './table.ts';

/** Scaled accuracy of every model at every task: the heat map, and the same in words for Markdown. */
export function scoreSection(arena: Arena): Section | undefined {
  const tasks = arena.ofKind('score');
  if (tasks.length === 0) return undefined;
  const svg = heatMap({
    title: 'Scaled accuracy of each model at each task',
    rows: arena.contestants.map(({ title, style }) => ({ label: title, style })),
    columns: tasks.map(({ title, group }) => ({ label: title, group })),
    cell: (row, column) => heatCell(arena.cell(tasks[column], arena.contestants[row])),
  });
  const note =
    'Best of the seeds. Hatched: no run finished with a score. A corner: some seeds did not finish. A dot: not run. ' +
    'Point at a cell for mean, least and the number of runs.';
  return {
    id: 'scores',
    title: 'Scaled accuracy',
    blocks: [
      text(
        'Accuracy on the answers at the test lengths, scaled so that 0 is chance and 1 is perfect. A seed differs from ' +
          'the next in its learning rate, too: the best of them is the best of both. Training ends early at a perfect ' +
          'score on sequences of the test lengths that are not those of the test.',
      ),
      {
        kind: 'wide',
        chart: { title: 'Scaled accuracy, best of the seeds', svg, note },
        table: scoreTable(arena, tasks),
      },
      ...comparison(arena, tasks),
    ],
  };
}

function heatCell(cell: Cell): HeatCell {
  const { task, contestant, runs, best, scores, diverged, failed } = cell;
  const head = `${contestant.title}, ${task.title}`;
  if (runs.length === 0) return { kind: 'missing', tip: `${head}\nnot run` };
  const lost = runs
    .filter(({ status }) => status !== 'done')
    .map((run) => `seed ${run.seed} ${messageOf(run)}`);
  if (!best) {
    const text = diverged > 0 ? 'div.' : 'fail';
    return { kind: 'lost', text, tip: [head, runsInWords(cell), ...lost].join('\n') };
  }
  if (scores.length === 0) return { kind: 'lost', text: 'n/a', tip: `${head}\nfinished without a score` };
  const value = Math.max(...scores);
  const spread = `best ${formatScore(value, 3)}, mean ${formatScore(mean(scores), 3)}, least ${formatScore(Math.min(...scores), 3)}`;
  return {
    kind: 'value',
    value,
    text: formatScore(value),
    tip: [head, spread, runsInWords(cell), ...lost].join('\n'),
    flag: diverged + failed > 0,
  };
}

/** The best score of a cell, or how it was lost. */
export function bestWords({ runs, best, scores, diverged, failed }: Cell): string {
  if (runs.length === 0) return 'not run';
  if (!best) return diverged > 0 && failed > 0 ? 'diverged, failed' : diverged > 0 ? 'diverged' : 'failed';
  return scores.length === 0 ? 'no score' : formatScore(Math.max(...scores), 3);
}

/** Best, mean and least score of a cell, and how many runs it has: four columns. */
export function scoreCells(cell: Cell): string[] {
  const { runs, scores, diverged, failed } = cell;
  const lost = diverged + failed;
  const counted = lost > 0 ? `${runs.length - lost} of ${runs.length}` : String(runs.length);
  if (scores.length === 0) return [bestWords(cell), '–', '–', counted];
  return [bestWords(cell), formatScore(mean(scores), 3), formatScore(Math.min(...scores), 3), counted];
}

export const scoreColumns = ['best', 'mean', 'least', 'runs'].map(figures);

function scoreTable({ contestants, cell }: Arena, tasks: readonly ArenaTask[]): Table {
  return {
    title: 'Scaled accuracy, best of the seeds',
    columns: [words('task'), ...contestants.map(({ title }) => figures(title))],
    rows: tasks.map((task, k) => ({
      cells: [task.title, ...contestants.map((contestant) => bestWords(cell(task, contestant)))],
      heading: k === 0 || tasks[k - 1].group !== task.group ? task.group : undefined,
    })),
  };
}

/** A difference that counts, in scaled accuracy. */
const MARGIN = 0.02;
/** Below this a model has learned little of a task, and who is ahead says nothing. */
const LEARNED = 0.25;

/** How the best xLSTM stands against the best of the others. */
export type Outcome = 'xLSTM ahead' | 'level' | 'xLSTM behind' | 'learned by none';

export function outcomeOf(ours: number, theirs: number): Outcome {
  if (Math.max(ours, theirs) < LEARNED) return 'learned by none';
  if (Math.abs(ours - theirs) <= MARGIN) return 'level';
  return ours > theirs ? 'xLSTM ahead' : 'xLSTM behind';
}

/** Where the best xLSTM stands against the best of the others. */
function comparison({ contestants, cell }: Arena, tasks: readonly ArenaTask[]): Block[] {
  const counts: Record<Outcome, number> = {
    'xLSTM ahead': 0,
    level: 0,
    'xLSTM behind': 0,
    'learned by none': 0,
  };
  const rows = tasks.flatMap((task): TableRow[] => {
    const ranked = contestants
      .map((contestant) => cell(task, contestant))
      .filter(({ scores }) => scores.length > 0)
      .map(({ contestant, scores }) => ({ contestant, score: Math.max(...scores) }))
      .sort((a, b) => b.score - a.score);
    const ours = ranked.find(({ contestant }) => contestant.family === 'xlstm');
    const theirs = ranked.find(({ contestant }) => contestant.family !== 'xlstm');
    if (!ours || !theirs) return [];
    const gap = ours.score - theirs.score;
    const outcome = outcomeOf(ours.score, theirs.score);
    counts[outcome]++;
    const score = formatScore;
    return [
      {
        cells: [
          task.title,
          ours.contestant.title,
          score(ours.score, 3),
          theirs.contestant.title,
          score(theirs.score, 3),
          `${gap > 0 ? '+' : ''}${formatSigned(gap + 0, 3)}`,
          outcome,
        ],
      },
    ];
  });
  if (rows.length === 0) return [];
  return [
    text(
      `The best xLSTM beside the best of the others: ahead at ${counts['xLSTM ahead']}, level (within ${MARGIN}) at ` +
        `${counts.level}, behind at ${counts['xLSTM behind']} of ${rows.length} tasks; ` +
        `${counts['learned by none']} were learned by none (below ${LEARNED}).`,
    ),
    table({
      title: 'Where xLSTM leads and where it loses',
      columns: [
        words('task'),
        words('best xLSTM'),
        figures('score'),
        words('best other'),
        figures('score'),
        figures('difference'),
        words('outcome'),
      ],
      rows,
    }),
  ];
}

/** Accuracy against length: a chart and a table a task, with what did not finish. */
export function lengthSection(arena: Arena): Section | undefined {
  const tasks = arena.ofKind('score');
  if (tasks.length === 0) return undefined;
  return {
    id: 'length',
    title: 'Accuracy against length',
    blocks: [
      text('The best seed of each model; faint lines are its other seeds. Shaded: the lengths of training.'),
      { kind: 'charts', charts: tasks.flatMap((task) => accuracyChart(arena, task)) },
      text(
        'Scaled accuracy over all test lengths, of the finished seeds, and of the best seed by length. Runs: how many finished.',
      ),
      { kind: 'tables', tables: tasks.map((task) => accuracyTable(arena, task)) },
    ],
  };
}

function accuracyChart(arena: Arena, task: ArenaTask): Drawing[] {
  const cells = arena.contestants.map((contestant) => arena.cell(task, contestant));
  const series = cells.flatMap(({ contestant, best, runs }): Series[] => {
    const others = runs.filter((run) => run !== best && run.status === 'done' && run.accuracy);
    const line = (run: (typeof runs)[number], faint: boolean): Series => ({
      name: contestant.title,
      style: contestant.style,
      faint,
      points: (run.accuracy ?? []).map(({ length, accuracy, scaled, count }) => ({
        x: length,
        y: scaled,
        tip:
          `${contestant.title}, seed ${run.seed}\nlength ${length}: scaled ${formatScore(scaled, 3)}\n` +
          `accuracy ${formatScore(accuracy, 3)} of ${count} answers`,
      })),
    });
    return best ? [...others.map((run) => line(run, true)), line(best, false)] : [];
  });
  const lengths = lengthsOf(cells);
  const least = Math.min(0, ...series.flatMap(({ points }) => points.map(({ y }) => y)));
  const { trained } = task;
  const from = trained ? Math.min(lengths[0], Math.max(trained[0], trained[1] / 2)) : lengths[0];
  const svg = lineChart({
    title: `Accuracy against length, ${task.title}`,
    // Faint lines first: what has a name lies above them.
    series: series.toSorted((a, b) => Number(b.faint) - Number(a.faint)),
    x: {
      label: 'length, tokens',
      log: true,
      domain: [from, Math.max(lengths[lengths.length - 1], trained?.[1] ?? 0)],
      ticks: trained ? [...new Set([trained[1], ...lengths])].sort((a, b) => a - b) : lengths,
      format: String,
    },
    y: {
      label: 'scaled accuracy',
      domain: [Math.floor(least * 10) / 10, 1],
      ticks: [0, 0.25, 0.5, 0.75, 1],
      format: (value) => formatSigned(value, 2),
    },
    shade: trained && { from: trained[0], to: trained[1], label: 'trained' },
    level: least < 0 ? { y: 0, label: 'chance' } : undefined,
    markers: true,
  });
  return svg ? [{ title: task.title, svg, note: lostNote(cells) }] : [];
}

/** Names the runs that a chart cannot show. */
export function lostNote(cells: readonly Cell[]): string | undefined {
  const lost = cells.flatMap(({ contestant, runs }) =>
    runs
      .filter(({ status }) => status !== 'done')
      .map((run) => `${contestant.title} seed ${run.seed} ${messageOf(run)}`),
  );
  return lost.length > 0 ? `Did not finish: ${lost.join('; ')}.` : undefined;
}

const lengthsOf = (cells: readonly Cell[]): number[] =>
  [...new Set(cells.flatMap(({ best }) => (best?.accuracy ?? []).map(({ length }) => length)))].sort(
    (a, b) => a - b,
  );

function accuracyTable(arena: Arena, task: ArenaTask): Table {
  const cells = arena.contestants
    .map((contestant) => arena.cell(task, contestant))
    .filter(({ runs }) => runs.length > 0);
  const lengths = lengthsOf(cells);
  const chance = cells.flatMap(({ runs }) => runs).find((run) => run.chance !== undefined)?.chance;
  return {
    title: `${task.title}${chance === undefined ? '' : ` (chance ${Number(chance.toPrecision(2))})`}`,
    columns: [words('model'), ...scoreColumns, ...lengths.map((length) => figures(`at ${length}`))],
    rows: cells.map((cell) => {
      const of = new Map(cell.best?.accuracy?.map(({ length, scaled }) => [length, formatScore(scaled, 3)]));
      const byLength = lengths.map((length) => of.get(length) ?? '–');
      return { cells: [cell.contestant.title, ...scoreCells(cell), ...byLength] };
    }),
  };
}
