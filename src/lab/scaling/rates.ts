import type { StudyCell } from './cell.ts';
import type { StudyRecord } from './records.ts';

/** The best learning rate of a model of one size, as the sweep tells. */
export interface BestRate {
  readonly size: number;
  readonly rate: number;
  /** The best rate tried was the smallest or largest: what lies beyond was not tried. */
  readonly atEdge: boolean;
}

/** A rate of the sweep and the loss that it came to: without end where the training diverged. */
export interface TriedRate {
  readonly rate: number;
  readonly loss: number;
}

/** Beyond these a sweep does not go. */
const LEAST_RATE = 1e-5;
const MOST_RATE = 1;

/** How far a fitted rate may fall with size, as a power: two sizes alone would tell more than they know. */
const EXPONENTS = [-0.5, 0] as const;

/**
 * The least of a parabola through the losses of the best rate and of its neighbours, over the logarithm of the rate; at an
 * edge of the rates that were tried, or beside one that diverged, that rate. Undefined where fewer than two rates came to
 * an end.
 */
export function bestRate(size: number, tried: readonly TriedRate[]): BestRate | undefined {
  if (tried.filter(({ loss }) => Number.isFinite(loss)).length < 2) return undefined;
  const { sorted, least } = ranked(tried);
  const around = sorted.slice(least - 1, least + 2);
  const atEdge = least === 0 || least === sorted.length - 1;
  if (atEdge || around.some(({ loss }) => !Number.isFinite(loss))) {
    return { size, rate: sorted[least].rate, atEdge };
  }
  const [[x0, y0], [x1, y1], [x2, y2]] = around.map(({ rate, loss }) => [Math.log(rate), loss]);
  const left = (x1 - x0) * (y1 - y2);
  const right = (x1 - x2) * (y1 - y0);
  // Of equal losses any rate is the best.
  const vertex = left === right ? x1 : x1 - ((x1 - x0) * left - (x1 - x2) * right) / (2 * (left - right));
  return { size, rate: Math.exp(vertex), atEdge: false };
}

/**
 * The rate to try next where the best so far is the smallest or the largest: as far beyond it as the first rates of the
 * sweep lie apart. Undefined where the best lies between others, or where a sweep ends.
 */
export function furtherRate(tried: readonly TriedRate[], planned: readonly number[]): number | undefined {
  if (tried.length < 2 || planned.length < 2) return undefined;
  const { sorted, least } = ranked(tried);
  const factor = planned[1] / planned[0];
  const beyond = (rate: number): number | undefined =>
    rate < LEAST_RATE || rate > MOST_RATE ? undefined : Number(rate.toPrecision(4));
  if (least === 0) return beyond(sorted[0].rate / factor);
  return least === sorted.length - 1 ? beyond(sorted[least].rate * factor) : undefined;
}

function ranked(tried: readonly TriedRate[]): {
  readonly sorted: readonly TriedRate[];
  readonly least: number;
} {
  const sorted = [...tried].sort((a, b) => a.rate - b.rate);
  return { sorted, least: sorted.reduce((best, { loss }, i) => (loss < sorted[best].loss ? i : best), 0) };
}

/** What the sweep of a model of one size has come to, but for cells that failed. */
export function triedRates(
  records: readonly StudyRecord[],
  { model, size }: Pick<StudyCell, 'model' | 'size'>,
): TriedRate[] {
  return records.flatMap((record) => {
    const { kind, rate, status, loss } = record;
    if (kind !== 'rate' || record.model !== model || record.size !== size || rate === undefined) return [];
    if (status === 'diverged') return [{ rate, loss: Number.POSITIVE_INFINITY }];
    return loss ? [{ rate, loss: loss.token }] : [];
  });
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
  const best = sizes.flatMap((size) => bestRate(size, triedRates(swept, { model, size })) ?? []);
  if (best.length === 0) return undefined;
  const [first, last] = [best[0], best[best.length - 1]];
  const found = first === last ? 0 : Math.log(last.rate / first.rate) / Math.log(last.size / first.size);
  const exponent = Math.min(EXPONENTS[1], Math.max(EXPONENTS[0], found));
  // Through the middle of what was found, also where the exponent is bounded.
  const center = best.reduce((sum, { rate, size }) => sum + Math.log(rate) - exponent * Math.log(size), 0);
  const offset = center / best.length;
  return { best, exponent, rate: (size) => Math.exp(offset + exponent * Math.log(size)) };
}
