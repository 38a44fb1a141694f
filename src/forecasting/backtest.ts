import { checkOption, checkQuantiles, checkWhole } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';
import type { ForecastHistory, ForecastMethod } from './forecast_method.ts';
import type { LevelRows } from './levels.ts';
import { type Measures, meanMeasures, measure, seasonalError } from './measures.ts';

/** A series to forecast at times that are over. */
export interface BacktestSeries extends ForecastHistory {
  /** For messages; empty where it is alone. */
  readonly id: string;
}

/** How methods are measured. */
export interface BacktestOptions {
  /** Steps of each forecast. */
  readonly horizon: number;
  /** Forecasts of each series: the last one ends with the series, each earlier one a horizon before. */
  readonly windows: number;
  /** Quantiles to forecast, ascending; 0.5 is among them. */
  readonly levels: readonly number[];
}

/** A forecast from the past of a series, beside what came. */
export interface BacktestWindow {
  /** Which series, counted from 0. */
  readonly series: number;
  /** Values that the method had. */
  readonly origin: number;
  /** At the levels, each of `horizon` steps. */
  readonly quantiles: LevelRows;
  /** Of this window alone. */
  readonly measures: Measures;
}

/** What a method reached. */
export interface BacktestResult {
  /** Means over the windows of each series, and of these over the series. */
  readonly measures: Measures;
  /** Those of the first series first. */
  readonly windows: readonly BacktestWindow[];
}

/** Of some windows of a method: means over those of each series, and of these over the series. */
export function measuresOf(windows: readonly BacktestWindow[]): Measures {
  const series = [...new Set(windows.map((window) => window.series))];
  return meanMeasures(
    series.map((s) =>
      meanMeasures(windows.filter((window) => window.series === s).map(({ measures }) => measures)),
    ),
  );
}

/** Values that a history has at least. */
const SHORTEST = 3;

/**
 * Measures methods by rolling origin: each sees copies of the values before an origin, of covariates that are known
 * those up to the horizon, and nothing else. A series too short for all windows has those that leave it 3 values or
 * more. Throws a data error for a series that has none.
 */
export async function backtest(
  series: readonly BacktestSeries[],
  methods: Readonly<Record<string, ForecastMethod>>,
  options: BacktestOptions,
): Promise<Record<string, BacktestResult>> {
  const { horizon, windows, levels } = options;
  checkWhole('horizon', horizon, 1);
  checkWhole('windows', windows, 1);
  checkQuantiles(levels);
  checkOption(levels.includes(0.5), 'levels', '0.5 among them', quote(levels));
  const places = series.flatMap((one, s) =>
    originsOf(one, horizon, windows).map((origin) => ({ s, origin })),
  );
  const results: Record<string, BacktestResult> = {};
  for (const [name, method] of Object.entries(methods)) {
    // Copies for each: what one method does to its histories is no other's matter.
    const histories = places.map(({ s, origin }) => historyAt(series[s], origin, horizon));
    const forecasts = await method(histories, horizon, levels);
    const measured = places.map(({ s, origin }, i): BacktestWindow => {
      const { values, season } = series[s];
      const scale = seasonalError(values.subarray(0, origin), season);
      const actual = values.subarray(origin, origin + horizon);
      return {
        series: s,
        origin,
        quantiles: forecasts[i],
        measures: measure(forecasts[i], levels, actual, scale),
      };
    });
    results[name] = { measures: measuresOf(measured), windows: measured };
  }
  return results;
}

function originsOf({ id, values }: BacktestSeries, horizon: number, windows: number): number[] {
  const origins = Array.from({ length: windows }, (_, w) => values.length - (windows - w) * horizon).filter(
    (origin) => countPresent(values.subarray(0, Math.max(0, origin))) >= SHORTEST,
  );
  if (origins.length > 0) return origins;
  throw new XlstmError(
    'data',
    `${id === '' ? 'the series' : `series ${quote(id)}`}: expected at least ${SHORTEST + horizon} values to test a forecast of ${horizon}, found ${countPresent(values)}`,
    'Forecast fewer steps, or leave the test out.',
  );
}

const countPresent = (values: Float64Array): number =>
  values.reduce((count, value) => count + (Number.isNaN(value) ? 0 : 1), 0);

function historyAt(
  { values, season, together, past, known }: BacktestSeries,
  origin: number,
  horizon: number,
): ForecastHistory {
  const cut = (columns: ForecastHistory['past'], length: number): Record<string, Float64Array> =>
    Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column.slice(0, length)]));
  return {
    values: values.slice(0, origin),
    season,
    together,
    past: cut(past, origin),
    known: cut(known, origin + horizon),
  };
}
