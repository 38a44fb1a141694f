import { invariant } from '../../errors.ts';

/** Rows of numbers of one width, one behind another. */
export interface Rows {
  readonly count: number;
  readonly width: number;
  /** [count, width] */
  readonly values: Float64Array;
}

/** The lower factor L of a symmetric positive definite matrix [size, size]: A = L Lᵀ. Of A the lower half is read. */
export function cholesky(matrix: Float64Array, size: number): Float64Array {
  const factor = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * size + j];
      for (let k = 0; k < j; k++) sum -= factor[i * size + k] * factor[j * size + k];
      if (i === j) invariant(sum > 0, 'cholesky: the matrix is not positive definite');
      factor[i * size + j] = i === j ? Math.sqrt(sum) : sum / factor[j * size + j];
    }
  }
  return factor;
}

/** Puts the solution of L Lᵀ x = b in the place of b. */
export function solve(factor: Float64Array, b: Float64Array): void {
  const size = b.length;
  for (let i = 0; i < size; i++) {
    let sum = b[i];
    for (let k = 0; k < i; k++) sum -= factor[i * size + k] * b[k];
    b[i] = sum / factor[i * size + i];
  }
  solveTransposed(factor, size, b);
}

/** Of Lᵀ x = b, of the first `b.length` rows and columns of L, whose rows are `stride` apart. */
function solveTransposed(factor: Float64Array, stride: number, b: Float64Array): void {
  for (let i = b.length - 1; i >= 0; i--) {
    const value = b[i] / factor[i * stride + i];
    b[i] = value;
    for (let k = 0; k < i; k++) b[k] -= factor[i * stride + k] * value;
  }
}

/** Rows in other coordinates, in which lengths and angles are the same. */
export interface ReducedRows {
  readonly rows: Rows;
  /** Weights for the reduced rows to those for the rows that were given, which have the same products and length. */
  expand(weights: Float64Array): Float64Array;
}

/** What is left of a row relative to the longest, below which it is rounding. */
const RANK_TOLERANCE = 1e-12;

/**
 * Rows of at most as many numbers as there are rows. Where rows are wider, products between rows are all that counts to a
 * linear model with a penalty on the length of its weights: X Xᵀ = Z Zᵀ by pivoted Cholesky, Z as wide as the rank.
 */
export function reduced(rows: Rows): ReducedRows {
  const { count, width, values } = rows;
  if (width <= count) return { rows, expand: (weights) => weights };
  const left = Float64Array.from({ length: count }, (_, i) => product(values, i * width, i * width, width));
  const tolerance = RANK_TOLERANCE * left.reduce((most, value) => Math.max(most, value), 0);
  const z = new Float64Array(count * count);
  const pivots: number[] = [];
  for (let r = 0; r < count; r++) {
    let pivot = 0;
    for (let i = 1; i < count; i++) if (left[i] > left[pivot]) pivot = i;
    if (!(left[pivot] > tolerance)) break;
    pivots.push(pivot);
    const root = Math.sqrt(left[pivot]);
    for (let i = 0; i < count; i++) {
      const rest = product(values, i * width, pivot * width, width) - product(z, i * count, pivot * count, r);
      z[i * count + r] = i === pivot ? root : pivots.includes(i) ? 0 : rest / root;
    }
    for (let i = 0; i < count; i++) left[i] -= z[i * count + r] ** 2;
    left[pivot] = 0;
  }
  const rank = pivots.length;
  const narrow = new Float64Array(count * rank);
  for (let i = 0; i < count; i++) narrow.set(z.subarray(i * count, i * count + rank), i * rank);
  return {
    rows: { count, width: rank, values: narrow },
    expand(weights) {
      const factor = new Float64Array(rank * rank);
      for (const [r, pivot] of pivots.entries())
        factor.set(narrow.subarray(pivot * rank, (pivot + 1) * rank), r * rank);
      const shares = weights.slice(0, rank);
      solveTransposed(factor, rank, shares);
      const expanded = new Float64Array(width);
      for (const [r, pivot] of pivots.entries())
        for (let j = 0; j < width; j++) expanded[j] += shares[r] * values[pivot * width + j];
      return expanded;
    },
  };
}

function product(values: Float64Array, a: number, b: number, length: number): number {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += values[a + k] * values[b + k];
  return sum;
}
