import { basename } from 'node:path';
import { Command, Option } from 'commander';
import type { Precision } from '../../compute/graph/plan.ts';
import { frequencyText, usualSeason } from '../../data/series/frequency.ts';
import { readSeries } from '../../data/series/read_series.ts';
import { requireKnown, type TimeSeries } from '../../data/series/time_series.ts';
import { XlstmError } from '../../errors.ts';
import { type BacktestResult, backtest, measuresOf } from '../../forecasting/backtest.ts';
import { exponentialSmoothing } from '../../forecasting/baselines/exponential_smoothing.ts';
import { seasonalNaive } from '../../forecasting/baselines/seasonal_naive.ts';
import type { ForecastHistory, ForecastMethod } from '../../forecasting/forecast_method.ts';
import type { LevelRows } from '../../forecasting/levels.ts';
import { modelMethod } from '../../forecasting/model_method.ts';
import type { ChartSpec } from '../../lab/charts/line_chart.ts';
import { loadForecaster } from '../../saved/forecaster_folders.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { backtestChart, forecastChart } from '../forecast_charts.ts';
import {
  describeSeries,
  drawForecast,
  printBacktest,
  printForecast,
  printForecasts,
  seriesName,
  timeOf,
} from '../forecast_text.ts';
import { precisionOption } from '../loading_options.ts';
import { standardOutput } from '../output.ts';
import { integer, path, plotPath, quantileList } from '../parse.ts';
import { requirePlotFolder, writePlot } from '../plots.ts';
import { addSeriesOptions, type SeriesChoice } from '../series_options.ts';
import { TINY_FORECASTER } from '../tiny_forecaster.ts';
import { forecastHeadCommand } from './forecast_head.ts';
import { forecastTrainCommand } from './forecast_train.ts';

const BASELINES = { 'seasonal-naive': seasonalNaive, ets: exponentialSmoothing } as const;
type Baseline = keyof typeof BASELINES;

interface ForecastCommandOptions extends EngineChoice, SeriesChoice {
  readonly horizon?: number;
  readonly levels: readonly number[];
  readonly season?: number;
  readonly model?: string;
  readonly precision: Precision;
  readonly method?: Baseline;
  readonly backtest?: number;
  readonly plot?: string;
  readonly json?: boolean;
}

export function forecastCommand(): Command {
  const command = new Command('forecast')
    .description('forecast series of a table: median and bands, as a table, a chart, SVG or JSON')
    .argument('<table>', 'CSV with names of columns, JSON lines (.jsonl) or Parquet (.parquet)');
  addSeriesOptions(command, {
    past: 'covariates that are known up to the last value',
    known: 'covariates that are known ahead, in rows without a target',
  })
    .option(
      '--horizon <n>',
      'steps to forecast (default: two seasons, at most 96; 12 where there is none)',
      integer(1, 2 ** 16),
    )
    .option('--levels <list>', 'quantiles, 0.5 among them', quantileList, [0.1, 0.25, 0.5, 0.75, 0.9])
    .option('--season <n>', 'steps after which the series repeats itself (default: by its step)', integer(1))
    .option('--model <folder>', 'the folder of a forecaster (default: the tiny one of the package)', path)
    .addOption(precisionOption().conflicts('method'))
    .addOption(
      new Option(
        '--method <name>',
        'forecast without a model: repeat the last season, or exponential smoothing',
      )
        .choices(Object.keys(BASELINES))
        .conflicts('model'),
    )
    .option(
      '--backtest <n>',
      'measure as many forecasts of what is over, beside simple methods',
      integer(1, 1000),
    )
    .option(
      '--plot <file>',
      'draw the forecast, and the back-test: as SVG, or as a page (.html) that needs nothing beside it',
      plotPath,
    )
    .option('--json', 'print everything as one JSON object on standard output')
    .addHelpText(
      'after',
      `
The step is found from the times; steps without a row, and empty cells, are missing values. Rows behind the last value of
the target are the future, in which --known covariates are given. Several series, of any lengths, are forecast together.

Several targets (--target load,price) are forecast together by models that can (TiRex-2), and each by itself by others.
A name that has a comma stands in quotes, as in CSV: --target '"load, MW"'.
The tiny forecaster looks at each series by itself; what it reaches on real ones is in docs/forecasting.md.

Examples:
  xlstm forecast load.csv --target load --time ts --horizon 96 --plot load.svg
  xlstm forecast sales.csv --target sold --id shop --known holiday --horizon 28 --model models/tirex
  xlstm forecast load.csv --target load,price --past wind --model models/tirex-2
  xlstm forecast load.csv --backtest 5`,
    );
  // Both have options of the same names.
  return addEngineOptions(command)
    .enablePositionalOptions()
    .addCommand(forecastTrainCommand())
    .addCommand(forecastHeadCommand())
    .action(forecastTable);
}

