import { uniformHash } from '../../../program/random.ts';

/** `count` numbers uniform in ±scale, the same for the same seed. */
export const randomValues = (count: number, seed: number, scale = 1): Float64Array =>
  Float64Array.from({ length: count }, (_, i) => (2 * uniformHash(seed, 1, i) - 1) * scale);

export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};

/** max|a − b| / max(max|b|, 1e-2): how two tensors are compared throughout. */
export function tensorError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0;
  let largest = 1e-2;
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(actual[i])) return Infinity;
    difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return difference / largest;
}
