import type { LevelRows } from './levels.ts';

/** What a method forecasts from. */
export interface ForecastHistory {
  /** The values so far; NaN where one is missing. */
  readonly values: Float64Array;
  /** Steps after which the series usually repeats itself; 1: none. */
  readonly season: number;
  /** Targets of one moment: histories of the same name here that are as long as each other. Default: it is alone. */
  readonly together?: string | undefined;
  /** Covariates up to the last value, each as long as `values`. */
  readonly past: Readonly<Record<string, Float64Array>>;
  /** Covariates up to the horizon, each as long as `values` and the horizon together. */
  readonly known: Readonly<Record<string, Float64Array>>;
}

/** A way to forecast: of each history the quantiles at `levels`, which ascend between 0 and 1, of the next `horizon` steps. */
export type ForecastMethod = (
  histories: readonly ForecastHistory[],
  horizon: number,
  levels: readonly number[],
) => Promise<readonly LevelRows[]> | readonly LevelRows[];
