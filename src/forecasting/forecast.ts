import type { LevelRows } from './levels.ts';

/** The forecast of one target. */
export interface TargetForecast {
  /** Of each level a row of `horizon` steps. Rows of neighbouring levels may cross. */
  readonly quantiles: LevelRows;
  /** The row of 0.5. */
  readonly median: Float64Array;
}

/** The forecast of a series: what it has of its own is that of its first target. */
export interface Forecast extends TargetForecast {
  /** Those that were asked for. */
  readonly levels: readonly number[];
  /** Of each target by its name. */
  readonly targets: Readonly<Record<string, TargetForecast>>;
  /** Of each step; undefined where the series has no times. */
  readonly times: readonly Date[] | undefined;
  /** What a reader should know of the bands, in whole sentences; most forecasts have none. */
  readonly warnings: readonly string[];
}
