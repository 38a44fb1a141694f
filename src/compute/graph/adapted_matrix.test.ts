import { expect, it } from 'vitest';
import { Random } from '../../random.ts';
import type { Engine } from '../engines/engine.ts';
import { createReferenceEngine } from '../engines/reference/engine.ts';
import { evaluation, type NamedArray } from '../evaluation.ts';
import { packRows } from '../program/packing.ts';
import { Region, sizeOf } from '../program/region.ts';
import { AdaptedMatrix } from './adapted_matrix.ts';
import { differentiate } from './differentiate.ts';
import { linear } from './matmul.ts';
import { PackedMatrix } from './packed_linear.ts';
import type { Tensor } from './tensor.ts';
import { describeAgreement, type Results } from './testing/agreement.ts';
import { constant } from './views.ts';

interface Case {
  /** Rows of x; rows of each part of the matrix, and whether it has an adapter; columns. */
  readonly m: number;
  readonly parts: readonly (readonly [rows: number, adapted: boolean])[];
  readonly columns: number;
  readonly rank: number;
  readonly packed: boolean;
  readonly extras: boolean;
}

const SCALE = 1.75;
const numbers = (random: Random, count: number): Float32Array =>
  Float32Array.from({ length: count }, () => random.uniform(-1, 1));
const rowsOf = ({ parts }: Case): number => parts.reduce((sum, [rows]) => sum + rows, 0);

function inputsOf(each: Case): Record<string, NamedArray> {
  const random = new Random(5);
  const of = (...shape: number[]): NamedArray => ({ shape, values: numbers(random, sizeOf(shape)) });
  const { m, columns, rank, parts, extras } = each;
  const adapters = parts.flatMap(([rows, adapted], i) =>
    adapted ? [[`a${i}`, of(rank, columns)] as const, [`b${i}`, of(rows, rank)] as const] : [],
  );
  return {
    x: of(m, columns),
    w: of(rowsOf(each), columns),
    ...Object.fromEntries(adapters),
    ...(extras && { bias: of(rowsOf(each)), residual: of(m, rowsOf(each)) }),
  };
}

/** The product, and the gradients of all inputs but a packed matrix. */
async function compute(engine: Engine, each: Case, inputs = inputsOf(each)): Promise<Results> {
  const { packed, columns, parts, m } = each;
  const { w, ...others } = inputs;
  const region = new Region('matrix');
  const matrix = packed ? new PackedMatrix(region, 'w', [rowsOf(each), columns], 'q8') : undefined;
  const memory = matrix && engine.allocate(region);
  memory?.write('w', packRows('q8', Float32Array.from(w.values), columns));
  const seed = numbers(new Random(8), m * rowsOf(each));
  const results = await evaluation(
    engine,
    packed ? others : inputs,
    (leaves) => {
      const { x, w: dense, bias, residual, ...ab } = leaves as Record<string, Tensor>;
      const adapted = parts.map(([rows, has], i) => ({
        rows,
        added: has ? { down: ab[`a${i}`], up: ab[`b${i}`] } : undefined,
      }));
      const y = linear(x, new AdaptedMatrix(matrix ?? dense, adapted, SCALE), bias, residual);
      const wrt = Object.entries(leaves).filter(([name]) => !(packed && name === 'bias'));
      const gradients = differentiate(
        [y],
        wrt.map(([, leaf]) => leaf as Tensor),
        [constant([...seed], y.shape)],
      );
      return {
        outputs: { y, ...Object.fromEntries(wrt.map(([name], i) => [`d${name}`, gradients[i] as Tensor])) },
      };
    },
    memory ? [memory] : [],
  ).run();
  memory?.free();
  return results;
}

const cases: Case[] = [
  { m: 3, parts: [[5, true]], columns: 4, rank: 2, packed: false, extras: false },
  { m: 1, parts: [[48, true]], columns: 40, rank: 8, packed: true, extras: true },
  {
    m: 2,
    parts: [
      [3, true],
      [4, false],
      [2, true],
    ],
    columns: 6,
    rank: 1,
    packed: false,
    extras: true,
  },
  {
    m: 33,
    parts: [
      [64, false],
      [32, true],
    ],
    columns: 96,
    rank: 4,
    packed: true,
    extras: false,
  },
  {
    m: 1,
    parts: [
      [16, true],
      [16, true],
    ],
    columns: 32,
    rank: 3,
    packed: false,
    extras: false,
  },
];

await describeAgreement<Case>({
  title: 'adapted linear',
  compute,
  tolerance: 1e-5,
  timeoutMs: 300_000,
  tests: (agree) => {
    it('agrees with the reference engine', async () => {
      for (const each of cases) await agree(each);
    });
  },
});

it.each(cases.filter(({ m }) => m < 10))('is W + scale · B A, with exact gradients: %o', async (each) => {
  const engine = createReferenceEngine();
  const inputs = inputsOf(each);
  const { y, ...gradients } = await compute(engine, each, inputs);
  const seed = numbers(new Random(8), y.length);

  // The matrix that it stands for, written out.
  const { columns, rank, m } = each;
  if (!each.packed) {
    const whole = Float64Array.from(inputs.w.values);
    let first = 0;
    each.parts.forEach(([rows, adapted], i) => {
      for (let r = 0; adapted && r < rows; r++)
        for (let c = 0; c < columns; c++)
          for (let k = 0; k < rank; k++)
            whole[(first + r) * columns + c] +=
              SCALE * inputs[`b${i}`].values[r * rank + k] * inputs[`a${i}`].values[k * columns + c];
      first += rows;
    });
    for (let i = 0; i < m; i++)
      for (let j = 0; j < first; j++) {
        let value = (inputs.bias?.values[j] ?? 0) + (inputs.residual?.values[i * first + j] ?? 0);
        for (let c = 0; c < columns; c++) value += whole[j * columns + c] * inputs.x.values[i * columns + c];
        expect(y[i * first + j]).toBeCloseTo(value, 10);
      }
  }

  const random = new Random(2);
  for (const name of Object.keys(gradients)) {
    const values = Float64Array.from(inputs[name.slice(1)].values);
    for (let n = 0; n < 4; n++) {
      const at = random.integer(values.length);
      const moved = async (by: number): Promise<number> => {
        const changed = values.map((value, i) => (i === at ? value + by : value));
        const { y } = await compute(engine, each, {
          ...inputs,
          [name.slice(1)]: { ...inputs[name.slice(1)], values: changed },
        });
        return Array.from(y).reduce((sum, value, i) => sum + value * seed[i], 0);
      };
      const difference = ((await moved(1e-3)) - (await moved(-1e-3))) / 2e-3;
      expect(gradients[name][at], `${name}[${at}]`).toBeCloseTo(difference, 5);
    }
  }
});

it('refuses what does not fit', () => {
  const w = constant(new Array(12).fill(0), [3, 4]);
  const down = constant(new Array(8).fill(0), [2, 4]);
  const up = constant(new Array(6).fill(0), [3, 2]);
  expect(() => new AdaptedMatrix(w, [{ rows: 2, added: { down, up } }], 1)).toThrow(
    /AdaptedMatrix: expected A \[rank, 4\] and B \[2, rank\], found \[2, 4\]/,
  );
  expect(() => new AdaptedMatrix(w, [{ rows: 2 }], 1)).toThrow(/parts of 3 rows in all, found 2/);
});
