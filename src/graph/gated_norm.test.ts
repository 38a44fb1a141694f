import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../data/random.ts';
import type { Engine } from '../engine/engine.ts';
import { createReferenceEngine } from '../engine/reference/engine.ts';
import { fastEngines } from '../engine/testing/engines.ts';
import { type Shape, sizeOf } from '../program/region.ts';
import { relativeError } from '../verification/compare.ts';
import { differentiate } from './differentiate.ts';
import * as e from './elementwise.ts';
import { evaluation, type NamedArray } from './evaluate.ts';
import { gatedNorm } from './gated_norm.ts';
import { type NormOptions, norm } from './norm.ts';
import { sum } from './reduce.ts';
import { currentId, type Tensor } from './tensor.ts';
import { concat, split } from './views.ts';

interface Case {
  readonly rows: number;
  readonly groups: number;
  readonly size: number;
  readonly kind: NormOptions['kind'];
  readonly weight: boolean;
  readonly bias: boolean;
  readonly skip: boolean;
  /** Whether another use of x has a gradient, to which the kernel adds its own. */
  readonly sofar: boolean;
}

// Widths below, at and past whole vectors; rows fewer than partitions, and not a multiple of the rows taken at once. The
// last two are large enough for threads to take part.
const sizes = [
  [1, 1, 1],
  [3, 2, 3],
  [5, 3, 16],
  [70, 4, 21],
  [523, 1, 150],
  [400, 4, 64],
] as const;
const cases: Case[] = sizes.flatMap(([rows, groups, size], i) =>
  Array.from({ length: 8 }, (_, bits) => ({
    rows,
    groups,
    size,
    kind: (bits + i) % 2 ? ('layer' as const) : ('rms' as const),
    weight: (bits & 2) > 0,
    bias: (bits & 4) > 0,
    skip: ((bits >> 1) + bits + i) % 2 === 0,
    sofar: (bits & 3) === 1,
  })),
);

type Build = (leaves: Readonly<Record<string, Tensor>>, options: NormOptions) => Tensor;

/** y and the gradients of a weighted sum of it; x, gate and addend are slices of one matrix, and so are their gradients. */
function compute(engine: Engine, it_: Case, build: Build): Promise<Record<string, ArrayLike<number>>> {
  const { rows, groups, size, kind } = it_;
  const cols = groups * size;
  const random = new Random(rows * cols);
  const some = (shape: Shape): NamedArray => ({
    shape,
    values: Float32Array.from({ length: sizeOf(shape) }, () => random.uniform(-2, 2)),
  });
  const inputs: Record<string, NamedArray> = { xga: some([rows, 3 * cols]), upstream: some([rows, cols]) };
  if (it_.weight) inputs.weight = some([cols]);
  if (it_.bias) inputs.bias = some([cols]);
  if (it_.skip) inputs.skip = some([cols]);
  return evaluation(engine, inputs, (leaves: Record<string, Tensor>) => {
    const [x, gate, addend] = split(leaves.xga, [cols, cols, cols]);
    const y = build({ ...leaves, x, gate, addend }, { groups, kind, eps: 0.01, weightOffset: 1 });
    const whole = it_.sofar ? concat([y, e.tanh(x)]) : y;
    const upstream = it_.sofar ? concat([leaves.upstream, leaves.upstream]) : leaves.upstream;
    const loss = sum(e.multiply(whole, upstream));
    const backwardFrom = currentId();
    const names = Object.keys(inputs).filter((name) => name !== 'upstream');
    const gradients = differentiate(
      [loss],
      names.map((name) => leaves[name]),
    );
    const outputs: Record<string, Tensor> = { y };
    names.forEach((name, i) => {
      outputs[`d${name}`] = gradients[i] as Tensor;
    });
    return { outputs, backwardFrom };
  }).run();
}

const fused: Build = ({ x, gate, weight, bias, skip, addend }, options) =>
  gatedNorm(x, weight, bias, options, { gate, ...(skip && { skip, addend }) });

const parts: Build = ({ x, gate, weight, bias, skip, addend }, options) => {
  const normed = norm(x, weight, bias, options);
  return e.multiply(skip ? e.multiplyAdd(skip, addend, normed) : normed, e.silu(gate));
};

const sameBits = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
  a.length === b.length && Array.from(a).every((value, i) => Object.is(value, b[i]));

const reference = createReferenceEngine();
const expected = cases.map((each) => compute(reference, each, fused));

it('is the norm, the sum and the gate one after the other', async () => {
  for (const [i, each] of cases.entries()) {
    const right = await compute(reference, each, parts);
    const computed = await expected[i];
    expect(Object.keys(computed)).toEqual(Object.keys(right));
    for (const [name, values] of Object.entries(right))
      expect(relativeError(computed[name], values), `${name} of ${JSON.stringify(each)}`).toBeLessThan(1e-12);
  }
});

it('refuses shapes that do not go together', () => {
  const shaped = (...shape: number[]): Tensor => e.broadcastTo(e.add(0, 0), shape);
  const options = { kind: 'rms', groups: 2, eps: 0, weightOffset: 0 } as const;
  const [x, row] = [shaped(3, 4), shaped(4)];
  const build = (inputs: Parameters<typeof gatedNorm>[4], weight?: Tensor) => () =>
    gatedNorm(x, weight, undefined, options, inputs);
  expect(build({ gate: x, skip: row, addend: x }, row)().shape).toEqual([3, 4]);
  expect(build({ gate: row })).toThrow(/gatedNorm: expected a gate \[3,4\]/);
  expect(build({ gate: x, skip: row })).toThrow(/skip \[4\] and addend \[3,4\], or neither/);
  expect(build({ gate: x, addend: x })).toThrow(/or neither/);
  expect(build({ gate: x, skip: x, addend: x })).toThrow(/or neither/);
  expect(build({ gate: x }, shaped(3))).toThrow(/weight and bias \[4\]/);
  expect(() => gatedNorm(shaped(3, 5), undefined, undefined, options, { gate: x })).toThrow(/2 groups/);
});

const { cases: engines, missing } = await fastEngines();

describe.each(engines)('gated norm on $name', { timeout: 120_000 }, ({ open }) => {
  let several: Engine[];
  beforeAll(async () => {
    several = await Promise.all([1, 2, 3].map(open));
  });
  afterAll(() => Promise.all(several.map((engine) => engine.close())));

  it('agrees with the reference engine, to the same bits for every number of threads', async () => {
    const [one, ...others] = several;
    for (const [i, each] of cases.entries()) {
      const right = await expected[i];
      const computed = await compute(one, each, fused);
      for (const [name, values] of Object.entries(right))
        expect(relativeError(computed[name], values), `${name} of ${JSON.stringify(each)}`).toBeLessThan(
          5e-6,
        );
      for (const engine of others) {
        const again = await compute(engine, each, fused);
        expect(Object.keys(computed).filter((name) => !sameBits(again[name], computed[name]))).toEqual([]);
      }
    }
  });
});
if (missing) it.skip(`gated norm on native: not run, ${missing}`, () => {});
