import { formatSignificant } from '../../format.ts';
import { drawCurve } from './curve.ts';
import type { Style } from './style.ts';
import { padStart } from './width.ts';

/** A series and its forecast, drawn one behind the other. */
export interface FanChart {
  /** What was; NaN where a value is missing. */
  readonly history: readonly number[];
  /** At each step ahead, from the lowest level to the highest; the one in the middle is drawn as a line. */
  readonly quantiles: readonly ArrayLike<number>[];
  /** Times of the first value, of the first forecast, and of the last. */
  readonly labels: readonly [string, string, string];
  readonly legend: { readonly history: string; readonly median: string; readonly band: string };
}

/** History and median as lines, the space between outer quantiles shaded, between inner ones denser. */
export function renderFanChart(
  { history, quantiles, labels, legend }: FanChart,
  { width, rows }: { readonly width: number; readonly rows: number },
  style: Style,
): string[] {
  const horizon = quantiles[0].length;
  const shown = [...history, ...quantiles.flatMap((row) => Array.from(row))].filter(Number.isFinite);
  const range = { low: Math.min(...shown), high: Math.max(...shown) };
  const marks = [formatSignificant(range.high), formatSignificant(range.low)];
  const markWidth = Math.max(...marks.map((mark) => mark.length));
  const columns = Math.max(16, width - markWidth - 3);
  const total = history.length + horizon;
  const gap = (count: number): number[] => new Array<number>(count).fill(Number.NaN);
  const middle = quantiles[quantiles.length >> 1];
  const curve = (values: readonly number[]): string[] => drawCurve(values, columns, rows, range);
  const past = curve([...history, ...gap(horizon)]);
  const median = curve([...gap(history.length - 1), history[history.length - 1], ...Array.from(middle)]);
  const bands = bandsOf(quantiles);

  const valueAt = (row: ArrayLike<number>, column: number): number => {
    const at = ((column + 0.5) / columns) * total - 0.5 - history.length;
    if (at < -0.5) return Number.NaN;
    const left = Math.min(Math.max(0, Math.floor(at)), horizon - 1);
    const right = Math.min(left + 1, horizon - 1);
    return row[left] + (row[right] - row[left]) * Math.min(1, Math.max(0, at - left));
  };
  const half = (range.high - range.low) / rows / 2;
  const shade = (row: number, column: number): string => {
    // Of a constant there is no band to show.
    if (half === 0) return ' ';
    const level = range.high - (2 * row + 1) * half;
    const within = bands.filter(
      ([low, high]) => valueAt(low, column) <= level + half && valueAt(high, column) >= level - half,
    ).length;
    return within === 0 ? ' ' : style.dim(within === 1 ? '░' : '▒');
  };
  const lines = Array.from({ length: rows }, (_, row) => {
    const mark = row === 0 ? marks[0] : row === rows - 1 && half > 0 ? marks[1] : '';
    const cells = Array.from({ length: columns }, (_, column) => {
      if (median[row][column] !== ' ') return style.accent(median[row][column]);
      if (past[row][column] !== ' ') return past[row][column];
      return shade(row, column);
    });
    return `${style.dim(`${padStart(mark, markWidth)} ┤`)} ${cells.join('')}`.trimEnd();
  });
  const indent = ' '.repeat(markWidth + 3);
  const origin = Math.round((history.length / total) * columns);
  return [
    ...lines,
    indent + style.dim(axisLabels(labels, origin, columns)),
    `${indent}${'⠒⠒'} ${legend.history}   ${style.accent('⠒⠒')} ${legend.median}   ${style.dim('░░')} ${legend.band}`,
  ];
}

/** Pairs of levels from the outermost to the innermost, two at most. */
function bandsOf(quantiles: readonly ArrayLike<number>[]): [ArrayLike<number>, ArrayLike<number>][] {
  const pairs = Math.floor(quantiles.length / 2);
  const inner = Math.floor(pairs / 2);
  return [0, inner]
    .filter((pair, i) => pair < pairs && (i === 0 || pair > 0))
    .map((pair) => [quantiles[pair], quantiles[quantiles.length - 1 - pair]]);
}

/** The first at the left, the last at the right, and the one in between where the forecast begins if there is room. */
function axisLabels([first, begin, last]: FanChart['labels'], origin: number, columns: number): string {
  const end = Math.max(first.length + 1, columns - last.length);
  const start = Math.min(origin, end - begin.length - 2);
  const middle = start >= first.length + 2 ? ' '.repeat(start - first.length) + begin : '';
  const line = first + middle;
  return `${line}${' '.repeat(Math.max(1, end - line.length))}${last}`;
}
