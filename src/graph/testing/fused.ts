import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../data/random.ts';
import type { Engine } from '../../engine/engine.ts';
import { createReferenceEngine } from '../../engine/reference/engine.ts';
import { fastEngines } from '../../engine/testing/engines.ts';
import { type Shape, sizeOf } from '../../program/region.ts';
import { relativeError } from '../../verification/compare.ts';
import { differentiate } from '../differentiate.ts';
import { evaluation, type NamedArray } from '../evaluate.ts';
import { currentId, type Tensor } from '../tensor.ts';
import { constant } from '../views.ts';

export type Leaves = Readonly<Record<string, Tensor>>;

/** One operation that stands for several, and those; both return the same tensors from the same inputs. */
export interface Fused<Case> {
  readonly name: string;
  readonly cases: readonly Case[];
  inputs(options: Case): Readonly<Record<string, Shape>>;
  /** Inputs that are marks of 0 and 1 without a gradient, as documents' starts are. */
  readonly marks?: readonly string[];
  fused(leaves: Leaves, options: Case): readonly Tensor[];
  parts(leaves: Leaves, options: Case): readonly Tensor[];
}

/** The results and the gradients of a weighted sum of them. */
async function compute<Case>(
  engine: Engine,
  op: Fused<Case>,
  options: Case,
  build: (leaves: Leaves, options: Case) => readonly Tensor[],
): Promise<Record<string, ArrayLike<number>>> {
  const random = new Random(1);
  const value = (): number => Math.fround(random.uniform(-1, 1));
  const mark = (): number => Number(random.uniform() < 0.2);
  const inputs: Record<string, NamedArray> = {};
  for (const [name, shape] of Object.entries(op.inputs(options))) {
    const values = Array.from({ length: sizeOf(shape) }, op.marks?.includes(name) ? mark : value);
    inputs[name] = { shape, values };
  }
  const names = Object.keys(inputs).filter((name) => !op.marks?.includes(name));
  return evaluation(engine, inputs, (leaves: Record<string, Tensor>) => {
    const results = build(leaves, options);
    const backwardFrom = currentId();
    const seeds = results.map((t) => constant(Array.from({ length: sizeOf(t.shape) }, value), t.shape));
    const gradients = differentiate(
      results,
      names.map((name) => leaves[name]),
      seeds,
    );
    const outputs: Record<string, Tensor> = Object.fromEntries(results.map((t, i) => [`result ${i}`, t]));
    names.forEach((name, i) => {
      const gradient = gradients[i];
      if (gradient) outputs[`gradient of ${name}`] = gradient;
    });
    return { outputs, backwardFrom };
  }).run();
}

const sameBits = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
  a.length === b.length && Array.from(a).every((value, i) => Object.is(value, b[i]));

/** That the operation equals its parts, and that all engines agree on it, to the same bits for any number of threads. */
export async function describeFused<Case>(op: Fused<Case>): Promise<void> {
  const reference = createReferenceEngine();
  const expected = op.cases.map((each) => compute(reference, op, each, op.fused));

  it(`${op.name}: as its parts one after the other`, async () => {
    for (const [i, each] of op.cases.entries()) {
      const right = await compute(reference, op, each, op.parts);
      const computed = await expected[i];
      expect(Object.keys(computed)).toEqual(Object.keys(right));
      for (const [name, values] of Object.entries(right))
        expect(relativeError(computed[name], values), `${name}, ${JSON.stringify(each)}`).toBeLessThan(1e-11);
    }
  });

  const { cases: engines, missing } = await fastEngines();
  describe.each(engines)(`${op.name} on $name`, { timeout: 120_000 }, ({ open }) => {
    let several: Engine[];
    beforeAll(async () => {
      several = await Promise.all([1, 2, 3].map(open));
    });
    afterAll(() => Promise.all(several.map((engine) => engine.close())));

    it('agrees with the reference engine, to the same bits for every number of threads', async () => {
      const [one, ...others] = several;
      for (const [i, each] of op.cases.entries()) {
        const right = await expected[i];
        const computed = await compute(one, op, each, op.fused);
        for (const [name, values] of Object.entries(right))
          expect(relativeError(computed[name], values), `${name}, ${JSON.stringify(each)}`).toBeLessThan(
            5e-6,
          );
        for (const engine of others) {
          const again = await compute(engine, op, each, op.fused);
          expect(Object.keys(computed).filter((name) => !sameBits(again[name], computed[name]))).toEqual([]);
        }
      }
    });
  });
  if (missing) it.skip(`${op.name} on native: not run, ${missing}`, () => {});
}
