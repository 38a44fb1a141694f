import { formatBytes, formatCount, formatInteger } from '../../../format.ts';
import { lineChart, type Series } from '../../charts/line_chart.ts';
import type { CellRecord } from '../records.ts';
import { type Contestant, contestantTitle } from './appearance.ts';
import { type Arena, type ArenaTask, type Cell, median } from './arena.ts';
import { type CostPoint, crossing, crossingWords } from './crossing.ts';
import { compact, formatMs } from './format.ts';
import { lostNote } from './scores.ts';
import { type Block, type Drawing, type Section, table, text } from './section.ts';
import { figures, type Table, words } from './table.ts';

type Measure = 'trainMsPerToken' | 'decodeMsPerToken' | 'stateBytes' | 'programBytes';

const measures: Readonly<
  Record<Measure, { title: string; label: string; format: (value: number) => string }>
> = {
  trainMsPerToken: { title: 'Training', label: 'ms per token', format: formatMs },
  decodeMsPerToken: { title: 'Decoding', label: 'ms per token', format: formatMs },
  stateBytes: { title: 'Memory of a state while decoding', label: 'bytes', format: formatBytes },
  programBytes: { title: 'Memory of training, per sequence', label: 'bytes', format: formatBytes },
};

/** Time and memory against sequence length, and where linear cost falls below quadratic. */
export function costSections(arena: Arena): Section[] {
  return arena.ofKind('cost').map((task) => {
    const cells = arena.contestants
      .map((contestant) => arena.cell(task, contestant))
      .filter(({ runs }) => runs.length > 0);
    const charts = (Object.keys(measures) as Measure[]).flatMap((measure) => costChart(task, cells, measure));
    const note = lostNote(cells);
    return {
      id: `cost-${task.name}`,
      title: task.title,
      blocks: [
        text(
          'Both axes are logarithmic: cost that does not depend on length is level, quadratic cost of a sequence rises per ' +
            'token. A training step has about as many tokens at every length, so longer sequences are fewer abreast, which ' +
            'slows models that go token by token (LSTM, GRU, sLSTM).',
        ),
        ...(charts.length > 0 ? [{ kind: 'charts', charts } as const] : []),
        ...(note ? [text(note)] : []),
        ...meetings(cells),
        ...(Object.keys(measures) as Measure[]).flatMap((measure) => costTable(cells, measure)),
      ],
    };
  });
}

/** A model's cost at each length measured, the median of its runs. */
export function costPoints(runs: readonly CellRecord[], measure: Measure): CostPoint[] {
  const found = new Map<number, number[]>();
  for (const { cost } of runs) {
    for (const row of cost ?? []) {
      found.set(row.length, [...(found.get(row.length) ?? []), row[measure]]);
    }
  }
  return [...found]
    .map(([length, values]) => ({ length, cost: median(values) }))
    .sort((a, b) => a.length - b.length);
}

function costChart(task: ArenaTask, cells: readonly Cell[], measure: Measure): Drawing[] {
  const { title, label, format } = measures[measure];
  const series = cells.map(
    ({ contestant, runs }): Series => ({
      name: contestant.title,
      style: contestant.style,
      points: costPoints(runs, measure).map(({ length, cost }) => ({
        x: length,
        y: cost,
        tip: `${contestant.title}\nlength ${formatInteger(length)}: ${format(cost)}${measure.endsWith('Token') ? ' ms per token' : ''}`,
      })),
    }),
  );
  const lengths = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort(
    (a, b) => a - b,
  );
  const costs = series.flatMap(({ points }) => points.map(({ y }) => y)).filter((y) => y > 0);
  const svg = lineChart({
    title: `${title}, ${task.title}`,
    series,
    x: { label: 'sequence length, tokens', log: true, ticks: lengths, format: formatLength },
    y: { label, log: true, domain: roomy(costs), format: (value) => compact(format(value)) },
    markers: true,
  });
  return svg ? [{ title, svg }] : [];
}

