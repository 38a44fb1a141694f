import type { LevelRows } from './levels.ts';

/** A trend is as steep as this, in deviations over the whole row, */
const LEAST_RISE = 1.5;
/** and explains this share of the variance. */
const LEAST_SHARE = 0.87;
const LEAST_OBSERVED = 4;
const LEAST_DEVIATION = 1e-12;

/** Whether a row has a trend so strong that it is forecast by its differences. NaN: missing. */
export function hasTrend(row: Float64Array): boolean {
  let count = 0;
  let [meanTime, mean] = [0, 0];
  for (let t = 0; t < row.length; t++) {
    if (Number.isNaN(row[t])) continue;
    count++;
    // Means as they are so far: sums of large values would lose digits.
    meanTime += (t - meanTime) / count;
    mean += (row[t] - mean) / count;
  }
  if (count < LEAST_OBSERVED) return false;
  let [squares, timeSquares, products] = [0, 0, 0];
  for (let t = 0; t < row.length; t++) {
    if (Number.isNaN(row[t])) continue;
    squares += (row[t] - mean) ** 2;
    timeSquares += (t - meanTime) ** 2;
    products += (t - meanTime) * (row[t] - mean);
  }
  const deviation = Math.sqrt(squares / (count - 1));
  if (deviation < LEAST_DEVIATION) return false;
  const slope = products / timeSquares / deviation;
  const share = products ** 2 / (timeSquares * squares);
  return Math.abs(slope) * row.length >= LEAST_RISE && share >= LEAST_SHARE;
}

/** 0, and then what each value is more than the one before it; NaN where either is missing. */
export const differencesOf = (row: Float64Array): Float64Array =>
  row.map((value, t) => (t === 0 ? 0 : value - row[t - 1]));

/** What is not missing, the last one; 0 where all is. */
export const lastObserved = (row: Float64Array): number => row.findLast((value) => !Number.isNaN(value)) ?? 0;

/** How far the bands of a row are moved apart with the step t. */
const PLAIN = { factor: Math.sqrt(0.9), power: 0.02 };
const DIFFERENCED = { factor: Math.sqrt(1.68), power: 0.01 };

/** The bands around the median of a row that was forecast as it is. `raw`: a row of steps for each level. */
export function widened(raw: LevelRows): LevelRows {
  const median = medianOf(raw);
  return raw.map((row) =>
    row.map((value, h) => median[h] + PLAIN.factor * (h + 1) ** PLAIN.power * (value - median[h])),
  );
}

/**
 * The forecast of a row whose differences were forecast: medians add up from the last value, distances from the median as
 * those of independent steps, on the side on which they are in sum over the first `horizon` steps.
 */
export function summed(raw: LevelRows, last: number, horizon = raw[0].length): LevelRows {
  const median = medianOf(raw);
  return raw.map((row) => {
    const side = row.subarray(0, horizon).reduce((sum, value, h) => sum + (value - median[h]), 0);
    let [level, squares] = [last, 0];
    return row.map((value, h) => {
      level += median[h];
      squares += (value - median[h]) ** 2;
      return level + Math.sign(side) * DIFFERENCED.factor * (h + 1) ** DIFFERENCED.power * Math.sqrt(squares);
    });
  });
}

const medianOf = (raw: LevelRows): Float64Array => raw[Math.floor(raw.length / 2)];
