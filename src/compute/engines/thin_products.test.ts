import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Program, type Word } from '../program/program.ts';
import { Region } from '../program/region.ts';
import type { Engine } from './engine.ts';
import { createReferenceEngine } from './reference/engine.ts';
import { randomValues, tensorError } from './reference/testing/values.ts';
import { addressOf } from './testing/address.ts';
import { fastEngines } from './testing/engines.ts';

/** Products with so long rows, few steps or few rows, that kernels/gemm_thin.h takes them; n is no whole vector. */
const shapes = [
  { m: 701, n: 397, k: 7, transA: 0 },
  { m: 301, n: 901, k: 1, transA: 1 },
  { m: 8, n: 397, k: 701, transA: 1 },
  { m: 3, n: 901, k: 302, transA: 1 },
] as const;

/** c = op(a) · b + bias, then d = op(a) · b + d in place. */
function products({ m, n, k, transA }: (typeof shapes)[number]): Program {
  const io = new Region('io');
  const at = (name: string): Word => addressOf(io, name);
  io.add('a', [m * k]);
  io.add('b', [k, n]);
  io.add('bias', [n]);
  io.add('c', [m, n]);
  io.add('d', [m, n]);
  const operands = [1, m, n, k, at('a'), transA ? m : k, 0, transA, at('b'), n, 0, 0];
  return new Program(
    'products',
    [
      { kernel: 'gemm', words: [...operands, at('c'), n, 0, at('bias'), 0, 0, 0, 0] },
      { kernel: 'gemm', words: [...operands, at('d'), n, 0, 0, 0, at('d'), n, 0] },
    ],
    new Region('work'),
    io,
    [],
  );
}

async function compute(engine: Engine, shape: (typeof shapes)[number]): Promise<ArrayLike<number>[]> {
  const { m, n, k } = shape;
  const { io, run } = engine.bind(products(shape), []);
  for (const [index, [name, count]] of Object.entries({ a: m * k, b: k * n, bias: n, d: m * n }).entries())
    io.write(name, randomValues(count, index + 1));
  await run();
  return [await io.read('c'), await io.read('d')];
}

const { cases, missing } = await fastEngines();
if (missing) it.skip(`thin products on native: not run, ${missing}`, () => {});

describe.each(cases)('$name', ({ open }) => {
  const engines: Engine[] = [];
  beforeAll(async () => {
    engines.push(await open(1), await open(2));
  });
  afterAll(() => Promise.all(engines.map((engine) => engine.close())));

  it.each(shapes)(
    '[$m, $k] · [$k, $n], transA $transA: as the reference engine, for any threads',
    async (shape) => {
      const expected = await compute(createReferenceEngine(), shape);
      const [one, two] = [await compute(engines[0], shape), await compute(engines[1], shape)];
      for (const [index, values] of one.entries()) {
        expect(tensorError(values, expected[index])).toBeLessThan(2e-6);
        expect(two[index]).toEqual(values);
      }
    },
  );
});
