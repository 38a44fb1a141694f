import fc from 'fast-check';
import { expect, it } from 'vitest';
import { exponential } from './exponential.ts';

it('is that of Math to 12 digits', () => {
  fc.assert(
    fc.property(fc.double({ min: -700, max: 0, noNaN: true }), (x) => {
      expect(Math.abs(exponential(x) / Math.exp(x) - 1)).toBeLessThan(1e-12);
    }),
    { numRuns: 2000 },
  );
  expect([0, -0, -1e30, Number.NEGATIVE_INFINITY].map(exponential)).toEqual([1, 1, 0, 0]);
  expect(exponential(-744)).toBeLessThan(1e-300);
});
