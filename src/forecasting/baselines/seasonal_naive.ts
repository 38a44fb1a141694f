import type { ForecastHistory, ForecastMethod } from '../forecast_method.ts';
import type { LevelRows } from '../levels.ts';
import { normalQuantiles } from './normal.ts';

/**
 * The value of one season before, again and again; with a season of 1 the last value. What is missing there is taken
 * from the season before that one. Bands are normal with the deviation of the errors that this made in the history, growing by the
 * root of the seasons ahead. A history shorter than two seasons has none.
 */
export const seasonalNaive: ForecastMethod = (histories, horizon, levels) =>
  histories.map((history) => forecast(history, horizon, levels));

function forecast(
  { values, season }: ForecastHistory,
  horizon: number,
  levels: readonly number[],
): LevelRows {
  const period = values.length >= 2 * season ? season : 1;
  const last = lastSeason(values, period);
  const deviation = seasonalDeviation(values, period);
  const middle = Float64Array.from({ length: horizon }, (_, h) => last[h % period]);
  return normalQuantiles(middle, (step) => deviation * Math.sqrt(Math.ceil(step / period)), levels);
}

/** The last value at each place of the season; where there never was one, the last value of all. */
function lastSeason(values: Float64Array, period: number): Float64Array {
  const last = values.findLast((value) => !Number.isNaN(value)) ?? Number.NaN;
  return Float64Array.from({ length: period }, (_, place) => {
    for (let t = values.length - period + place; t >= 0; t -= period) {
      if (!Number.isNaN(values[t])) return values[t];
    }
    return last;
  });
}

/** Root mean square of the differences over a season. */
function seasonalDeviation(values: Float64Array, period: number): number {
  let sum = 0;
  let count = 0;
  for (let t = period; t < values.length; t++) {
    const difference = values[t] - values[t - period];
    if (Number.isNaN(difference)) continue;
    sum += difference * difference;
    count++;
  }
  return count > 0 ? Math.sqrt(sum / count) : 0;
}
