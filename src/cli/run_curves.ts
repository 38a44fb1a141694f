import { formatCount, formatDuration } from '../format.ts';
import type { ChartSpec, Point, Series } from '../lab/charts/line_chart.ts';
import type { Hue, LineStyle } from '../lab/charts/line_style.ts';
import type { HistoryPoint } from '../training/run_history.ts';
import { formatTick } from './plots.ts';

/** A run by its name, and what its metrics say. */
export interface RunCurve {
  readonly name: string;
  readonly history: readonly HistoryPoint[];
}

/** What the curves of runs go over. */
export type CurveAxis = 'tokens' | 'time';

const AXES = {
  tokens: { label: 'tokens', of: ({ tokens }: HistoryPoint) => tokens, format: formatCount },
  time: { label: 'time', of: ({ seconds }: HistoryPoint) => seconds, format: formatDuration },
} as const;

export const curveAxis = (by: CurveAxis): (typeof AXES)[CurveAxis] => AXES[by];

/** The loss of training, or of what is held out, over the axis; points that are no numbers are left out. */
export function curvePoints(
  { history }: RunCurve,
  by: CurveAxis,
  loss: 'loss' | 'validationLoss',
): { readonly x: number; readonly y: number }[] {
  return history
    .map((point) => ({ x: AXES[by].of(point), y: point[loss] ?? Number.NaN }))
    .filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
}

/**
 * Values at `count` places, evenly from 0 to `end`: the mean of the points near a place, between points what a line has
 * there; NaN before the first point and after the last.
 */
export function onGrid(
  points: readonly { readonly x: number; readonly y: number }[],
  end: number,
  count: number,
): number[] {
  const sums = new Float64Array(count);
  const counts = new Float64Array(count);
  for (const { x, y } of points) {
    const place = end > 0 ? Math.min(count - 1, Math.round((x / end) * (count - 1))) : 0;
    sums[place] += y;
    counts[place]++;
  }
  const values = Array.from(sums, (sum, i) => (counts[i] > 0 ? sum / counts[i] : Number.NaN));
  const known = values.flatMap((value, i) => (Number.isNaN(value) ? [] : [i]));
  for (const [k, right] of known.entries()) {
    const left = known[k - 1] ?? right;
    for (let i = left + 1; i < right; i++) {
      values[i] = values[left] + ((values[right] - values[left]) * (i - left)) / (right - left);
    }
  }
  return values;
}

const HUES: readonly Hue[] = ['blue', 'vermilion', 'green', 'purple', 'gold', 'sky', 'brown', 'ink'];
const DASHES: readonly LineStyle['dash'][] = ['solid', 'dashed', 'dotted', 'dashdot'];
/** Places along the axis of a drawing: as many as its pixels show. */
const PLACES = 600;

/** A chart of the losses of training, and one of those of what is held out where there are such. */
export function runCharts(runs: readonly RunCurve[], by: CurveAxis): ChartSpec[] {
  const { label, format } = AXES[by];
  const chart = (
    title: string,
    points: (run: RunCurve) => readonly Point[],
    markers: boolean,
  ): ChartSpec => ({
    title,
    x: { label, format },
    y: { label: 'nats per token', format: formatTick },
    series: runs.map(
      (run, i): Series => ({
        name: run.name,
        style: {
          hue: HUES[i % HUES.length],
          dash: DASHES[Math.floor(i / HUES.length) % DASHES.length],
          marker: 'circle',
        },
        points: points(run),
      }),
    ),
    markers,
    size: { width: 860, plotHeight: 260 },
    legend: true,
  });
  const smooth = (run: RunCurve): Point[] => {
    const points = curvePoints(run, by, 'loss');
    const end = Math.max(0, ...points.map(({ x }) => x));
    return onGrid(points, end, PLACES).flatMap((y, i) =>
      Number.isNaN(y) ? [] : [{ x: (end * i) / (PLACES - 1), y }],
    );
  };
  const held = (run: RunCurve): Point[] => curvePoints(run, by, 'validationLoss');
  return [
    chart('loss of training', smooth, false),
    ...(runs.some((run) => held(run).length > 0) ? [chart('loss of the held-out text', held, true)] : []),
  ];
}
