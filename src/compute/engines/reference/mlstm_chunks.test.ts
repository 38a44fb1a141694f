import { describe, expect, it } from 'vitest';
import { nearestBfloat16 } from '../../program/packing.ts';
import { backwardInChunks, forwardInChunks } from './mlstm_chunks.ts';
import {
  backward,
  forward,
  type Inputs,
  randomInputs,
  randomState,
  type Sizes,
  scalesOf,
} from './testing/mlstm_calls.ts';
import { randomValues, tensorError } from './testing/values.ts';

type Round = (x: number) => number;
const exact: Round = (x) => x;

const sizes: Sizes = { batch: 2, length: 11, heads: 2, keyDim: 5, valueDim: 3, eps: 1e-6 };

function passes(inputs: Inputs, upstream: Parameters<typeof backward>[3], round?: Round) {
  const scales = scalesOf(sizes);
  const saved = round
    ? forward(sizes, inputs, scales, (a) => forwardInChunks(a, round))
    : forward(sizes, inputs, scales);
  const gradients = round
    ? backward(sizes, inputs, saved, upstream, scales, (a) => backwardInChunks(a, round))
    : backward(sizes, inputs, saved, upstream, scales);
  return { ...saved, ...gradients };
}

function givenCase({ state, resets }: { state: boolean; resets: readonly number[] }) {
  const inputs: Inputs = { ...randomInputs(sizes, 10), ...(state ? randomState(sizes, 16) : {}) };
  if (resets.length > 0)
    inputs.reset = Float64Array.from({ length: sizes.batch * sizes.length }, (_, row) =>
      resets.includes(row) ? 1 : 0,
    );
  const { batch, length, heads, keyDim, valueDim } = sizes;
  const upstream = {
    dh: randomValues(batch * length * heads * valueDim, 20),
    ...(state
      ? {
          dlastC: randomValues(batch * heads * keyDim * valueDim, 21),
          dlastN: randomValues(batch * heads * keyDim, 22),
        }
      : {}),
  };
  return { inputs, upstream };
}

// The first token of a chunk, of a sequence, and two within a chunk, one of them the second of a pair.
const cases = [
  { name: 'from zero state', state: false, resets: [] },
  { name: 'with state and gradients of the last state', state: true, resets: [] },
  { name: 'with resets', state: true, resets: [4, 11, 16, 18] },
];

describe('the mLSTM by chunks', () => {
  it.each(cases)('is the recurrence where nothing is rounded: $name', (each) => {
    const { inputs, upstream } = givenCase(each);
    const [found, expected] = [passes(inputs, upstream, exact), passes(inputs, upstream)];
    for (const [name, values] of Object.entries(expected))
      expect(tensorError(found[name as keyof typeof expected], values), name).toBeLessThan(1e-12);
  });

  it.each(cases)('is near it where operands are rounded to bfloat16, gradients as well: $name', (each) => {
    const { inputs, upstream } = givenCase(each);
    const [found, expected] = [passes(inputs, upstream, nearestBfloat16), passes(inputs, upstream)];
    for (const [name, values] of Object.entries(expected)) {
      const error = tensorError(found[name as keyof typeof expected], values);
      expect(error, name).toBeLessThan(2 ** -6);
      // Half a step of a bfloat16 near 1 is 2^-9.
      if (!['lastM', 'chunkMaxima', 'lastN', 'dn'].includes(name))
        expect(error, name).toBeGreaterThan(2 ** -14);
    }
    for (const name of ['lastM', 'chunkMaxima', 'lastN'] as const)
      expect(tensorError(found[name], expected[name]), name).toBeLessThan(1e-12);
  });

  it('rounds q, k, v and what they are weighed by, but not the denominator', () => {
    const one = { batch: 1, length: 1, heads: 1, keyDim: 1, valueDim: 1, eps: 0 };
    const given = { q: [3.003], k: [2.002], v: [5.005], i: [1], f: [0] };
    const inputs = Object.fromEntries(Object.entries(given).map(([name, x]) => [name, Float64Array.from(x)]));
    const scales = { keyScale: 1, queryScale: 1 };
    const { h, lastC, lastN } = forward(one, inputs as unknown as Inputs, scales, (a) =>
      forwardInChunks(a, nearestBfloat16),
    );
    // m = 1 and I = 1. The nearest bfloat16: 3, 2, 5; of 3 · 2, 6.
    expect([h[0], lastC[0], lastN[0]]).toEqual([5, 10, 2.002]);
    inputs.q[0] = 2.97; // 2.96875, times 2: the 5.9375 of the denominator is a bfloat16; times 2.015625, 5.98388…, is none
    inputs.k[0] = 2.016;
    const product = 2.96875 * 2.015625;
    expect(nearestBfloat16(product)).not.toBe(product);
    const { h: other } = forward(one, inputs as unknown as Inputs, scales, (a) =>
      forwardInChunks(a, nearestBfloat16),
    );
    expect(other[0]).toBeCloseTo((nearestBfloat16(product) * 5) / product, 12);
  });
});