/** What is told at the end: forecasts of all series and, if asked for, what methods reached. */
interface Result {
  readonly targets: readonly string[];
  readonly method: string;
  readonly levels: readonly number[];
  readonly all: readonly SeriesForecast[];
  readonly warnings: readonly string[];
  readonly measured: Readonly<Record<string, BacktestResult>> | undefined;
}

interface SeriesForecast {
  readonly series: TimeSeries;
  readonly season: number;
  readonly quantiles: LevelRows;
}

/** Two days of minutes are more than anybody meant. */
const MOST_BY_DEFAULT = 96;

async function forecastTable(file: string, options: ForecastCommandOptions): Promise<void> {
  if (options.plot !== undefined) await requirePlotFolder(options.plot);
  const { targets, time, series } = await readSeries(file, options);
  const seasons = series.map(({ times }) => options.season ?? (times ? usualSeason(times.frequency) : 1));
  const horizon = options.horizon ?? (seasons[0] > 1 ? Math.min(2 * seasons[0], MOST_BY_DEFAULT) : 12);
  for (const one of series) requireKnown(one, horizon);
  for (const target of targets) {
    const own = series.filter((one) => one.target === target);
    const what = options.id === undefined ? describeSeries(own[0]) : `${own.length} series by ${options.id}`;
    process.stderr.write(`series  ${target}: ${what}${time === undefined ? '' : ` (times: ${time})`}\n`);
  }
  const { levels, backtest: windows } = options;
  const name = options.method ?? options.model ?? 'tiny';
  const warnings = new Set<string>();
  const result = await withMethod(options, warnings, async (method): Promise<Result> => {
    const quantiles = await method(
      series.map((one, s) => historyOf(one, seasons[s], horizon)),
      horizon,
      levels,
    );
    const measured =
      windows === undefined
        ? undefined
        : await backtest(
            series.map((one, s) => ({ ...one, season: seasons[s], together: one.id })),
            { [name]: method, ...BASELINES },
            { horizon, windows, levels },
          );
    const all = series.map((one, s) => ({ series: one, season: seasons[s], quantiles: quantiles[s] }));
    return { targets, method: name, levels, all, warnings: [...warnings], measured };
  });
  if (options.plot !== undefined)
    await writePlot(options.plot, `${basename(file)}: forecast`, chartsOf(result));
  if (options.json) standardOutput().json(asJson(result));
  else print(result);
  for (const warning of result.warnings) process.stderr.write(`note    ${warning}\n`);
  if (options.plot !== undefined) process.stderr.write(`drawn in ${options.plot}\n`);
}

/** Series that end where the forecast begins; what is known reaches to its end. */
function historyOf(
  { id, values, past, known }: TimeSeries,
  season: number,
  horizon: number,
): ForecastHistory {
  const ahead = Object.entries(known).map(
    ([name, row]) => [name, row.slice(0, values.length + horizon)] as const,
  );
  return { values, season, together: id, past, known: Object.fromEntries(ahead) };
}