/** At least a factor of ten, so that noise does not fill the chart and look like growth. */
function roomy(costs: readonly number[]): readonly [number, number] {
  const [low, high] = [Math.min(...costs), Math.max(...costs)];
  const stretch = Math.max(1.1, Math.sqrt(10 / (high / low)));
  return [low / stretch, high * stretch];
}

/** 128, 2k, 16k: powers of two in units of 1024. */
const formatLength = (length: number): string =>
  length >= 1024 && length % 1024 === 0
    ? `${length / 1024}k`
    : length >= 10_000
      ? formatCount(length)
      : String(length);

/** Where each model without attention becomes cheaper than each with it; words first for xLSTM, then all in a table. */
function meetings(cells: readonly Cell[]): Block[] {
  const attention = cells.filter(({ contestant }) => contestant.family === 'attention');
  const others = cells.filter(({ contestant }) => contestant.family !== 'attention');
  if (attention.length === 0 || others.length === 0) {
    const missing =
      attention.length === 0 ? `no attention (${contestantTitle('transformer')})` : 'nothing but attention';
    return [text(`Where linear meets quadratic cannot be said: ${missing} was measured here.`)];
  }
  const meet = (a: Cell, b: Cell, measure: Measure): string =>
    crossingWords(crossing(costPoints(a.runs, measure), costPoints(b.runs, measure)));
  const pairs = others.flatMap((a) => attention.map((b) => [a, b] as const));
  const items = pairs
    .filter(([{ contestant }]) => contestant.family === 'xlstm')
    .map(
      ([a, b]) =>
        `${a.contestant.title} is cheaper than ${theName(b.contestant)} in training ${meet(a, b, 'trainMsPerToken')}; ` +
        `in decoding ${meet(a, b, 'decodeMsPerToken')}.`,
    );
  return [
    ...(items.length > 0 ? [{ kind: 'list', items } as const] : []),
    table({
      title: 'Where linear meets quadratic: lengths at which the first is cheaper than the second',
      columns: [
        words('model'),
        words('than'),
        words('in training'),
        words('in decoding'),
        words('in memory of a state'),
      ],
      rows: pairs.map(([a, b]) => ({
        cells: [
          a.contestant.title,
          b.contestant.title,
          meet(a, b, 'trainMsPerToken'),
          meet(a, b, 'decodeMsPerToken'),
          meet(a, b, 'stateBytes'),
        ],
      })),
    }),
  ];
}

const theName = ({ key, title }: Contestant): string => (key === 'transformer' ? `the ${title}` : title);

function costTable(cells: readonly Cell[], measure: Measure): Block[] {
  const { title, label, format } = measures[measure];
  const rows = cells.map(({ contestant, runs, best, diverged }) => ({
    contestant,
    points: costPoints(runs, measure),
    missing: best ? '–' : diverged > 0 ? 'diverged' : 'failed',
  }));
  const lengths = [...new Set(rows.flatMap(({ points }) => points.map(({ length }) => length)))].sort(
    (a, b) => a - b,
  );
  if (lengths.length === 0) return [];
  const found: Table = {
    title: `${title}${label === 'bytes' ? '' : `, ${label}`}, by length`,
    columns: [
      words('model'),
      ...lengths.map((length) => figures(formatInteger(length))),
      figures('longest over shortest'),
    ],
    rows: rows.map(({ contestant, points, missing }) => {
      const of = new Map(points.map(({ length, cost }) => [length, format(cost)]));
      return {
        cells: [contestant.title, ...lengths.map((length) => of.get(length) ?? missing), growthWords(points)],
      };
    }),
  };
  return [table(found)];
}

/** How many times as much the longest costs as the shortest. */
export const growth = (points: readonly CostPoint[]): number | undefined =>
  points.length > 1 ? points[points.length - 1].cost / points[0].cost : undefined;

function growthWords(points: readonly CostPoint[]): string {
  const times = growth(points);
  return times === undefined || !Number.isFinite(times) ? '–' : `${times.toPrecision(3)}×`;
}
