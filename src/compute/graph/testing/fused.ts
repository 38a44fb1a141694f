import { expect, it } from 'vitest';
import { relativeError } from '../../../lab/verification/compare.ts';
import { Random } from '../../../random.ts';
import type { Engine } from '../../engines/engine.ts';
import { createReferenceEngine } from '../../engines/reference/engine.ts';
import { evaluation, type NamedArray } from '../../evaluation.ts';
import { type Shape, sizeOf } from '../../program/region.ts';
import { differentiate } from '../differentiate.ts';
import type { Tensor } from '../tensor.ts';
import { constant } from '../views.ts';
import { describeAgreement, oneIn, type Results } from './agreement.ts';

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
): Promise<Results> {
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
    return { outputs };
  }).run();
}

/** That the operation equals its parts, and that all engines agree on it, to the same bits for any number of threads. */
export async function describeFused<Case>(op: Fused<Case>): Promise<void> {
  const expected = await describeAgreement<Case>({
    title: op.name,
    compute: (engine, each) => compute(engine, op, each, op.fused),
    tolerance: 5e-6,
    timeoutMs: 300_000,
    tests: (agree, every) => {
      it('agrees with the reference engine, to the same bits for every number of threads', async () => {
        for (const each of oneIn(every, op.cases)) await agree(each);
      });
    },
  });
  const reference = createReferenceEngine();
  it(`${op.name}: as its parts one after the other`, async () => {
    for (const each of op.cases) {
      const right = await compute(reference, op, each, op.parts);
      const computed = await expected(each);
      expect(Object.keys(computed)).toEqual(Object.keys(right));
      for (const [name, values] of Object.entries(right))
        expect(relativeError(computed[name], values), `${name}, ${JSON.stringify(each)}`).toBeLessThan(1e-11);
    }
  });
}
