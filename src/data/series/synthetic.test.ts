import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { syntheticKinds, syntheticSeries } from './synthetic.ts';

/** Correlation of a series with itself a lag later. */
function autocorrelation(values: Float64Array, lag: number): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let products = 0;
  let squares = 0;
  for (let t = 0; t < values.length; t++) {
    squares += (values[t] - mean) ** 2;
    if (t >= lag) products += (values[t] - mean) * (values[t - lag] - mean);
  }
  return products / squares;
}

const many = (kind: (typeof syntheticKinds)[number], count = 40): Float64Array[] => {
  const random = new Random(7);
  return Array.from({ length: count }, () => syntheticSeries(random, 600, kind));
};
const share = (series: Float64Array[], is: (values: Float64Array) => boolean): number =>
  series.filter(is).length / series.length;

describe('synthetic series', () => {
  it('are finite, vary, and are the same for the same seed', () => {
    const [one, other] = [new Random(11), new Random(11)];
    for (let i = 0; i < 300; i++) {
      const values = syntheticSeries(one, 200);
      expect(values).toHaveLength(200);
      expect(values.every((value) => Number.isFinite(value))).toBe(true);
      expect(syntheticSeries(other, 200)).toEqual(values);
    }
    expect(syntheticSeries(new Random(1), 50)).not.toEqual(syntheticSeries(new Random(2), 50));
  });

  it('of each kind are what it says', () => {
    expect(share(many('noise'), (values) => Math.abs(autocorrelation(values, 1)) < 0.2)).toBeGreaterThan(0.9);
    expect(share(many('autoregressive'), (values) => autocorrelation(values, 1) > 0.3)).toBeGreaterThan(0.7);
    expect(
      share(many('intermittent'), (values) => values.filter((v) => v === 0).length > 200),
    ).toBeGreaterThan(0.8);
    const apart = (values: Float64Array): number => Math.abs(values.at(-1)! - values[0]);
    const differing = (kind: 'trend' | 'noise'): number => many(kind).reduce((sum, v) => sum + apart(v), 0);
    expect(differing('trend')).toBeGreaterThan(2 * differing('noise'));
    const periodic = (values: Float64Array): boolean =>
      [4, 5, 7, 12, 24, 48, 52, 96, 144, 168].some((period) => autocorrelation(values, period) > 0.5);
    expect(share(many('season'), periodic)).toBeGreaterThan(0.5);
    expect(share(many('jumps'), (values) => autocorrelation(values, 5) > 0.5)).toBeGreaterThan(0.6);
    expect(syntheticKinds).toHaveLength(6);
  });
});
