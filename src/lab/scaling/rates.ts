import type { StudyCell } from './cell.ts';
import type { StudyRecord } from './records.ts';

/** The best learning rate of a model of one size, as the sweep tells. */
export interface BestRate {
  readonly size: number;
  readonly rate: number;
  /** The best rate tried was the smallest or largest: what lies beyond was not tried. */
  readonly atEdge: boolean;
}

/** How far a fitted rate may fall with size, as a power: two sizes alone would tell more than they know. */
const EXPONENTS = [-0.5, 0] as const;

/**
 * The least of a parabola through the losses of the best rate and of its neighbours, over the logarithm of the rate; at an
 * edge of the rates that were tried, that rate. Undefined where fewer than two rates came to an end.
 */
export function bestRate(
  size: number,
  tried: readonly { rate: number; loss: number }[],
): BestRate | undefined {
  if (tried.length < 2) return undefined;
  const sorted = [...tried].sort((a, b) => a.rate - b.rate);
  const least = sorted.reduce((best, { loss }, i) => (loss < sorted[best].loss ? i : best), 0);
  if (least === 0 || least === sorted.length - 1) return { size, rate: sorted[least].rate, atEdge: true };
  const [[x0, y0], [x1, y1], [x2, y2]] = sorted
    .slice(least - 1, least + 2)
    .map(({ rate, loss }) => [Math.log(rate), loss]);
  const left = (x1 - x0) * (y1 - y2);
  const right = (x1 - x2) * (y1 - y0);
  // Of equal losses any rate is the best.
  const vertex = left === right ? x1 : x1 - ((x1 - x0) * left - (x1 - x2) * right) / (2 * (left - right));
  return { size, rate: Math.exp(vertex), atEdge: false };
}

/** The learning rate of any size of a model: a power of the size through the best rates of the sweep. */
export interface RateRule {
  readonly best: readonly BestRate[];
  readonly exponent: number;
  rate(size: number): number;
}

/** Undefined where the sweep of a model has not come far enough. */
export function rateRule(records: readonly StudyRecord[], model: StudyCell['model']): RateRule | undefined {
  const swept = records.filter((record) => record.kind === 'rate' && record.model === model);
  const sizes = [...new Set(swept.map(({ size }) => size))].sort((a, b) => a - b);
  const best = sizes.flatMap((size) => {
    const tried = swept.flatMap(({ size: at, rate, loss }) =>
      at === size && rate !== undefined && loss ? [{ rate, loss: loss.token }] : [],
    );
    return bestRate(size, tried) ?? [];
  });
  if (best.length === 0) return undefined;
  const [first, last] = [best[0], best[best.length - 1]];
  const found = first === last ? 0 : Math.log(last.rate / first.rate) / Math.log(last.size / first.size);
  const exponent = Math.min(EXPONENTS[1], Math.max(EXPONENTS[0], found));
  // Through the middle of what was found, also where the exponent is bounded.
  const center = best.reduce((sum, { rate, size }) => sum + Math.log(rate) - exponent * Math.log(size), 0);
  const offset = center / best.length;
  return { best, exponent, rate: (size) => Math.exp(offset + exponent * Math.log(size)) };
}
