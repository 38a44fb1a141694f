import { frequencyText } from '../data/series/frequency.ts';
import type { TimeSeries } from '../data/series/time_series.ts';
import type { BacktestResult } from '../forecasting/backtest.ts';
import type { LevelRows } from '../forecasting/levels.ts';
import { formatFixed, formatInteger, formatPercent, formatSignificant, NOTHING } from '../format.ts';
import type { Output } from './output.ts';
import { renderFanChart } from './ui/fan_chart.ts';
import { type Column, renderTable } from './ui/table.ts';

/** 0.1 → 10 % */
export const levelName = (level: number): string => `${Number((100 * level).toPrecision(6))} %`;

/** Figures of one kind with as many decimals as the spread of the values gives reason for. */
export function figures(values: ArrayLike<number>): (value: number) => string {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) continue;
    low = Math.min(low, values[i]);
    high = Math.max(high, values[i]);
  }
  const spread = high - low || Math.abs(high) || 1;
  const decimals = 2 - Math.floor(Math.log10(spread));
  const readable = decimals <= 6 && Math.abs(high) < 1e9 && Math.abs(low) < 1e9;
  return (value) => {
    if (!Number.isFinite(value)) return NOTHING;
    if (!readable) return formatSignificant(value);
    return value.toFixed(Math.max(0, decimals)).replace(/^-(0(\.0*)?)$/, '$1');
  };
}

/** The time of a step, or its number where the series has no times. */
export const timeOf = ({ times }: TimeSeries, step: number): string =>
  times ? times.text(step) : `step ${step + 1}`;

/** Its target, and which of those of a table it is. */
export const seriesName = ({ id, target }: TimeSeries): string => (id === '' ? target : `${target} of ${id}`);

/** A series in a line: how long it is, its step, from when to when, and what is missing. */
export function describeSeries(series: TimeSeries): string {
  const { values, times } = series;
  const missing = values.reduce((count, value) => count + Number(Number.isNaN(value)), 0);
  return [
    `${formatInteger(values.length)} steps${times ? ` (${frequencyText(times.frequency)})` : ''}`,
    `${timeOf(series, 0)} to ${timeOf(series, values.length - 1)}`,
    ...(missing > 0 ? [`${formatInteger(missing)} missing`] : []),
  ].join(', ');
}

const MOST_WIDTH = 100;
const ROWS = 12;

/** History, median and bands in the terminal. */
export function drawForecast(
  output: Output,
  series: TimeSeries,
  quantiles: LevelRows,
  levels: readonly number[],
  history: number,
): void {
  const { values } = series;
  const width = Math.min(MOST_WIDTH, Number.isFinite(output.width) ? output.width : 80);
  const end = values.length;
  const lines = renderFanChart(
    {
      history: Array.from(values.subarray(end - history)),
      quantiles,
      labels: [
        timeOf(series, end - history),
        timeOf(series, end),
        timeOf(series, end + quantiles[0].length - 1),
      ],
      legend: {
        history: 'as it was',
        median: 'median of the forecast',
        band: `${levelName(levels[0])} to ${levelName(levels[levels.length - 1])}`,
      },
    },
    { width, rows: ROWS },
    output.style,
  );
  for (const line of lines) output.line(line);
  output.line();
}

/** Rows of a table of one series: the rest is in the JSON. */
const MOST_ROWS = 24;
/** Levels for which there is room in a table: the outermost ones and the median. */
const tableLevels = (levels: readonly number[]): number[] => [
  ...new Set([0, levels.indexOf(0.5), levels.length - 1]),
];

/** The steps of a forecast, one a row. */
export function printForecast(
  output: Output,
  series: TimeSeries,
  quantiles: LevelRows,
  levels: readonly number[],
): void {
  const chosen = tableLevels(levels);
  const text = figures(Float64Array.from(chosen.flatMap((q) => Array.from(quantiles[q]))));
  const horizon = quantiles[0].length;
  const shown = horizon <= MOST_ROWS ? horizon : MOST_ROWS - 4;
  const rows = Array.from({ length: shown }, (_, h) => [
    timeOf(series, series.values.length + h),
    ...chosen.map((q) => text(quantiles[q][h])),
  ]);
  const columns: Column[] = [
    { header: series.times ? 'time' : '', align: 'left' },
    ...chosen.map((q) => ({
      header: levels[q] === 0.5 ? 'median' : levelName(levels[q]),
      align: 'right' as const,
    })),
  ];
  output.line(renderTable({ columns, rows }, output.style, output.width));
  if (shown < horizon) output.line(output.style.dim(`… and ${horizon - shown} steps more with --json`));
}

