import type { LevelRows } from './levels.ts';

/** How far forecasts of a stretch were from what came. What cannot be measured is NaN. */
export interface Measures {
  /** Mean absolute error of the median, in units of `seasonalError`: below 1 is better than repeating the last season. */
  readonly mase: number;
  /** Mean over levels and steps of twice the pinball loss, in units of `seasonalError`. */
  readonly scaledQuantileLoss: number;
  /** Sum over steps and mean over levels of twice the pinball loss, over the sum of what came, without signs. */
  readonly weightedQuantileLoss: number;
  /** The share of steps between the lowest and the highest level. */
  readonly coverage: number;
}

/** Mean absolute difference of values a season apart; 0 where they repeat exactly, NaN where there are none. */
export function seasonalError(history: Float64Array, season: number): number {
  const period = history.length > season ? season : 1;
  let sum = 0;
  let count = 0;
  for (let t = period; t < history.length; t++) {
    const difference = Math.abs(history[t] - history[t - period]);
    if (Number.isNaN(difference)) continue;
    sum += difference;
    count++;
  }
  return sum / count;
}

/**
 * Measures quantiles at `levels`, 0.5 among them, against the values that came, of which missing ones do not count.
 * `scale` is `seasonalError` of the history; where it is 0 nothing can be scaled.
 */
export function measure(
  quantiles: LevelRows,
  levels: readonly number[],
  actual: Float64Array,
  scale: number,
): Measures {
  const median = quantiles[levels.indexOf(0.5)];
  const low = quantiles[0];
  const high = quantiles[quantiles.length - 1];
  let count = 0;
  let absolute = 0;
  let pinball = 0;
  let inside = 0;
  let size = 0;
  for (const [h, value] of actual.entries()) {
    if (Number.isNaN(value)) continue;
    count++;
    size += Math.abs(value);
    absolute += Math.abs(value - median[h]);
    if (value >= low[h] && value <= high[h]) inside++;
    for (const [i, level] of levels.entries()) {
      const error = value - quantiles[i][h];
      pinball += (2 * Math.max(level * error, (level - 1) * error)) / levels.length;
    }
  }
  const unit = scale > 0 ? scale : Number.NaN;
  return {
    mase: absolute / count / unit,
    scaledQuantileLoss: pinball / count / unit,
    weightedQuantileLoss: pinball / (size > 0 ? size : Number.NaN),
    coverage: inside / count,
  };
}

/** The mean of each measure over those stretches that have it. */
export function meanMeasures(all: readonly Measures[]): Measures {
  const mean = (of: (measures: Measures) => number): number => {
    const known = all.map(of).filter((value) => Number.isFinite(value));
    return known.reduce((sum, value) => sum + value, 0) / known.length;
  };
  return {
    mase: mean(({ mase }) => mase),
    scaledQuantileLoss: mean(({ scaledQuantileLoss }) => scaledQuantileLoss),
    weightedQuantileLoss: mean(({ weightedQuantileLoss }) => weightedQuantileLoss),
    coverage: mean(({ coverage }) => coverage),
  };
}
