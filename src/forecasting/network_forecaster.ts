import type { LevelRows } from './levels.ts';
import type { SeriesRows } from './series.ts';

/** Forecasts by a kind of network. Made for one model, and to be freed before it. */
export interface NetworkForecaster {
  /** The quantiles that the network gives, ascending. */
  readonly levels: readonly number[];
  /** Steps at the end of a series that it looks at. */
  readonly contextLength: number;
  /** Steps that it was made to forecast at most; beyond them it goes on, with bands that nobody has tested. */
  readonly testedHorizon: number;
  /** Whether variates of one series tell it something of each other. */
  readonly takesCovariates: boolean;
  /** Of each series and each of its targets a row of `horizon` steps for each level, in the units of the series. */
  forecast(series: readonly SeriesRows[], horizon: number): Promise<readonly (readonly LevelRows[])[]>;
  /** Gives the memory of its Programs back. */
  free(): void;
}

/** How many of `count` rows are run together, one run after another: few sizes, so that few Programs serve all counts. */
export function* runSizes(count: number, most: number): Generator<number> {
  for (let left = count, size = most; left > 0; size = size / 2) {
    for (; left >= size; left -= size) yield size;
  }
}
