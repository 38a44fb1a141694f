import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Permutation } from './permutation.ts';

const all = (count: number, seed: number): number[] => {
  const order = new Permutation(count, seed);
  return Array.from({ length: count }, (_, place) => order.at(place));
};

/** Of counts that should all be the same: about the number of them, if they are random. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe('Permutation', () => {
  it('has every number once, for any count and seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.nat(), (count, seed) => {
        expect(new Set(all(count, seed)).size).toBe(count);
        expect(Math.max(...all(count, seed))).toBe(count - 1);
      }),
    );
    expect(all(0, 1)).toEqual([]);
  });

  it('tells the place of every number', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 52 }),
        fc.nat(),
        fc.double({ min: 0, max: 1 }),
        (n, seed, at) => {
          const order = new Permutation(n, seed);
          const place = Math.min(n - 1, Math.floor(Number.isNaN(at) ? 0 : at * n));
          expect(order.placeOf(order.at(place))).toBe(place);
        },
      ),
    );
  });

  it('is the same for the same seed, another for another', () => {
    expect(all(100, 7)).toEqual(all(100, 7));
    expect(new Set([1, 2, 3, 4, 5].map((seed) => all(100, seed).join())).size).toBe(5);
  });

  it('stays in range for counts that no array would hold', () => {
    for (const count of [2 ** 32 - 1, 2 ** 40 + 1, 2 ** 52]) {
      const order = new Permutation(count, 3);
      const found = Array.from({ length: 1000 }, (_, place) => order.at(count - 1 - place));
      expect(found.every((at) => Number.isSafeInteger(at) && at >= 0 && at < count)).toBe(true);
      expect(new Set(found).size).toBe(1000);
      // As many in each tenth of the range, nearly.
      const tenths = Array.from({ length: 10 }, () => 0);
      for (const at of found) tenths[Math.floor((at / count) * 10)]++;
      expect(chiSquare(tenths)).toBeLessThan(28); // 9 degrees of freedom: 0.1 % lie above
    }
  });

  it('puts each number at each place as often, and next to each other as often, over seeds', () => {
    for (const count of [3, 7, 16, 30]) {
      const seeds = 4000;
      const places = Array.from({ length: count * count }, () => 0);
      const steps = Array.from({ length: count }, () => 0);
      for (let seed = 0; seed < seeds; seed++) {
        const order = all(count, seed);
        order.forEach((number, place) => {
          places[place * count + number]++;
        });
        steps[(order[1] - order[0] + count) % count]++;
      }
      const freedom = (count - 1) ** 2;
      expect(chiSquare(places), `places of ${count}`).toBeLessThan(freedom + 5 * Math.sqrt(2 * freedom));
      expect(steps[0]).toBe(0);
      expect(chiSquare(steps.slice(1)), `steps of ${count}`).toBeLessThan(count + 5 * Math.sqrt(2 * count));
    }
  });
});
