import { beforeAll, describe, expect, it } from 'vitest';
import { installed, mpirun, startNode } from './mpirun.ts';

/** What rank 0 of training.js tells, by engine. */
type Told = Record<
  string,
  { results: { loss: number; gradientNorm: number }[]; parameters: string; all: string }
>;

/** No number of ranks from 2 on divides it. */
const MICRO_BATCHES = 5;
let alone: Told;

beforeAll(async () => {
  const { code, stdout, stderr } = await startNode(['training.js', 'alone', `${MICRO_BATCHES}`]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  alone = JSON.parse(stdout);
  // Of clipped gradients, and not the same by chance: else equality would show little.
  for (const { results } of Object.values(alone))
    expect(results.every(({ gradientNorm }) => gradientNorm > 0.5)).toBe(true);
  expect(new Set(Object.values(alone).map(({ parameters }) => parameters)).size).toBeGreaterThan(1);
}, 60_000);

const [library] = installed.filter(({ present }) => present);

it.skipIf(!library)(
  'gradients that are sent as bf16 give nearly the same',
  async () => {
    const { code, stdout, stderr } = await mpirun(library, 2, [
      'training.js',
      'spin',
      `${MICRO_BATCHES}`,
      'bf16',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const told: Told = JSON.parse(stdout);
    for (const [engine, { results, parameters }] of Object.entries(told)) {
      expect(parameters).not.toBe(alone[engine].parameters);
      for (const [i, { loss, gradientNorm }] of results.entries()) {
        const expected = alone[engine].results[i];
        expect(Math.abs(loss - expected.loss)).toBeLessThan(2e-3 * expected.loss);
        expect(Math.abs(gradientNorm - expected.gradientNorm)).toBeLessThan(1e-2 * expected.gradientNorm);
      }
    }
  },
  60_000,
);

it.skipIf(!library)(
  'SequenceModel.fit shares the examples of each step: every rank ends with the model of one process, but for roundings',
  async () => {
    const one = await startNode(['fit.js', 'alone']);
    expect(one).toMatchObject({ code: 0, stderr: '' });
    const { code, stdout, stderr } = await mpirun(library, 3, ['fit.js', 'sleep']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [expected, found] = [one.stdout, stdout].map((text) => JSON.parse(text));
    expect(new Set(found.parameters).size).toBe(1);
    expect(found.losses).toHaveLength(expected.losses.length);
    for (const [i, loss] of found.losses.entries()) expect(loss).toBeCloseTo(expected.losses[i], 4);
    expect(found.losses.at(-1)).toBeLessThan(0.8 * found.losses[0]);
  },
  60_000,
);

describe.each(installed)('$name', (library) => {
  it.skipIf(!library.present).each([1, 2, 3, 4])(
    '%i ranks train to the bits of one process with as many micro-batches',
    async (ranks) => {
      // More ranks than cores would wait for each other's spinning.
      const wait = ranks > 2 ? 'sleep' : 'spin';
      const { code, stdout, stderr } = await mpirun(library, ranks, [
        'training.js',
        wait,
        `${MICRO_BATCHES}`,
      ]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(stdout)).toEqual(alone);
    },
    60_000,
  );
});
