import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arraySource } from '../data/token_source.ts';
import { spreadBatches } from './stream_batches.ts';

const range = (count: number) => arraySource(Int32Array.from({ length: count }, (_, k) => k));

/** Of each window that is read its tokens, and the targets of the last ones. */
function windows(total: number, tokens: number, lanes: number, length: number): number[][] {
  const found: number[][] = [];
  let open: number[][] = [];
  for (const batch of spreadBatches(range(total), tokens, { lanes, length })) {
    if (!batch.continues) {
      found.push(...open.filter((window) => window.length > 0));
      open = Array.from({ length: lanes }, () => []);
    }
    for (let at = 0; at < lanes * length; at++) {
      if (batch.targets[at] < 0) continue;
      const window = open[Math.floor(at / length)];
      expect(batch.targets[at]).toBe(batch.tokens[at] + 1);
      if (window.length > 0) expect(batch.tokens[at]).toBe(window[window.length - 1]);
      else window.push(batch.tokens[at]);
      window.push(batch.targets[at]);
    }
  }
  return [...found, ...open.filter((window) => window.length > 0)];
}

describe('a part of a stream that is measured', () => {
  it('is windows of equal size, evenly over all of it, that do not overlap', () => {
    const sizes = fc.record({
      total: fc.integer({ min: 3, max: 400 }),
      lanes: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(sizes, fc.nat(), fc.integer({ min: 1, max: 7 }), ({ total, lanes }, some, length) => {
        const tokens = 2 + (some % (total - 2));
        const found = windows(total, tokens, lanes, length);
        const [{ length: size }] = found;
        expect(found.every((window) => window.length === size)).toBe(true);
        expect(found.length * size).toBeLessThanOrEqual(tokens);
        expect(found.length * size).toBeGreaterThan(tokens - found.length);
        expect(found).toHaveLength(Math.min(lanes, Math.floor(tokens / 2)));
        expect(found[0][0]).toBe(0);
        if (found.length > 1) expect(found[found.length - 1][size - 1]).toBe(total - 1);
        const gaps = found.slice(1).map((window, i) => window[0] - found[i][size - 1]);
        expect(Math.min(...gaps, 1)).toBe(1);
        expect(Math.max(...gaps, 0) - Math.min(...gaps, Number.POSITIVE_INFINITY)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('has more windows where it is long', () => {
    const found = windows(1_000_000, 200_000, 16, 512);
    expect(found).toHaveLength(64);
    expect(found[0]).toHaveLength(3125);
  });

  it('is read as the whole where it is the whole', () => {
    for (const tokens of [38, 39, 1000])
      expect(windows(38, tokens, 4, 5).map(({ length }) => length)).toEqual([11, 11, 11, 8]);
  });
});
