import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { type Rows, reduced } from './cholesky.ts';
import { fitLogistic, fitRidge, outputsOf, softmax } from './linear_fit.ts';

const random = new Random(3);
const rowsOf = (count: number, width: number): Rows => ({
  count,
  width,
  values: Float64Array.from({ length: count * width }, () => random.normal()),
});
const row = ({ values, width }: Rows, i: number): Float64Array => values.subarray(i * width, (i + 1) * width);

/** Numerical gradient of a function of some numbers, as its largest element. */
function steepest(of: (at: Float64Array) => number, at: Float64Array): number {
  return at.reduce((most, _, j) => {
    const moved = (by: number): number => of(at.map((value, k) => (k === j ? value + by : value)));
    return Math.max(most, Math.abs(moved(1e-5) - moved(-1e-5)) / 2e-5);
  }, 0);
}

describe('a linear fit', () => {
  it('by ridge regression is where its loss is least', () => {
    const rows = rowsOf(20, 4);
    const targets = Float64Array.from({ length: 20 }, (_, i) => 3 + 2 * row(rows, i)[1] + random.normal());
    for (const [p, { weights, bias }] of fitRidge(rows, targets, [5, 0.1]).entries()) {
      const penalty = [5, 0.1][p];
      const loss = (at: Float64Array): number => {
        const map = { outputs: 1, weights: at.subarray(0, 4), bias: at.subarray(4) };
        const errors = targets.map((y, i) => outputsOf(map, row(rows, i))[0] - y);
        const squares = (values: Float64Array): number => values.reduce((sum, x) => sum + x * x, 0);
        return (squares(errors) + penalty * squares(map.weights)) / 2;
      };
      expect(steepest(loss, Float64Array.from([...weights, ...bias]))).toBeLessThan(1e-6);
    }
  });

  it('by logistic regression is where its loss is least', () => {
    const rows = rowsOf(30, 3);
    const labels = Int32Array.from({ length: 30 }, (_, i) => (row(rows, i)[0] > 0 ? 2 : i % 2));
    const penalties = [10, 0.3, 0.01];
    for (const [p, { weights, bias }] of fitLogistic(3)(rows, labels, penalties).entries()) {
      const loss = (at: Float64Array): number => {
        const map = { outputs: 3, weights: at.subarray(0, 9), bias: at.subarray(9) };
        let sum = 0;
        for (const [i, label] of labels.entries())
          sum -= Math.log(softmax(outputsOf(map, row(rows, i)))[label]);
        return sum + (penalties[p] / 2) * map.weights.reduce((squares, w) => squares + w * w, 0);
      };
      expect(steepest(loss, Float64Array.from([...weights, ...bias]))).toBeLessThan(1e-4);
    }
  });

  it('of rows that are wider than there are rows is that of the reduced rows', () => {
    const wide = rowsOf(6, 25);
    // One row depends on others.
    for (let j = 0; j < 25; j++) wide.values[5 * 25 + j] = wide.values[j] - 2 * wide.values[25 + j];
    const { rows, expand } = reduced(wide);
    expect(rows.width).toBe(5);
    const targets = Float64Array.from([1, -2, 0, 3, 1, 4]);
    const [direct] = fitRidge(wide, targets, [0.7]);
    const [other] = fitRidge(rows, targets, [0.7]);
    expect(other.bias[0]).toBeCloseTo(direct.bias[0], 10);
    for (const [j, weight] of expand(other.weights).entries())
      expect(weight).toBeCloseTo(direct.weights[j], 10);
  });
});
