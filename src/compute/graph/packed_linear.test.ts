import { expect, it } from 'vitest';
import { Random } from '../../random.ts';
import type { Engine } from '../engines/engine.ts';
import { createReferenceEngine } from '../engines/reference/engine.ts';
import { evaluation, type NamedArray } from '../evaluation.ts';
import { type PackedFormat, packedFormats } from '../program/constants.ts';
import { packedRowWords, packRows, unpackRow } from '../program/packing.ts';
import { Region, type Shape, sizeOf } from '../program/region.ts';
import { differentiate } from './differentiate.ts';
import { linear } from './matmul.ts';
import { PackedMatrix } from './packed_linear.ts';
import type { Tensor } from './tensor.ts';
import { describeAgreement, oneIn, type Results } from './testing/agreement.ts';
import { constant } from './views.ts';

const numbers = (random: Random, count: number): Float32Array =>
  Float32Array.from({ length: count }, () => random.uniform(-1, 1));

interface Case {
  readonly format: PackedFormat;
  /** Rows of x, rows and columns of the matrix. */
  readonly m: number;
  readonly rows: number;
  readonly columns: number;
  readonly extras: boolean;
}

/** The matrix in an engine's memory, the product, and the gradient of x where x has another use as well. */
async function compute(engine: Engine, { format, m, rows, columns, extras }: Case): Promise<Results> {
  const random = new Random(7);
  const region = new Region('matrix');
  const matrix = new PackedMatrix(region, 'w', [rows, columns], format);
  const memory = engine.allocate(region);
  memory.write('w', packRows(format, numbers(random, rows * columns), columns));
  const of = (...shape: number[]): NamedArray => ({ shape, values: numbers(random, sizeOf(shape)) });
  const inputs: Record<string, NamedArray> = {
    x: of(m, columns),
    ...(extras && { bias: of(rows), residual: of(m, rows) }),
  };
  const seed = numbers(random, m * rows);
  const also = numbers(random, m * columns);
  const results = await evaluation(
    engine,
    inputs,
    (leaves) => {
      const { x, bias, residual } = leaves as Record<string, Tensor>;
      const y = linear(x, matrix, bias, residual);
      const seeds = [constant([...seed], y.shape), constant([...also], x.shape)];
      const [dx, dresidual] = differentiate([y, x], residual ? [x, residual] : [x], seeds);
      return { outputs: { y, ...(dx && { dx }), ...(dresidual && { dresidual }) } };
    },
    [memory],
  ).run();
  memory.free();
  return results;
}

// Columns below, at and past a block, a group and a piece; rows of x on both sides of what is read as it is.
const sizes = [
  [1, 1, 1],
  [1, 3, 40],
  [2, 9, 128],
  [6, 21, 300],
  [7, 37, 200],
  [33, 530, 129],
  [3, 700, 1040],
  [150, 48, 700],
] as const;
const cases: Case[] = packedFormats.flatMap((format) =>
  sizes.map(([m, rows, columns], i) => ({ format, m, rows, columns, extras: i % 2 === 1 })),
);

await describeAgreement<Case>({
  title: 'packed linear',
  compute,
  tolerance: 5e-6,
  timeoutMs: 300_000,
  tests: (agree, every) => {
    it.each(packedFormats)(
      '%s agrees with the reference engine, to the same bits for every number of threads',
      async (format) => {
        const those = cases.filter((each) => each.format === format);
        for (const each of oneIn(every, those)) await agree(each);
      },
    );
  },
});

it.each(cases.filter(({ m }) => m < 10))('is the product with the unpacked matrix: %o', async (each) => {
  const { format, m, rows, columns, extras } = each;
  const found = await compute(createReferenceEngine(), each);
  const random = new Random(7);
  const packed = packRows(format, numbers(random, rows * columns), columns);
  const stride = packedRowWords(format, columns);
  const x = numbers(random, m * columns);
  const bias = extras ? numbers(random, rows) : [];
  const residual = extras ? numbers(random, m * rows) : [];
  const seed = numbers(random, m * rows);
  const dx = Float64Array.from(numbers(random, m * columns));
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < rows; j++) {
      const weights = unpackRow(format, packed, columns, j * stride);
      let y = (bias[j] ?? 0) + (residual[i * rows + j] ?? 0);
      for (let c = 0; c < columns; c++) {
        y += weights[c] * x[i * columns + c];
        // y is linear in x: its derivative is the matrix.
        dx[i * columns + c] += weights[c] * seed[i * rows + j];
      }
      expect(found.y[i * rows + j]).toBeCloseTo(y, 9);
    }
  }
  dx.forEach((value, i) => {
    expect(found.dx[i]).toBeCloseTo(value, 9);
  });
  if (extras) expect(Array.from(found.dresidual)).toEqual(Array.from(seed));
});

const blocks: Record<string, (random: Random, c: number) => number> = {
  'around 0': (random) => random.uniform(-1, 1),
  'far from 0': (random) => 5 + random.uniform(-0.1, 0.1),
  'below 0': (random) => -3 - random.uniform(0, 0.2),
  'all the same': () => 0.3,
  zeros: () => 0,
  'one large among small': (random, c) => (c % 32 === 3 ? 10 : random.uniform(-0.01, 0.01)),
  tiny: (random) => random.uniform(-1e-30, 1e-30),
};
it.each(Object.entries(blocks))('a row of numbers %s keeps them as well as its codes can', (_, of) => {
  for (const columns of [1, 31, 32, 128, 200]) {
    const random = new Random(3);
    const row = Float32Array.from({ length: columns }, (_value, c) => of(random, c));
    for (const format of packedFormats) {
      const back = unpackRow(format, packRows(format, row, columns), columns);
      for (let first = 0; first < columns; first += 32) {
        const block = row.subarray(first, Math.min(columns, first + 32));
        const largest = Math.max(...block.map(Math.abs));
        const range = Math.max(...block) - Math.min(...block);
        // Half a step of q8 and of bf16 at the largest number. A range of q4 may be cut to gain in the mean of its
        // squares, so only that is bounded: by the whole range's half step, and the offset's rounding.
        const step = format === 'q8' ? largest / 254 : largest / 256;
        const errors = Array.from(block, (value, i) => Math.abs(back[first + i] - value));
        const square = errors.reduce((sum, e) => sum + e * e, 0) / errors.length;
        if (format === 'q4')
          expect(Math.sqrt(square)).toBeLessThanOrEqual((range + largest / 128) / 30 + largest / 1e6 + 1e-36);
        else expect(Math.max(...errors)).toBeLessThanOrEqual(step * 1.0001);
      }
    }
  }
});

it('refuses x of another width, and other uses of the words', () => {
  const region = new Region('matrix');
  const matrix = new PackedMatrix(region, 'w', [4, 40], 'q8');
  const x = constant(new Array(39).fill(0), [1, 39]);
  expect(() => linear(x, matrix)).toThrow(/linear: expected x \[\.\.\., 40\], found \[1, 39\]/);
  expect(region.get('w')).toMatchObject({ dtype: 'i32', shape: [4, packedRowWords('q8', 40)] as Shape });
});
