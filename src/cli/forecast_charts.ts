import type { TimeSeries } from '../data/series/time_series.ts';
import { timeTicks } from '../data/series/time_ticks.ts';
import type { BacktestWindow } from '../forecasting/backtest.ts';
import type { LevelRows } from '../forecasting/levels.ts';
import type { Axis, Band, ChartSpec, Point } from '../lab/charts/line_chart.ts';
import type { Hue, LineStyle } from '../lab/charts/line_style.ts';
import { oneLine } from '../quote.ts';
import { levelName, seriesName, timeOf } from './forecast_text.ts';
import { formatTick } from './plots.ts';

const look = (hue: Hue): LineStyle => ({ hue, dash: 'solid', marker: 'circle' });
const SIZE = { width: 860, plotHeight: 260 };
const MOST_NAME = 36;
const MOST_TICKS = 8;

/** What a chart of a series shows. */
export interface Shown {
  readonly series: TimeSeries;
  /** How it was forecast. */
  readonly method: string;
  readonly levels: readonly number[];
}

/** The last `history` values and the forecast behind them. */
export function forecastChart(shown: Shown, quantiles: LevelRows, history: number): ChartSpec {
  const { values } = shown.series;
  const from = values.length - history;
  return chart(shown, {
    title: nameOf(shown),
    from,
    to: values.length + quantiles[0].length - 1,
    forecasts: [{ origin: values.length, quantiles }],
  });
}

/** Forecasts of what is over, beside what came. */
export function backtestChart(shown: Shown, windows: readonly BacktestWindow[]): ChartSpec {
  const { values } = shown.series;
  const horizon = windows[0].quantiles[0].length;
  return chart(shown, {
    title: `${nameOf(shown)}: ${windows.length} forecasts of ${horizon} steps from what was before them`,
    from: Math.max(0, windows[0].origin - horizon),
    to: values.length - 1,
    forecasts: windows,
  });
}

const nameOf = ({ series }: Shown): string => oneLine(seriesName(series), MOST_NAME);

interface Content {
  readonly title: string;
  readonly from: number;
  readonly to: number;
  readonly forecasts: readonly { readonly origin: number; readonly quantiles: LevelRows }[];
}

function chart(shown: Shown, { title, from, to, forecasts }: Content): ChartSpec {
  const { series, levels, method } = shown;
  const { values } = series;
  const known: Point[] = Array.from({ length: Math.min(values.length, to + 1) - from }, (_, i) => ({
    x: from + i,
    y: values[from + i],
    tip: `${timeOf(series, from + i)}\n${formatValue(values[from + i])}`,
  }));
  const middle = levels.indexOf(0.5);
  const medians = forecasts.flatMap(({ origin, quantiles }): Point[] => [
    // A line of its own for each forecast.
    { x: origin - 1, y: Number.NaN },
    ...join(values, origin, quantiles[middle]).map((point): Point => {
      const h = point.x - origin;
      if (h < 0) return point;
      const rows = levels.map((level, q) => `${levelName(level)}: ${formatValue(quantiles[q][h])}`);
      return { ...point, tip: [timeOf(series, point.x), ...rows].join('\n') };
    }),
  ]);
  return {
    title,
    x: timeAxis(series, from, to),
    y: { label: nameOf(shown), format: formatTick },
    series: [
      { name: 'as it was', style: look('ink'), points: known },
      { name: `median, ${oneLine(method, MOST_NAME)}`, style: look('blue'), points: medians },
    ],
    bands: forecasts.flatMap(({ origin, quantiles }, i) =>
      bandsOf(values, origin, quantiles, levels, i === 0),
    ),
    markers: false,
    size: SIZE,
    legend: true,
  };
}

const formatValue = (value: number): string => String(Number(value.toPrecision(6)));

/** A forecast begins where the series was, if that is known. */
function join(values: Float64Array, origin: number, row: Float64Array): Point[] {
  const before = values[origin - 1];
  const points = Array.from(row, (y, h) => ({ x: origin + h, y }));
  return Number.isNaN(before) ? points : [{ x: origin - 1, y: before }, ...points];
}

/** Only those of the first forecast have names, for the legend. */
function bandsOf(
  values: Float64Array,
  origin: number,
  quantiles: LevelRows,
  levels: readonly number[],
  named: boolean,
): Band[] {
  const pairs = Math.floor(levels.length / 2);
  const taken = [...new Set([0, Math.floor(pairs / 2)])].filter((pair) => pair < pairs);
  return taken.map((pair) => {
    const [low, high] = [pair, levels.length - 1 - pair];
    const lows = join(values, origin, quantiles[low]);
    const highs = join(values, origin, quantiles[high]);
    return {
      name: named ? `${levelName(levels[low])} to ${levelName(levels[high])}` : '',
      hue: 'blue',
      points: lows.map(({ x, y }, i) => ({ x, low: y, high: highs[i].y })),
    };
  });
}

function timeAxis({ times }: TimeSeries, from: number, to: number): Axis {
  if (!times) return { label: 'step', format: (step) => formatTick(step + 1) };
  if (!times.isDates) return { label: 'time', format: (step) => formatTick(times.instant(Math.round(step))) };
  const ticks = timeTicks(times, from, to, MOST_TICKS);
  const labels = new Map(ticks.map(({ step, label }) => [step, label]));
  return { label: 'time', ticks: [...labels.keys()], format: (step) => labels.get(step) ?? '' };
}
