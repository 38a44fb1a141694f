import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { bootstrap, bootstrapLaw, bootstrapMean, decided, difference, estimate } from './bootstrap.ts';
import { type FitPoint, fitPowerLaw, type PowerLaw, predictedLoss } from './fit.ts';

/** In the order of what Hoffmann et al. 2022 found. */
const SURFACE: PowerLaw = {
  irreducible: 1.7,
  terms: [
    { factor: 400, exponent: 0.34 },
    { factor: 410, exponent: 0.28 },
  ],
};
const CURVE: PowerLaw = { irreducible: 2, terms: [{ factor: 300, exponent: 0.2 }] };

function noisy(law: PowerLaw, resources: readonly number[][], noise: number, seed = 1): FitPoint[] {
  const random = new Random(seed);
  return resources.map((at) => ({
    resources: at,
    loss: predictedLoss(law, at) * Math.exp(noise * random.normal()),
  }));
}

const grid = [3e4, 1e5, 3e5, 1e6, 3e6].flatMap((n) => [20, 60, 200].map((ratio) => [n, ratio * n]));
const budgets = [1e11, 3e11, 1e12, 3e12, 1e13, 3e13, 1e14, 3e14].map((c) => [c]);

describe('a power law', () => {
  it.each([
    ['of parameters and tokens', SURFACE, grid],
    ['of operations', CURVE, budgets],
  ])('%s is found from exact points', (_, law, resources) => {
    const found = fitPowerLaw(noisy(law, resources, 0));
    expect(found?.irreducible).toBeCloseTo(law.irreducible, 3);
    law.terms.forEach(({ factor, exponent }, k) => {
      expect(found?.terms[k].exponent).toBeCloseTo(exponent, 3);
      expect(Math.abs((found?.terms[k].factor ?? 0) / factor - 1)).toBeLessThan(0.02);
    });
  });

  it.each([
    ['of parameters and tokens', SURFACE, grid],
    ['of operations', CURVE, budgets],
  ])('%s lies in the intervals that noisy points give', (_, law, resources) => {
    const sampled = bootstrapLaw(noisy(law, resources, 0.003), 'test');
    expect(sampled?.samples.length).toBe(200);
    if (!sampled) return;
    const within = (of: (one: PowerLaw) => number): void => {
      const { low, high } = estimate(sampled, of);
      expect(low).toBeLessThan(of(law));
      expect(high).toBeGreaterThan(of(law));
    };
    within(({ irreducible }) => irreducible);
    law.terms.forEach((__, k) => {
      within(({ terms }) => terms[k].exponent);
    });
    const middle = resources[Math.floor(resources.length / 2)];
    within((one) => predictedLoss(one, middle));
    // And they say something.
    const { low, high } = estimate(sampled, (one) => predictedLoss(one, middle));
    expect(high - low).toBeLessThan(0.02 * predictedLoss(law, middle));
  });

  it('hardly moves for one point that is far off', () => {
    const points = noisy(CURVE, budgets, 0);
    const off = points.map((point, i) => (i === 3 ? { ...point, loss: 1.2 * point.loss } : point));
    const found = fitPowerLaw(off);
    expect(found && predictedLoss(found, [1e13])).toBeCloseTo(predictedLoss(CURVE, [1e13]), 1);
  });

  it('needs as many different points as it has numbers', () => {
    const points = noisy(CURVE, budgets, 0);
    expect(fitPowerLaw([points[0], points[1], points[1], points[0]])).toBeUndefined();
    expect(fitPowerLaw(points.slice(0, 3))).toBeDefined();
    expect(fitPowerLaw(noisy(SURFACE, grid.slice(0, 4), 0))).toBeUndefined();
    expect(fitPowerLaw([])).toBeUndefined();
  });

  it('has no interval where every draw would be the same', () => {
    const points = noisy(CURVE, budgets, 0.01);
    expect(bootstrapLaw(points.slice(0, 3), 'test')).toBeUndefined();
    const sampled = bootstrapLaw(points.slice(0, 4), 'test');
    expect(sampled && estimate(sampled, (one) => predictedLoss(one, budgets[3])).low).toBeLessThan(
      sampled ? predictedLoss(sampled.value, budgets[3]) : 0,
    );
    expect(bootstrapMean([1, 2], 'test')).toBeUndefined();
  });
});

describe('what was drawn again and again', () => {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;

  it('is the same every time, and has an interval about as wide as that of a mean', () => {
    const random = new Random(4);
    const values = Array.from({ length: 100 }, () => 5 + random.normal());
    const sampled = bootstrap(values, 'mean', mean);
    expect(bootstrap(values, 'mean', mean)).toEqual(sampled);
    if (!sampled) return;
    const { value, low, high } = estimate(sampled, (one) => one);
    expect(value).toBe(mean(values));
    expect(high - low).toBeGreaterThan(0.25);
    expect(high - low).toBeLessThan(0.55);
  });

  it('decides between two only where the interval of the difference is on one side', () => {
    const of = (...values: number[]) => {
      const sampled = bootstrap(values, values.join(' '), mean);
      if (!sampled) throw new Error('nothing follows');
      return sampled;
    };
    const same = (one: number): number => one;
    const apart = difference(of(1, 1.1, 1.2, 1.3), same, of(2, 2.1, 2.2), same);
    expect(apart.value).toBeCloseTo(-0.95, 10);
    expect(decided(apart)).toBe(-1);
    expect(decided(difference(of(1, 2, 3), same, of(1.5, 2, 2.6), same))).toBe(0);
  });
});