/** Several series, one a row: their last value and their forecast of the first step and of the last. */
export function printForecasts(
  output: Output,
  all: readonly { readonly series: TimeSeries; readonly quantiles: LevelRows }[],
  levels: readonly number[],
): void {
  const [low, middle, high] = [0, levels.indexOf(0.5), levels.length - 1];
  const isOneTarget = all.every(({ series: { target } }) => target === all[0].series.target);
  const rows = all.map(({ series, quantiles }) => {
    const end = series.values.length;
    const last = quantiles[0].length - 1;
    const text = figures([
      series.values[end - 1],
      ...[low, middle, high].flatMap((q) => Array.from(quantiles[q])),
    ]);
    const cells = (h: number): string[] => [low, middle, high].map((q) => text(quantiles[q][h]));
    return [
      isOneTarget ? series.id : seriesName(series),
      timeOf(series, end - 1),
      text(series.values[end - 1]),
      text(quantiles[middle][0]),
      timeOf(series, end + last),
      ...cells(last),
    ];
  });
  const right = 'right' as const;
  const columns: Column[] = [
    { header: 'series', align: 'left' },
    { header: 'last', align: 'left' },
    { header: 'value', align: right },
    { header: 'next', unit: 'median', align: right },
    { header: 'until', align: 'left' },
    { header: '', unit: levelName(levels[low]), align: right },
    { header: '', unit: 'median', align: right },
    { header: '', unit: levelName(levels[high]), align: right },
  ];
  output.line(renderTable({ columns, rows }, output.style, output.width));
}

/** What methods reached, the best first, and which of them a person should use. `of`: the name of the target, where there are others. */
export function printBacktest(
  output: Output,
  results: Readonly<Record<string, BacktestResult>>,
  chosen: string,
  levels: readonly number[],
  of = '',
): void {
  const band = levelName(levels[levels.length - 1] - levels[0]);
  const sorted = Object.entries(results).sort(([, a], [, b]) => a.measures.mase - b.measures.mase);
  const [{ windows }] = Object.values(results);
  const horizon = windows[0].quantiles[0].length;
  output.line();
  output.line(
    output.style.dim(
      `back-test${of && ` of ${of}`}: ${formatInteger(windows.length)} forecasts of ${horizon} steps from what was before them`,
    ),
  );
  output.line(
    renderTable(
      {
        columns: [
          { header: 'method', align: 'left' },
          { header: 'MASE' },
          { header: 'quantile loss', unit: 'scaled' },
          { header: 'quantile loss', unit: 'weighted' },
          { header: 'coverage', unit: `of ${band}` },
        ],
        rows: sorted.map(([name, { measures }]) => [
          name,
          measured(measures.mase),
          measured(measures.scaledQuantileLoss),
          measured(measures.weightedQuantileLoss),
          formatPercent(measures.coverage),
        ]),
        emphasize: (row) => sorted[row][0] === chosen,
      },
      output.style,
      output.width,
    ),
  );
  output.line(verdict(output, results, chosen));
}

const measured = (value: number): string => (Number.isNaN(value) ? NOTHING : formatFixed(value, 3));

/** Below this share of its error another method is said to be better. */
const CLEARLY = 0.995;

function verdict(output: Output, results: Readonly<Record<string, BacktestResult>>, chosen: string): string {
  const mase = (name: string): number => results[name].measures.mase;
  const others = Object.keys(results).filter((name) => name !== chosen);
  const better = others
    .filter((name) => mase(name) < CLEARLY * mase(chosen))
    .sort((a, b) => mase(a) - mase(b));
  if (Number.isNaN(mase(chosen))) return 'Nothing can be scaled: the history repeats itself exactly.';
  if (better.length === 0) return output.style.good(`None of the others is better than ${chosen} here.`);
  const [best] = better;
  const naive = best === 'seasonal-naive' ? 'The naive forecast wins here' : `${best} wins here`;
  return output.style.warning(
    `${naive}: MASE ${measured(mase(best))} against ${measured(mase(chosen))} of ${chosen}. Use it: --method ${best}`,
  );
}
