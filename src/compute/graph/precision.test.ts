import { afterAll, describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { createReferenceEngine } from '../engines/reference/engine.ts';
import { fastEngines, gpuEngines } from '../engines/testing/engines.ts';
import type { NamedArray } from '../evaluation.ts';
import { cpuLimits } from '../program/limits.ts';
import { nearestBfloat16 } from '../program/packing.ts';
import { Region, type Shape, sizeOf } from '../program/region.ts';
import { gateLinear, headwiseLinear, headwiseOuter, linear, matmul } from './matmul.ts';
import { mlstmProjections } from './mlstm_projections.ts';
import type { Named } from './op.ts';
import { plan } from './plan.ts';
import { leaf, type Tensor } from './tensor.ts';
import { compute, type Inputs, traced } from './testing/precision.ts';

const reference = createReferenceEngine();
const { cases: processors, missing } = await fastEngines('bf16');
const { cases: gpus, missing: missingGpu } = await gpuEngines();
const cases = [...processors, ...gpus];
const engines = await Promise.all(cases.map(({ open }) => open(1)));
afterAll(() => Promise.all(engines.map((engine) => engine.close())));
const able = engines.filter(({ limits }) => !limits.lacks.gemmBf16);

const random = new Random(5);
const numbers = (...shape: Shape): NamedArray => ({
  shape,
  values: Float32Array.from({ length: sizeOf(shape) }, () => random.uniform(-1, 1)),
});
const rounded = ({ shape, values }: NamedArray): NamedArray => ({
  shape,
  values: Array.from(values, nearestBfloat16),
});
const seedOf = (count: number): number[] => Array.from(rounded(numbers(count)).values);

it('rounds to the nearest bfloat16, ties to the even one', () => {
  const step = 2 ** -7;
  const expected = [
    [1 + 0.5 * step, 1],
    [1 + 1.5 * step, 1 + 2 * step],
    [-(1 + 0.51 * step), -(1 + step)],
    [1 + 0.49 * step, 1],
    [2 - 0.25 * step, 2],
    [3e-40, nearestBfloat16(3e-40)],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    [3.4e38, Number.POSITIVE_INFINITY],
  ];
  for (const [value, nearest] of expected) expect(nearestBfloat16(Math.fround(value))).toBe(nearest);
  expect(nearestBfloat16(Number.NaN)).toBeNaN();
});

const dense = {
  linear: {
    inputs: { x: numbers(2, 3, 5), w: numbers(4, 5), bias: numbers(4), residual: numbers(2, 3, 4) },
    build: ({ x, w, bias, residual }: Named) => linear(x, w, bias, residual),
  },
  matmul: {
    inputs: { x: numbers(6, 5), w: numbers(5, 4) },
    build: ({ x, w }: Named) => matmul(x, w),
  },
};

describe.each(Object.entries(dense))('%s in bf16', (_, { inputs, build }) => {
  const seed = seedOf(24);
  const whereRounded: Inputs = { ...inputs, x: rounded(inputs.x), w: rounded(inputs.w) };

  it('is the float32 product of rounded operands, and so are its gradients', async () => {
    const found = await compute(reference, 'bf16', inputs, build, seed);
    expect(found).toEqual(await compute(reference, 'f32', whereRounded, build, seed));
    const unrounded = await compute(reference, 'f32', inputs, build, seed);
    for (const name of ['y', 'dx', 'dw']) expect(found[name]).not.toEqual(unrounded[name]);
  });

  it('has the gradients of that product by central differences', async () => {
    const { y: _y, ...gradients } = await compute(reference, 'bf16', inputs, build, seed);
    const weighted = async (moved: Inputs): Promise<number> =>
      (await compute(reference, 'f32', moved, build)).y.reduce((sum, y, i) => sum + y * seed[i], 0);
    const h = 2 ** -10;
    for (const [name, array] of Object.entries(whereRounded)) {
      for (let i = 0; i < array.values.length; i++) {
        const at = (shift: number): Inputs => {
          const values = Array.from(array.values);
          values[i] += shift;
          return { ...whereRounded, [name]: { ...array, values } };
        };
        const difference = ((await weighted(at(h))) - (await weighted(at(-h)))) / (2 * h);
        expect(gradients[`d${name}`][i], `${name} ${i}`).toBeCloseTo(difference, 8);
      }
    }
  });

  it('rounds the gradient that enters a product, not the one that a bias or a residual takes', async () => {
    const exact = Array.from(numbers(24).values);
    const found = await compute(reference, 'bf16', inputs, build, exact);
    const products = await compute(reference, 'bf16', inputs, build, exact.map(nearestBfloat16));
    for (const name of ['dx', 'dw']) expect(found[name]).toEqual(products[name]);
    if (found.dresidual) expect(found.dresidual).toEqual(exact);
  });
});

interface Exact {
  readonly inputs: Inputs;
  readonly build: (leaves: Named) => Tensor;
  readonly derived?: false;
}

const exact: Readonly<Record<string, Exact>> = {
  gateLinear: {
    inputs: { x: numbers(6, 5), w: numbers(4, 5), bias: numbers(4) },
    build: ({ x, w, bias }) => gateLinear(x, w, bias),
  },
  'headwiseLinear of large blocks': {
    inputs: { x: numbers(6, 24), w: numbers(2, 12, 12) },
    build: ({ x, w }) => headwiseLinear(x, w),
  },
  headwiseOuter: {
    inputs: { x: numbers(6, 8), w: numbers(6, 4) },
    build: ({ x, w }) => headwiseOuter(x, w, 2),
    derived: false, // it is a gradient, and has none
  },
  'mlstmProjections by its parts': {
    inputs: { x: numbers(6, 24), w: numbers(6, 12, 12), gate: numbers(4, 72), bias: numbers(4) },
    build: ({ x, w, gate, bias }) =>
      mlstmProjections({ a: x, x }, { weight: w }, { weight: gate, bias }).gates,
  },
};

it.each(Object.entries(exact))('%s is never rounded', async (_, { inputs, build, derived }) => {
  const seed = derived === false ? undefined : seedOf(sizeOf(build(leavesOf(inputs)).shape));
  const results = await compute(reference, 'bf16', inputs, build, seed);
  expect(results).toEqual(await compute(reference, 'f32', inputs, build, seed));
});

function leavesOf(inputs: Inputs): Named {
  const region = new Region('shapes');
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { shape }]) => [name, leaf(region, name, shape)]),
  );
}