/** Runs with the method that was asked for: a simple one, a model, or the forecaster that comes with the package. */
async function withMethod<T>(
  options: ForecastCommandOptions,
  warnings: Set<string>,
  run: (method: ForecastMethod) => Promise<T>,
): Promise<T> {
  if (options.method) {
    requireNoCovariates(options, `--method ${options.method}`);
    return run(BASELINES[options.method]);
  }
  return withEngine(options, async (engine) => {
    using forecaster = await loadForecaster(options.model ?? TINY_FORECASTER, {
      engine,
      precision: options.precision,
    });
    if (!forecaster.takesCovariates) requireNoCovariates(options, options.model ?? 'the tiny forecaster');
    return await run(modelMethod(forecaster, (warning) => warnings.add(warning)));
  });
}

function requireNoCovariates({ past, known }: ForecastCommandOptions, method: string): void {
  const [option, names] = known.length > 0 ? ['--known', known] : ['--past', past];
  if (names.length === 0) return;
  throw new XlstmError(
    'usage',
    `${option}: expected none with ${method}, which takes no covariates, found ${names.join(', ')}`,
    'Leave them out, or name a model that takes some (TiRex-2) with --model.',
  );
}

/** Values that are drawn before a forecast: a few of its lengths, and a few seasons. */
const historyShown = ({ series, season, quantiles }: SeriesForecast): number =>
  Math.min(series.values.length, Math.max(3 * quantiles[0].length, 3 * season, 48));

/** Series whose charts there is room for in a file, and targets in a terminal. */
const MOST_CHARTS = 6;

function chartsOf({ method, levels, all, measured }: Result): ChartSpec[] {
  return all.slice(0, MOST_CHARTS).flatMap((one, s) => {
    const shown = { series: one.series, method, levels };
    const windows = measured?.[method].windows.filter(({ series }) => series === s) ?? [];
    return [
      forecastChart(shown, one.quantiles, historyShown(one)),
      ...(windows.length > 0 ? [backtestChart(shown, windows)] : []),
    ];
  });
}

function print({ targets, method, levels, all, measured }: Result): void {
  const output = standardOutput();
  const isOne = targets.length === 1;
  if (all.length === targets.length && all.length <= MOST_CHARTS) {
    for (const [i, one] of all.entries()) {
      if (i > 0) output.line();
      if (!isOne) output.line(output.style.strong(seriesName(one.series)));
      drawForecast(output, one.series, one.quantiles, levels, historyShown(one));
      printForecast(output, one.series, one.quantiles, levels);
    }
  } else {
    printForecasts(output, all, levels);
  }
  if (!measured) return;
  for (const target of targets)
    printBacktest(output, resultsOf(measured, all, target), method, levels, isOne ? '' : target);
}

/** What methods reached of one target. */
const resultsOf = (
  measured: Readonly<Record<string, BacktestResult>>,
  all: readonly SeriesForecast[],
  target: string,
): Record<string, BacktestResult> =>
  Object.fromEntries(
    Object.entries(measured).map(([name, { windows }]) => {
      const own = windows.filter(({ series }) => all[series].series.target === target);
      return [name, { measures: measuresOf(own), windows: own }];
    }),
  );

function asJson({ targets, method, levels, all, warnings, measured }: Result): unknown {
  const backtestOf = (target: string): unknown =>
    measured &&
    Object.fromEntries(
      Object.entries(resultsOf(measured, all, target)).map(([name, { measures, windows }]) => [
        name,
        { ...measures, forecasts: windows.length },
      ]),
    );
  return {
    targets,
    method,
    levels,
    warnings,
    series: all.map(({ series, season, quantiles }) => ({
      id: series.id,
      target: series.target,
      values: series.values.length,
      step: series.times && frequencyText(series.times.frequency),
      season,
      from: timeOf(series, 0),
      to: timeOf(series, series.values.length - 1),
      times: Array.from(quantiles[0], (_, h) => timeOf(series, series.values.length + h)),
      median: Array.from(quantiles[levels.indexOf(0.5)]),
      quantiles: Object.fromEntries(levels.map((level, q) => [level, Array.from(quantiles[q])])),
    })),
    backtest: measured && Object.fromEntries(targets.map((target) => [target, backtestOf(target)])),
  };
}
