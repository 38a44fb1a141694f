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
