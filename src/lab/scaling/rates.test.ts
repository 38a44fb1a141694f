import { describe, expect, it } from 'vitest';
import { bestRate, furtherRate, rateRule } from './rates.ts';
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

  it('is the rate itself beside one that diverged, and needs two that did not', () => {
    const diverged = { rate: 4e-3, loss: Number.POSITIVE_INFINITY };
    const tried = [1e-3, 2e-3].map(parabola(1e-2));
    expect(bestRate(1000, [...tried, diverged])).toEqual({ size: 1000, rate: 2e-3, atEdge: false });
    expect(bestRate(1000, [tried[0], diverged])).toBeUndefined();
  });

  it('is looked for beyond the smallest and the largest, until it lies between others', () => {
    const planned = [1e-3, 2e-3, 4e-3];
    const sweep = (best: number): number[] => {
      const rates = [...planned];
      for (;;) {
        const next = furtherRate(rates.map(parabola(best)), planned);
        if (next === undefined) return rates.slice(planned.length);
        rates.push(next);
      }
    };
    expect(sweep(2e-3)).toEqual([]);
    expect(sweep(1.3e-2)).toEqual([8e-3, 1.6e-2, 3.2e-2]);
    expect(sweep(6e-4)).toEqual([5e-4, 2.5e-4]);
    // A rate that diverged ends it, and so do rates that nobody has.
    const diverged = { rate: 8e-3, loss: Number.POSITIVE_INFINITY };
    expect(furtherRate([...planned.map(parabola(1)), diverged], planned)).toBeUndefined();
    expect(sweep(100).at(-1)).toBeLessThanOrEqual(1);
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
