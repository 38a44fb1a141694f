import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from './random.ts';

describe('Random', () => {
  it('is xoshiro128**: the published algorithm from state 1, 2, 3, 4', () => {
    const random = Random.restore({ algorithm: 'xoshiro128**', words: [1, 2, 3, 4], spareNormal: null });
    expect(Array.from({ length: 8 }, () => random.uint32())).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849,
    ]);
  });

  it('gives the same numbers for a seed and others for the next seed', () => {
    const draw = (seed: number): number[] => {
      const random = new Random(seed);
      return Array.from({ length: 20 }, () => random.uniform());
    };
    expect(draw(7)).toEqual(draw(7));
    const firsts = new Set(Array.from({ length: 2000 }, (_, seed) => new Random(seed).uint32()));
    expect(firsts.size).toBeGreaterThan(1998);
    expect(draw(2 ** 32)).not.toEqual(draw(0));
  });

  it('continues exactly from a saved state, also in the middle of a pair of normals', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(9), (seed, drawn) => {
        const random = new Random(seed);
        for (let k = 0; k < drawn; k++) random.normal();
        const copy = Random.restore(JSON.parse(JSON.stringify(random.state())));
        const next = (r: Random): number[] => [
          r.normal(),
          r.uniform(),
          r.normal(),
          r.integer(10),
          r.normal(),
        ];
        expect(next(copy)).toEqual(next(random));
      }),
    );
  });

  it('has the moments of the uniform and the normal distribution', () => {
    const random = new Random(1);
    const count = 200_000;
    let sum = 0;
    let squares = 0;
    let inside = true;
    for (let k = 0; k < count; k++) {
      const u = random.uniform(-1, 3);
      inside &&= u >= -1 && u < 3;
      sum += u;
      squares += u * u;
    }
    expect(inside).toBe(true);
    expect(Math.abs(sum / count - 1)).toBeLessThan(0.015);
    expect(Math.abs(squares / count - 1 - 16 / 12)).toBeLessThan(0.03);
    let first = 0;
    let second = 0;
    let fourth = 0;
    for (let k = 0; k < count; k++) {
      const z = (random.normal(2, 3) - 2) / 3;
      first += z;
      second += z * z;
      fourth += z ** 4;
    }
    expect(Math.abs(first / count)).toBeLessThan(0.012);
    expect(Math.abs(second / count - 1)).toBeLessThan(0.02);
    expect(Math.abs(fourth / count - 3)).toBeLessThan(0.15);
  });

  it('draws whole numbers evenly', () => {
    const random = new Random(3);
    const counts = new Array<number>(6).fill(0);
    for (let k = 0; k < 60_000; k++) counts[random.integer(6)]++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(400);
  });

  it('permutes: every index once, every order about equally often', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 200 }), (seed, count) => {
        const order = new Random(seed).permutation(count);
        expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, k) => k));
      }),
    );
    const random = new Random(5);
    const seen = new Map<string, number>();
    for (let k = 0; k < 12_000; k++) {
      const key = random.permutation(3).join('');
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    expect(seen.size).toBe(6);
    for (const count of seen.values()) expect(Math.abs(count - 2000)).toBeLessThan(200);
  });

  it('refuses seeds and states that are none', () => {
    expect(() => new Random(-1)).toThrow(/seed is a whole number.*found -1/);
    expect(() => new Random(0.5)).toThrow(/found 0.5/);
    const zero = { algorithm: 'xoshiro128**', words: [0, 0, 0, 0], spareNormal: null } as const;
    expect(() => Random.restore(zero)).toThrow(/not a state/);
  });

  it.each([0, 1, 2, 7, 8])(
    'fills an array of %i with what normal() gives, and goes on as after it',
    (length) => {
      for (const drawnBefore of [0, 1]) {
        const [one, other] = [new Random(5), new Random(5)];
        for (let i = 0; i < drawnBefore; i++) expect(one.normal()).toBe(other.normal());
        const filled = new Float64Array(length);
        one.fillNormal(filled, 0.5, 3);
        expect([...filled]).toEqual(Array.from({ length }, () => 0.5 + 3 * other.normal()));
        expect(one.state()).toEqual(other.state());
      }
    },
  );
});
