import { afterAll, describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import type { Engine } from '../engines/engine.ts';
import { createReferenceEngine } from '../engines/reference/engine.ts';
import { fastEngines, gpuEngines } from '../engines/testing/engines.ts';
import { evaluation, type NamedArray } from '../evaluation.ts';
import { nearestBfloat16 } from '../program/packing.ts';
import { isFinitePanels, packPanels, panelNumber } from '../program/panels.ts';
import { Region, sizeOf } from '../program/region.ts';
import { differentiate } from './differentiate.ts';
import { linear } from './matmul.ts';
import { fitsPanels, PanelMatrix } from './panel_linear.ts';
import type { Tensor } from './tensor.ts';
import { constant } from './views.ts';

interface Case {
  readonly m: number;
  readonly rows: number;
  readonly columns: number;
  readonly extras: boolean;
}

// Rows at and past a tile, a block of x and one of the matrix; columns below, at and past a word, a vector and a block.
const cases: Case[] = (
  [
    [1, 16, 1],
    [2, 32, 40],
    [7, 48, 33],
    [9, 80, 129],
    [65, 112, 512],
    [17, 64, 513],
    [98, 48, 1030],
    [195, 528, 96],
    [3, 1104, 64],
  ] as const
).map(([m, rows, columns], i) => ({ m, rows, columns, extras: i % 2 === 1 }));

const numbers = (random: Random, count: number): Float32Array =>
  Float32Array.from({ length: count }, () => random.uniform(-1, 1));

function dataOf({ m, rows, columns, extras }: Case) {
  const random = new Random(7);
  const of = (...shape: number[]): NamedArray => ({ shape, values: numbers(random, sizeOf(shape)) });
  const matrix = numbers(random, rows * columns);
  const x = of(m, columns);
  const inputs: Record<string, NamedArray> = { x, ...(extras && { bias: of(rows), residual: of(m, rows) }) };
  return { matrix, inputs };
}

async function compute(engine: Engine, one: Case): Promise<ArrayLike<number>> {
  const { matrix, inputs } = dataOf(one);
  const region = new Region('matrix');
  const weight = new PanelMatrix(region, 'w', [one.rows, one.columns]);
  const memory = engine.allocate(region);
  memory.write('w', packPanels(matrix, one.columns));
  const { y } = await evaluation(
    engine,
    inputs,
    (leaves) => {
      const { x, bias, residual } = leaves as Record<string, Tensor>;
      return { outputs: { y: linear(x, weight, bias, residual) } };
    },
    [memory],
  ).run();
  memory.free();
  return y;
}

it('packs the nearest bfloat16 numbers, ties to the even one', () => {
  const step = 2 ** -7;
  const given = [1 + 0.5 * step, 1 + 1.5 * step, -(1 + 0.51 * step), 0.1, 3e38];
  const random = new Random(1);
  const values = numbers(random, 32 * given.length);
  values.set(given, 17 * given.length);
  const words = packPanels(values, given.length);
  values.forEach((value, i) => {
    const [row, column] = [Math.floor(i / given.length), i % given.length];
    expect(panelNumber(words, given.length, row, column)).toBe(nearestBfloat16(value));
  });
  expect(isFinitePanels(words)).toBe(true);
  for (const word of [0x7f80, 0x7f80_0000, 0xff80 << 16, 0xffc0]) {
    expect(isFinitePanels(Int32Array.of(0, word))).toBe(false);
  }
});

it.each(cases.filter(({ m, rows }) => m * rows < 2000))(
  'is the product of rounded numbers: %o',
  async (one) => {
    const { matrix, inputs } = dataOf(one);
    const { x, bias, residual } = inputs;
    const found = await compute(createReferenceEngine(), one);
    for (let i = 0; i < one.m; i++) {
      for (let j = 0; j < one.rows; j++) {
        let y = (bias?.values[j] ?? 0) + (residual?.values[i * one.rows + j] ?? 0);
        for (let c = 0; c < one.columns; c++) {
          y += nearestBfloat16(x.values[i * one.columns + c]) * nearestBfloat16(matrix[j * one.columns + c]);
        }
        expect(found[i * one.rows + j]).toBeCloseTo(y, 9);
      }
    }
  },
);

const { cases: fast, missing } = await fastEngines('bf16');
if (missing) it.skip(`on native: not run, ${missing}`, () => {});
const { cases: gpus, missing: missingGpu } = await gpuEngines();
if (missingGpu) it.skip(`on webgpu: not run, ${missingGpu}`, () => {});
const threads = await Promise.all(fast.map(({ open }) => Promise.all([open(1), open(3)])));
const opened = [...threads.flat(), ...(await Promise.all(gpus.map(({ open }) => open(1))))];
afterAll(() => Promise.all(opened.map((engine) => engine.close())));
const able = opened.filter(({ limits }) => !limits.lacks.panelLinear);
const processors = threads.filter(([engine]) => able.includes(engine));
if (processors.length === 0)
  it.skip('on native: not run, this processor has no products of bfloat16', () => {});

describe.each(able)('$description', (engine) => {
  it.each(cases)('agrees with the reference engine: %o', async (one) => {
    const [right, found] = await Promise.all([createReferenceEngine(), engine].map((e) => compute(e, one)));
    // Every step rounds a sum, at most as large as the sum of all sizes.
    const limit = 2 ** -24 * (one.columns + 4) * (one.columns + 2);
    const wrong = Array.from(found).filter((y, i) => !(Math.abs(y - right[i]) <= limit));
    expect(wrong).toEqual([]);
  });
});

it.each(processors)('gives the same bits on $description and on more threads', async (...engines) => {
  for (const one of cases) {
    const [first, second] = await Promise.all(engines.map((engine) => compute(engine, one)));
    expect(second).toEqual(first);
  }
});

it.each(opened.filter((engine) => !able.includes(engine)))(
  'is refused by $description, which lacks it',
  async (engine) => {
    await expect(compute(engine, cases[0])).rejects.toMatchObject({
      code: 'engine',
      hint: expect.stringMatching(/precision f32/),
    });
  },
);

it('refuses x of another width, and gradients', () => {
  const region = new Region('matrix');
  const weight = new PanelMatrix(region, 'w', [32, 40]);
  expect(() => linear(constant(new Array(39).fill(0), [1, 39]), weight)).toThrow(
    /linear: expected x \[\.\.\., 40\], found \[1, 39\]/,
  );
  const x = constant(new Array(40).fill(0), [1, 40]);
  const y = linear(x, weight);
  expect(() => differentiate([y], [x], [constant(new Array(32).fill(1), [1, 32])])).toThrow(/no gradient/);
  expect([16, 48, 17, 8].map((rows) => fitsPanels([rows, 4]))).toEqual([true, true, false, false]);
});
