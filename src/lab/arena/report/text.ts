import { formatCount, formatDuration, formatInteger } from '../../../format.ts';
import { lineChart, type Series } from '../../charts/line_chart.ts';
import type { CellRecord } from '../records.ts';
import { type Arena, type ArenaTask, type Cell, mean } from './arena.ts';
import { compact, formatChange } from './format.ts';
import { lostNote } from './scores.ts';
import { type Drawing, type Section, table, text } from './section.ts';
import { figures, type Table, words } from './table.ts';

/** Language modelling: loss against tokens, time and length of evaluation. */
export function textSections(arena: Arena): Section[] {
  return arena.ofKind('text').map((task) => {
    const cells = arena.contestants
      .map((contestant) => arena.cell(task, contestant))
      .filter(({ runs }) => runs.length > 0);
    const charts = [
      curveChart(task, cells, 'tokens'),
      curveChart(task, cells, 'seconds'),
      factorChart(task, cells),
    ].flat();
    return {
      id: `text-${task.name}`,
      title: task.title,
      blocks: [
        text(
          'Loss in nats per token. Lines are the best seed of each model, faint ones its other seeds; a cross is where a run ' +
            'diverged. Other cells ran beside these, so their times are rough; Cost measures time alone.',
        ),
        ...(charts.length > 0 ? [{ kind: 'charts', charts } as const] : []),
        table(lossTable(cells)),
      ],
    };
  });
}

/** More points than this are averaged: a curve is 300 pixels wide. */
const MOST_POINTS = 120;

interface CurvePoint {
  readonly step: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly loss: number;
}

/**
 * About `most` points for a logarithmic axis: early ones as they are, later ones means of more and more neighbours.
 */
export function thinned(curve: readonly CurvePoint[], most: number): CurvePoint[] {
  if (curve.length <= most) return curve.slice();
  const each = Math.log(curve.length) / most;
  const points: CurvePoint[] = [];
  for (let from = 0; from < curve.length; ) {
    const to = Math.max(from + 1, Math.round((from + 1) * Math.exp(each)) - 1);
    const part = curve.slice(from, to);
    const average = (key: keyof CurvePoint): number => mean(part.map((point) => point[key]));
    points.push({
      step: average('step'),
      tokens: average('tokens'),
      seconds: average('seconds'),
      loss: average('loss'),
    });
    from = to;
  }
  return points;
}

/** The axis is logarithmic and shows no less than its end over this. */
const WIDEST_RATIO = 100;

function curveChart(task: ArenaTask, cells: readonly Cell[], against: 'tokens' | 'seconds'): Drawing[] {
  const format = against === 'tokens' ? formatCount : formatDuration;
  const series = cells.flatMap(({ contestant, best, runs }): Series[] => {
    // Of a model that never finished, each run is shown up to where it broke.
    const shown = best ?? runs[0];
    return runs.map((run) => ({
      name: contestant.title,
      style: contestant.style,
      faint: run !== shown,
      broken: run.status === 'diverged',
      points: thinned(run.curve, MOST_POINTS).map((point) => ({
        x: point[against],
        y: point.loss,
        tip: `${contestant.title}, seed ${run.seed}\n${format(point[against])}${against === 'tokens' ? ' tokens' : ''}: loss ${point.loss.toFixed(3)}`,
      })),
    }));
  });
  const places = series.flatMap(({ points }) => points.map(({ x }) => x)).filter((x) => x > 0);
  if (places.length === 0) return [];
  const last = Math.max(...places);
  const from = Math.max(Math.min(...places), last / WIDEST_RATIO);
  const seen = series.map((one) => ({ ...one, points: one.points.filter(({ x }) => x >= from) }));
  const title = against === 'tokens' ? 'Training loss against tokens' : 'Training loss against time';
  const svg = lineChart({
    title: `${title}, ${task.title}`,
    series: seen.toSorted((a, b) => Number(b.faint) - Number(a.faint)),
    x: {
      label: against === 'tokens' ? 'tokens trained on' : 'time of training',
      log: true,
      domain: [from, last],
      ...(against === 'seconds' && { ticks: DURATIONS.filter((tick) => tick >= from && tick <= last) }),
      format: (value) => compact(format(value)),
    },
    y: { label: 'loss', format: (value) => String(Number(value.toPrecision(3))) },
    markers: false,
  });
  return svg ? [{ title, svg, note: lostNote(cells) }] : [];
}

/** Seconds, minutes and hours that read well. */
const DURATIONS = [0.01, 0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10_800, 36_000, 86_400];

function factorChart(task: ArenaTask, cells: readonly Cell[]): Drawing[] {
  const series = cells.flatMap(({ contestant, best }): Series[] =>
    best?.text
      ? [
          {
            name: contestant.title,
            style: contestant.style,
            points: best.text.map(({ factor, length, loss }) => ({
              x: factor,
              y: loss,
              tip: `${contestant.title}, seed ${best.seed}\nlength ${formatInteger(length)}: loss ${loss.toFixed(3)}, ${formatChange(loss / best.text![0].loss - 1)}`,
            })),
          },
        ]
      : [],
  );
  const svg = lineChart({
    title: `Loss against length of evaluation, ${task.title}`,
    series,
    x: {
      label: 'length of evaluation over that of training',
      log: true,
      ticks: factorsOf(cells),
      format: (factor) => `${factor}×`,
    },
    y: { label: 'loss on unseen text', format: (value) => String(Number(value.toPrecision(4))) },
    markers: true,
  });
  return svg ? [{ title: 'Loss against length of evaluation', svg }] : [];
}

const factorsOf = (cells: readonly Cell[]): number[] =>
  [...new Set(cells.flatMap(({ best }) => (best?.text ?? []).map(({ factor }) => factor)))].sort(
    (a, b) => a - b,
  );

/** Change of the loss from training length to `factor` times it; undefined where it was not measured. */
export function lossChange({ text }: CellRecord, factor: number): number | undefined {
  const at = (wanted: number): number | undefined => text?.find((point) => point.factor === wanted)?.loss;
  const [short, long] = [at(1), at(factor)];
  return short === undefined || long === undefined ? undefined : long / short - 1;
}

function lossTable(cells: readonly Cell[]): Table {
  const factors = factorsOf(cells);
  // The eightfold length is what papers and targets speak of.
  const longer = factors.filter((factor) => factor === 8 || (factor > 1 && factor === factors.at(-1)));
  const rate = ({ tokens, trainSeconds }: CellRecord): string => formatInteger(tokens / trainSeconds);
  return {
    title: 'Loss on unseen text by length of evaluation, best seed, and its change from the training length',
    columns: [
      words('model'),
      figures('seed'),
      figures('parameters'),
      figures('tokens'),
      figures('time'),
      figures('tokens/s'),
      ...factors.map((factor) => figures(`loss at ${factor}×`)),
      ...longer.map((factor) => figures(`change at ${factor}×`)),
    ],
    rows: cells.map(({ contestant, best, runs, diverged }) => {
      const run = best ?? runs[0];
      const lossAt = new Map(best?.text?.map(({ factor, loss }) => [factor, loss.toFixed(3)]));
      const missing = best ? '–' : diverged > 0 ? 'diverged' : 'failed';
      return {
        cells: [
          contestant.title,
          String(run.seed),
          formatInteger(run.parameters),
          formatCount(run.tokens),
          formatDuration(run.trainSeconds),
          rate(run),
          ...factors.map((factor) => lossAt.get(factor) ?? missing),
          ...longer.map((factor) => {
            const change = best && lossChange(best, factor);
            return change === undefined ? '–' : formatChange(change);
          }),
        ],
      };
    }),
  };
}