// Below, at and past a word of two steps, a vector, a tile, a panel, and a block of rows, columns and steps; the last one in
// steps of four for a GPU's large tiles.
const sizes = [
  [1, 1, 1],
  [2, 3, 2],
  [9, 17, 31],
  [8, 48, 32],
  [16, 16, 33],
  [27, 65, 64],
  [97, 50, 129],
  [130, 530, 70],
  [40, 33, 513],
  [9, 530, 1030],
  [260, 264, 516],
] as const;

if (missing) it.skip(`bf16 products on native: not run, ${missing}`, () => {});
if (missingGpu) it.skip(`bf16 products on webgpu: not run, ${missingGpu}`, () => {});
if (!able.some(({ name }) => name === 'native'))
  it.skip('bf16 products on native: not run, this processor has none', () => {});

/** Bounds of each element: every one of k steps rounds a sum once or twice, each at most as large as the sum of all sizes. */
function bounds({ x, w }: Inputs, [m, n, k]: readonly number[]): number[] {
  const [a, b] = [rounded(x).values, rounded(w).values];
  return Array.from({ length: m * n }, (_, e) => {
    const [i, j] = [Math.floor(e / n), e % n];
    let sum = 2;
    for (let p = 0; p < k; p++) sum += Math.abs(a[i * k + p] * b[j * k + p]);
    return 2 ** -24 * (k + 4) * sum;
  });
}

describe.each(able)('$description', (engine) => {
  it.each(sizes)('[%i, %i] of %i steps: as the reference engine, forward and backward', async (m, n, k) => {
    const inputs = { x: numbers(m, k), w: numbers(n, k), bias: numbers(n), residual: numbers(m, n) };
    const build = ({ x, w, bias, residual }: Named): Tensor => linear(x, w, bias, residual);
    const seed = seedOf(m * n);
    const right = await compute(reference, 'bf16', inputs, build, seed);
    const found = await compute(engine, 'bf16', inputs, build, seed);
    const limit = bounds(inputs, [m, n, k]);
    expect(found.y.filter((y, i) => !(Math.abs(y - right.y[i]) <= limit[i]))).toEqual([]);
    // Sums of up to m and n products of numbers below 1.
    for (const [name, steps] of Object.entries({ dx: n, dw: m })) {
      const wrong = found[name].filter(
        (d, i) => !(Math.abs(d - right[name][i]) <= 2 ** -24 * steps * (steps + 4)),
      );
      expect(wrong, name).toEqual([]);
    }
  });

  it('takes B stored [k, n], NaN and infinity, and denormal numbers for 0', async () => {
    const values = [1, Number.NaN, Number.POSITIVE_INFINITY, 1e-39, -2, 1];
    const inputs = {
      x: { shape: [6, 1], values },
      w: { shape: [1, 2], values: [1, 2 ** 20] },
    };
    const { y } = await compute(engine, 'bf16', inputs, ({ x, w }) => matmul(x, w));
    expect(y).toEqual([
      1,
      2 ** 20,
      Number.NaN,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      0,
      0,
      -2,
      -(2 ** 21),
      1,
      2 ** 20,
    ]);
  });

  it('computes the same bits with every number of threads', async () => {
    const inputs = { x: numbers(203, 140), w: numbers(333, 140) };
    const build = ({ x, w }: Named): Tensor => linear(x, w);
    const seed = seedOf(203 * 333);
    const expected = await compute(engine, 'bf16', inputs, build, seed);
    for (const threads of [2, 3]) {
      const other = await cases[engines.indexOf(engine)].open(threads);
      expect(await compute(other, 'bf16', inputs, build, seed)).toEqual(expected);
      await other.close();
    }
  });
});

describe.each(engines.filter((engine) => !able.includes(engine)))('$description', (engine) => {
  const { inputs, build } = dense.matmul;
  const refusal = {
    code: 'engine',
    message: expect.stringMatching(/gemmBf16: .*has no dot products of bfloat16/),
    hint: expect.stringMatching(/precision f32.*avx512_bf16/),
  };

  it('refuses to plan products in bf16, and takes all others', async () => {
    await expect(async () => compute(engine, 'bf16', inputs, build)).rejects.toMatchObject(refusal);
    const gates = exact.gateLinear;
    await compute(engine, 'bf16', gates.inputs, gates.build);
  });

  it('refuses to bind a Program that another engine could run', () => {
    const program = plan('product', { ...traced(inputs, build), limits: cpuLimits, precision: 'bf16' });
    expect(() => engine.bind(program, [])).toThrow(expect.objectContaining(refusal));
  });
});
