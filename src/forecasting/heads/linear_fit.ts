import { cholesky, type Rows, solve } from './cholesky.ts';

/** W x + b, a row of weights for each output. */
export interface LinearMap<Numbers extends ArrayLike<number> = Float64Array> {
  readonly outputs: number;
  /** [outputs, width] */
  readonly weights: Numbers;
  readonly bias: Numbers;
}

/** Fits of the same rows with each of some penalties, the largest first. */
export type Fit<Labels> = (rows: Rows, labels: Labels, penalties: readonly number[]) => LinearMap[];

/** What the map makes of a row that begins at `at`. */
export function outputsOf(
  { outputs, weights, bias }: LinearMap<ArrayLike<number>>,
  values: ArrayLike<number>,
  at = 0,
): Float64Array {
  const width = weights.length / outputs;
  return Float64Array.from({ length: outputs }, (_, k) => {
    let sum = bias[k];
    for (let j = 0; j < width; j++) sum += weights[k * width + j] * values[at + j];
    return sum;
  });
}

/** exp(x − max) over its sum, in place. */
export function softmax(scores: Float64Array): Float64Array {
  const most = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (let k = 0; k < scores.length; k++) {
    scores[k] = Math.exp(scores[k] - most);
    sum += scores[k];
  }
  for (let k = 0; k < scores.length; k++) scores[k] /= sum;
  return scores;
}

/** Least ½ Σ (w x + b − y)² + ½ penalty |w|², in closed form. */
export const fitRidge: Fit<Float64Array> = (rows, targets, penalties) => {
  const gram = gramOf(rows);
  const right = new Float64Array(rows.width + 1);
  eachRow(rows, (row, i) => {
    for (let j = 0; j < row.length; j++) right[j] += targets[i] * row[j];
    right[row.length] += targets[i];
  });
  return penalties.map((penalty) => {
    const solution = right.slice();
    solve(factorOf(gram, rows.width, 1, penalty), solution);
    return { outputs: 1, weights: solution.slice(0, -1), bias: solution.slice(-1) };
  });
};

/** Steps after which a fit ends where it is. */
const MOST_STEPS = 1000;
/** A step that moves nothing farther ends it. */
const SETTLED = 1e-7;

/**
 * Least − Σ log p(class) + ½ penalty |W|², p the softmax of W x + b. ½ XᵀX bounds the curvature of the first part for each class
 * (Böhning 1992), so that every step solves the same factored system; steps gain momentum (Nesterov 1983), which
 * is dropped where it leads uphill. Each penalty goes on from the result of the one before.
 */
export const fitLogistic =
  (classes: number): Fit<Int32Array> =>
  (rows, labels, penalties) => {
    const { width } = rows;
    const size = width + 1;
    const gram = gramOf(rows);
    const found = Array.from({ length: classes }, () => new Float64Array(size));
    const before = found.map((one) => one.slice());
    return penalties.map((penalty) => {
      const factor = factorOf(gram, width, 0.5, penalty);
      let momentum = 0;
      for (const [k, one] of found.entries()) before[k].set(one);
      for (let step = 0; step < MOST_STEPS; step++) {
        const share = momentum / (momentum + 3);
        const from = found.map((one, k) => one.map((value, j) => value + share * (value - before[k][j])));
        const gradient = logisticGradient(rows, labels, from, penalty);
        let moved = 0;
        let uphill = 0;
        let largest = 1;
        for (let k = 0; k < classes; k++) {
          const move = gradient[k].slice();
          solve(factor, move);
          for (let j = 0; j < size; j++) {
            const next = from[k][j] - move[j];
            const delta = next - found[k][j];
            uphill += gradient[k][j] * delta;
            moved = Math.max(moved, Math.abs(delta));
            largest = Math.max(largest, Math.abs(next));
            before[k][j] = found[k][j];
            found[k][j] = next;
          }
        }
        momentum = uphill > 0 ? 0 : momentum + 1;
        if (moved < SETTLED * largest) break;
      }
      const weights = new Float64Array(classes * width);
      for (const [k, one] of found.entries()) weights.set(one.subarray(0, width), k * width);
      return { outputs: classes, weights, bias: Float64Array.from(found, (one) => one[width]) };
    });
  };

function logisticGradient(
  rows: Rows,
  labels: Int32Array,
  at: readonly Float64Array[],
  penalty: number,
): Float64Array[] {
  const { width } = rows;
  const gradient = at.map((one) => one.map((value, j) => (j < width ? penalty * value : 0)));
  const scores = new Float64Array(at.length);
  eachRow(rows, (row, i) => {
    for (const [k, one] of at.entries()) {
      let score = one[width];
      for (let j = 0; j < width; j++) score += one[j] * row[j];
      scores[k] = score;
    }
    softmax(scores);
    for (const [k, one] of gradient.entries()) {
      const error = scores[k] - Number(labels[i] === k);
      for (let j = 0; j < width; j++) one[j] += error * row[j];
      one[width] += error;
    }
  });
  return gradient;
}

/** [X 1]ᵀ[X 1], the lower half. */
function gramOf(rows: Rows): Float64Array {
  const size = rows.width + 1;
  const gram = new Float64Array(size * size);
  const extended = new Float64Array(size).fill(1);
  eachRow(rows, (row) => {
    extended.set(row);
    for (let a = 0; a < size; a++)
      for (let b = 0; b <= a; b++) gram[a * size + b] += extended[a] * extended[b];
  });
  return gram;
}

/** Of factor · gram with the penalty on all but the bias. */
function factorOf(gram: Float64Array, width: number, factor: number, penalty: number): Float64Array {
  const size = width + 1;
  const matrix = gram.map((value) => factor * value);
  for (let j = 0; j < width; j++) matrix[j * size + j] += penalty;
  return cholesky(matrix, size);
}

function eachRow({ count, width, values }: Rows, run: (row: Float64Array, i: number) => void): void {
  for (let i = 0; i < count; i++) run(values.subarray(i * width, (i + 1) * width), i);
}
