/** Values of a series; NaN where one is missing. */
export type Values = ArrayLike<number>;

/** Scaled values are (x − mean) / scale. */
export interface Scale {
  readonly mean: number;
  readonly scale: number;
}

/** Of the values that are not missing. */
export interface Moments {
  readonly count: number;
  /** 0 where all are missing. */
  readonly mean: number;
  /** The root of the mean square difference from the mean. */
  readonly deviation: number;
}

/** Computed in float64: the rounding of a constant series' mean must not become its scale. */
export function momentsOf(values: Values): Moments {
  let count = 0;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    count++;
    sum += values[i];
  }
  if (count === 0) return { count, mean: 0, deviation: 0 };
  let mean = sum / count;
  // A second pass takes away the rounding of the first: equal values have themselves as their mean.
  let rest = 0;
  for (let i = 0; i < values.length; i++) if (!Number.isNaN(values[i])) rest += values[i] - mean;
  mean += rest / count;
  let squares = 0;
  for (let i = 0; i < values.length; i++) if (!Number.isNaN(values[i])) squares += (values[i] - mean) ** 2;
  return { count, mean, deviation: Math.sqrt(squares / count) };
}

/**
 * Mean and root mean square deviation of what is not missing, 0 and 1 where all is; of equal values the scale is |mean| +
 * 1e-5.
 */
export function scaleOf(values: Values): Scale {
  const { count, mean, deviation } = momentsOf(values);
  if (count === 0) return { mean, scale: 1 };
  return { mean, scale: deviation > 0 ? deviation : Math.abs(mean) + 1e-5 };
}

/** The last `length` values; NaN before those of a shorter series. */
export function lastValues(values: Values, length: number): Float64Array {
  const window = new Float64Array(length).fill(Number.NaN);
  const taken = Math.min(length, values.length);
  for (let i = 0; i < taken; i++) window[length - taken + i] = values[values.length - taken + i];
  return window;
}

/**
 * Tokens [L, 2·P] of a series whose length is a multiple of P: of each patch its scaled values, 0 where one is missing, and then
 * flags, 1 where it is there. Written from `at` on.
 */
export function writePatches(
  tokens: Float64Array,
  at: number,
  values: Values,
  patchSize: number,
  scaled: (value: number) => number,
): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    const step = i % patchSize;
    const token = at + 2 * (i - step);
    tokens[token + step] = scaled(values[i]);
    tokens[token + patchSize + step] = 1;
  }
}
