import type { HiddenReader } from './embedding.ts';
import type { LevelRows } from './levels.ts';
import type { SeriesRows } from './series.ts';

/** Ways of TiRex-2 to forecast. */
export interface NetworkForecastOptions {
  /** The mean of the forecasts of the series and of its negative, at twice the cost. Default: what the model's file says. */
  readonly signFlip?: boolean | undefined;
  /** Targets with a strong trend are forecast by their differences. Default: what the model's file says. */
  readonly differencing?: boolean | undefined;
  /**
   * Series shorter than the model's context are filled up with missing values, as in its training. Otherwise they are filled up to
   * the longest one alone, on which the others' forecasts then depend. Default: true.
   */
  readonly padContext?: boolean | undefined;
}

/** Forecasts by a kind of network. Made for one model, and to be freed before it. */
export interface NetworkForecaster {
  /** What its blocks make of samples. */
  readonly reader: HiddenReader;
  /** The quantiles that the network gives, ascending. */
  readonly levels: readonly number[];
  /** Steps at the end of a series that it looks at. */
  readonly contextLength: number;
  /** Steps that it was made to forecast at most; beyond them it goes on, with bands that nobody has tested. */
  readonly testedHorizon: number;
  /** The ways of NetworkForecastOptions that it knows. */
  readonly ways: readonly (keyof NetworkForecastOptions)[];
  /** Whether variates of one series tell it something of each other. */
  readonly takesCovariates: boolean;
  /** Of each series and each of its targets a row of `horizon` steps for each level, in the units of the series. */
  forecast(
    series: readonly SeriesRows[],
    horizon: number,
    options: NetworkForecastOptions,
  ): Promise<readonly (readonly LevelRows[])[]>;
  /** Gives the memory of its Programs back. */
  free(): void;
}

/** How many of `count` rows are run together, one run after another: few sizes, so that few Programs serve all counts. */
export function* runSizes(count: number, most: number): Generator<number> {
  for (let left = count, size = most; left > 0; size = size / 2) {
    for (; left >= size; left -= size) yield size;
  }
}
