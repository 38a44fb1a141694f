import { describe, expect, it } from 'vitest';
import { bestRate, rateRule } from './rates.ts';
import { aStudyRecord } from './testing/records.ts';

const parabola = (best: number) => (rate: number) => ({ rate, loss: 4 + 0.1 * Math.log(rate / best) ** 2 });

describe('the learning rate of a model', () => {
  it('is the least of a parabola over the logarithm of the rates', () => {
    const tried = [1e-3, 2e-3, 4e-3, 8e-3].map(parabola(3e-3));
    const found = bestRate(1000, tried);
    expect(found?.rate).toBeCloseTo(3e-3, 10);
    expect(found?.atEdge).toBe(false);
  });

  it('is the rate itself where the best is the first or last of them, which is told', () => {
    expect(bestRate(1000, [1e-3, 2e-3, 4e-3].map(parabola(1e-2)))).toEqual({
      size: 1000,
      rate: 4e-3,
      atEdge: true,
    });
    expect(bestRate(1000, [1e-3].map(parabola(1e-3)))).toBeUndefined();
  });

  it('follows a power of the size through two sizes, between −0.5 and 0', () => {
    const sweep = (small: number, large: number) =>
      [
        [10_000, small],
        [40_000, large],
      ].flatMap(([size, best]) =>
        [1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2].map((rate) => {
          const { loss } = parabola(best)(rate);
          return aStudyRecord({
            kind: 'rate',
            model: 'lstm',
            size,
            rate,
            loss: { token: loss, byte: loss / 3 },
          });
        }),
      );
    const falling = rateRule(sweep(6e-3, 4e-3), 'lstm');
    expect(falling?.exponent).toBeCloseTo(Math.log(4 / 6) / Math.log(4), 6);
    expect(falling?.rate(10_000)).toBeCloseTo(6e-3, 8);
    expect(falling?.rate(40_000)).toBeCloseTo(4e-3, 8);

    const rising = rateRule(sweep(3e-3, 6e-3), 'lstm');
    expect(rising?.exponent).toBe(0);
    expect(rising?.rate(1e6)).toBeCloseTo(Math.sqrt(3e-3 * 6e-3), 8);
    expect(rateRule(sweep(12e-3, 2e-3), 'lstm')?.exponent).toBe(-0.5);
    expect(rateRule(sweep(3e-3, 3e-3), 'gru')).toBeUndefined();
  });
});
