import { describe, expect, it } from 'vitest';
import { trialOf } from './trials.ts';

describe('the settings of a search', () => {
  it('cover the rates evenly, the first of them the middle', () => {
    const rates = Array.from({ length: 7 }, (_, i) => trialOf(i + 1).learningRate);
    const steps = rates.toSorted((a, b) => a - b).map(Math.log);
    for (let i = 2; i < steps.length; i++) {
      expect(steps[i] - steps[i - 1]).toBeCloseTo(steps[1] - steps[0], 1);
    }
    expect(rates[0]).toBeCloseTo(Math.sqrt(1e-3 * 6e-2), 4);
    expect(new Set(rates).size).toBe(7);
  });

  it('try lengths that grow and that do not, and smaller models', () => {
    const trials = Array.from({ length: 8 }, (_, i) => trialOf(i + 1));
    expect(new Set(trials.map(({ curriculum }) => curriculum))).toEqual(new Set([0.4, 0.8, 0]));
    expect(new Set(trials.map(({ size }) => size))).toEqual(new Set([1, 0.5]));
    expect(new Set(trials.map(({ weightDecay }) => weightDecay))).toEqual(new Set([0.3, 0.1]));
  });
});
