const CENTRAL = [
  [
    2.506628277459239, -30.66479806614716, 138.357751867269, -275.9285104469687, 220.9460984245205,
    -39.69683028665376,
  ],
  [1, -13.28068155288572, 66.80131188771972, -155.6989798598866, 161.5858368580409, -54.47609879822406],
] as const;
const TAIL = [
  [
    2.938163982698783, 4.374664141464968, -2.549732539343734, -2.400758277161838, -0.3223964580411365,
    -0.007784894002430293,
  ],
  [1, 3.754408661907416, 2.445134137142996, 0.3224671290700398, 0.007784695709041462],
] as const;
const TAIL_BEGINS = 0.02425;

const polynomial = (coefficients: readonly number[], x: number): number =>
  coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0);

/** Quantile of the standard normal distribution, to 1.2e-9 of its value (rational approximations of Acklam 2003). */
export function normalQuantile(level: number): number {
  if (level > 1 - TAIL_BEGINS) return -normalQuantile(1 - level);
  if (level < TAIL_BEGINS) {
    const x = Math.sqrt(-2 * Math.log(level));
    return polynomial(TAIL[0], x) / polynomial(TAIL[1], x);
  }
  const x = level - 0.5;
  return (x * polynomial(CENTRAL[0], x * x)) / polynomial(CENTRAL[1], x * x);
}

/** Normal quantiles at each level around forecasts with these standard deviations. */
export const normalQuantiles = (
  middle: ArrayLike<number>,
  deviation: (step: number) => number,
  levels: readonly number[],
): Float64Array[] =>
  levels.map((level) => {
    const z = normalQuantile(level);
    return Float64Array.from(middle, (value, h) => value + z * deviation(h + 1));
  });
