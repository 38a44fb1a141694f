import { afterAll, describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { createReferenceEngine } from '../engines/reference/engine.ts';
import { fastEngines, gpuEngines } from '../engines/testing/engines.ts';
import type { NamedArray } from '../evaluation.ts';
import { type Shape, sizeOf } from '../program/region.ts';
import { mlstm } from './mlstm.ts';
import type { Named } from './op.ts';
import type { Tensor } from './tensor.ts';
import { compute, type Inputs } from './testing/precision.ts';
import { concat, reshape } from './views.ts';

const reference = createReferenceEngine();
const { cases: processors, missing } = await fastEngines('bf16');
const { cases: gpus, missing: missingGpu } = await gpuEngines();
const fast = [...processors, ...gpus];
const engines = await Promise.all(fast.map(({ open }) => open(1)));
afterAll(() => Promise.all(engines.map((engine) => engine.close())));
const able = engines.filter(({ limits }) => !limits.lacks.mlstmForwardBf16);

interface Case {
  readonly length: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly chunk?: number;
  readonly state?: true;
  readonly resets?: readonly number[];
}
const heads = 2;
const batch = 2;

// Rows and steps that are odd, below and past a vector and a tile; one chunk and several, with and without a state between.
const cases: readonly Case[] = [
  { length: 1, keyDim: 3, valueDim: 5, chunk: 1 },
  { length: 9, keyDim: 3, valueDim: 5, chunk: 4, state: true },
  { length: 33, keyDim: 16, valueDim: 16, state: true, resets: [5, 6, 32, 50] },
  { length: 77, keyDim: 33, valueDim: 20, chunk: 19, state: true, resets: [19, 40, 100] },
  { length: 130, keyDim: 64, valueDim: 64 },
  { length: 130, keyDim: 64, valueDim: 96, state: true, resets: [63] },
  { length: 100, keyDim: 40, valueDim: 130, chunk: 100 },
];

function graphOf({ length, keyDim, valueDim, chunk, state, resets }: Case) {
  const random = new Random(7);
  const numbers = (scale: number, ...shape: Shape): NamedArray => ({
    shape,
    values: Float32Array.from({ length: sizeOf(shape) }, () => random.uniform(-scale, scale)),
  });
  const inputs: Inputs = {
    q: numbers(2, batch, length, heads * keyDim),
    k: numbers(2, batch, length, heads * keyDim),
    v: numbers(1, batch, length, heads * valueDim),
    i: numbers(2, batch, length, heads),
    f: numbers(3, batch, length, heads),
    c: numbers(1, batch, heads, keyDim, valueDim),
    n: numbers(1, batch, heads, keyDim),
    m: numbers(1, batch, heads),
    reset: {
      shape: [batch, length],
      values: Float32Array.from({ length: batch * length }, (_, row) => (resets?.includes(row) ? 1 : 0)),
    },
  };
  const build = ({ q, k, v, i, f, c, n, m, reset }: Named): Tensor => {
    const { h, state: last } = mlstm(
      {
        ...{ q, k, v, inputGate: i, forgetGate: f },
        ...(resets ? { reset } : {}),
        ...(state ? { state: { c, n, m } } : {}),
      },
      { heads, keyScale: 1 / Math.sqrt(keyDim), queryScale: 0.7, eps: 1e-6, ...(chunk ? { chunk } : {}) },
    );
    const row = (x: Tensor): Tensor => reshape(x, [1, sizeOf(x.shape)]);
    return concat(state ? [row(h), row(last.c), row(last.n)] : [row(h)]);
  };
  const outputs = batch * heads * (length * valueDim + (state ? keyDim * (valueDim + 1) : 0));
  return { inputs, build, seed: Array.from(numbers(1, outputs).values) };
}

const rootMeanSquare = (x: readonly number[]): number => Math.hypot(...x) / Math.sqrt(x.length);
const difference = (a: readonly number[], b: readonly number[]): number =>
  rootMeanSquare(a.map((x, i) => x - b[i]));

if (missing) it.skip(`the mLSTM in bf16 on native: not run, ${missing}`, () => {});
if (missingGpu) it.skip(`the mLSTM in bf16 on webgpu: not run, ${missingGpu}`, () => {});
if (!able.some(({ name }) => name === 'native'))
  it.skip('the mLSTM in bf16 on native: not run, this processor has no such products', () => {});

describe.each(able)('the mLSTM in bf16 on $description', (engine) => {
  it.each(cases)('rounds what the reference engine rounds: %j', async (each) => {
    const { inputs, build, seed } = graphOf(each);
    const found = await compute(engine, 'bf16', inputs, build, seed);
    // Of the same chunks: within them products are rounded, between them states are not.
    const right = await compute(reference, 'bf16', inputs, build, seed, engine.limits);
    const plain = await compute(reference, 'f32', inputs, build, seed);
    for (const [name, values] of Object.entries(right)) {
      const size = rootMeanSquare(plain[name]);
      // A sum that is off by a rounding of float32 may fall on the other side of a step of bfloat16, once in some thousands.
      const apart = difference(found[name], values);
      expect(apart, name).toBeLessThanOrEqual(2 ** -11 * size);
      if (size === 0) continue;
      const rounding = difference(values, plain[name]);
      expect(rounding, name).toBeLessThan(2 ** -4 * size);
      if (!['n', 'dn', 'm', 'dm', 'dreset'].includes(name)) expect(rounding, name).toBeGreaterThan(4 * apart);
    }
  });

  it('gives the same bits with every number of threads', async () => {
    const { inputs, build, seed } = graphOf(cases[5]);
    const expected = await compute(engine, 'bf16', inputs, build, seed);
    const three = await fast[engines.indexOf(engine)].open(3);
    expect(await compute(three, 'bf16', inputs, build, seed)).toEqual(expected);
    await three.close();
  });
});

describe.each(engines.filter((engine) => !able.includes(engine)))('$description', (engine) => {
  it('refuses an mLSTM in bf16', async () => {
    const { inputs, build, seed } = graphOf(cases[1]);
    await expect(async () => compute(engine, 'bf16', inputs, build, seed)).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(/mlstmForwardBf16: .*has no dot products of bfloat16/),
      hint: expect.stringMatching(/precision f32.*avx512_bf16/),
    });
  });
});
