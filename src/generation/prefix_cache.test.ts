import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PrefixCache } from './prefix_cache.ts';

const tokens = fc.array(fc.nat(2), { maxLength: 8 });

describe('PrefixCache', () => {
  it('finds what a list of all that was put finds, gives up the least lately used, and frees each once', () => {
    const step = fc.record({ put: fc.boolean(), tokens, bytes: fc.nat(40), most: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 300 }), (steps, mostBytes) => {
        const freed: number[] = [];
        const cache = new PrefixCache<number>(mostBytes, (value) => freed.push(value));
        // Those used last at the end.
        let list: { key: string; length: number; value: number; bytes: number }[] = [];
        const sum = (): number => list.reduce((total, { bytes }) => total + bytes, 0);
        for (const [value, { put, tokens, bytes, most }] of steps.entries()) {
          const key = tokens.join();
          if (put) {
            cache.put(tokens, value, bytes);
            if (bytes + 4 * tokens.length > mostBytes) continue;
            list = list.filter((entry) => entry.key !== key);
            list.push({ key, length: tokens.length, value, bytes: bytes + 4 * tokens.length });
            while (sum() > mostBytes) list.shift();
          } else {
            const [best] = list
              .filter(({ key, length }) => length <= most && tokens.slice(0, length).join() === key)
              .filter(({ length }) => length <= tokens.length)
              .sort((a, b) => b.length - a.length);
            const found = cache.longest(tokens, Math.min(most, tokens.length));
            expect(found).toEqual(best && { length: best.length, value: best.value });
            if (best) list = [...list.filter((entry) => entry !== best), best];
          }
          expect([cache.size, cache.bytes]).toEqual([list.length, sum()]);
        }
        cache.clear();
        expect([cache.size, cache.bytes]).toEqual([0, 0]);
        const all = steps.flatMap(({ put }, value) => (put ? [value] : []));
        expect(freed.sort((a, b) => a - b)).toEqual(all);
      }),
      { numRuns: 500 },
    );
  });

  it('refuses a bound that is none', () => {
    expect(() => new PrefixCache(Number.NaN)).toThrow(
      'mostBytes: expected a number of at least 0, found NaN',
    );
  });
});
