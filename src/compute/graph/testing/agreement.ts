import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../lab/verification/compare.ts';
import type { Engine } from '../../engines/engine.ts';
import { createReferenceEngine } from '../../engines/reference/engine.ts';
import { fastEngines, gpuEngines } from '../../engines/testing/engines.ts';

export type Results = Readonly<Record<string, ArrayLike<number>>>;

interface Agreement<Case> {
  /** What agrees, for the names of the tests. */
  readonly title: string;
  readonly compute: (engine: Engine, each: Case) => Promise<Results>;
  /** Of each result, as `relativeError` measures. */
  readonly tolerance: number;
  readonly timeoutMs: number;
  /** Declares tests, for one engine; they call `agree` with the cases that they look at: one in `every`. */
  readonly tests: (agree: (each: Case) => Promise<void>, every: number) => void;
}

/** One in `every` of the cases, the last of so many: the first ones are the simplest. */
export const oneIn = <Case>(every: number, cases: readonly Case[]): readonly Case[] =>
  every > cases.length ? cases.slice(-1) : cases.filter((_, i) => (i + 1) % every === 0);

const reference = createReferenceEngine();

/**
 * Every fast engine gives what the reference engine gives, to the same bits for any number of threads (a GPU: each time). Returns what the
 * reference engine computes, once for all engines.
 */
export async function describeAgreement<Case>(
  agreement: Agreement<Case>,
): Promise<(each: Case) => Promise<Results>> {
  const { title, compute, tolerance, timeoutMs, tests } = agreement;
  const known = new Map<string, Promise<Results>>();
  const expected = (each: Case): Promise<Results> => {
    const key = JSON.stringify(each);
    const results = known.get(key) ?? compute(reference, each);
    known.set(key, results);
    return results;
  };

  const gpu = await gpuEngines();
  const fast = await fastEngines();
  describe.each([...fast.cases, ...gpu.cases])(
    `${title} on $name`,
    { timeout: timeoutMs },
    ({ name, open, every }) => {
      const onGpu = name.startsWith('webgpu');
      let one: Engine;
      let three: Engine;
      beforeAll(async () => {
        one = await open(1);
        three = onGpu ? one : await open(3);
      });
      afterAll(() => Promise.all([one.close(), three.close()]));

      tests(async (each) => {
        const right = await expected(each);
        const found = await compute(one, each);
        expect(Object.keys(found)).toEqual(Object.keys(right));
        const errors = Object.keys(right).map(
          (name) => [name, relativeError(found[name], right[name])] as const,
        );
        expect(
          errors.filter(([, error]) => !(error <= tolerance)),
          JSON.stringify(each),
        ).toEqual([]);
        expect(await compute(three, each)).toEqual(found);
      }, every);
    },
  );
  if (fast.missing) it.skip(`${title} on native: not run, ${fast.missing}`, () => {});
  if (gpu.missing) it.skip(`${title} on webgpu: not run, ${gpu.missing}`, () => {});
  return expected;
}
