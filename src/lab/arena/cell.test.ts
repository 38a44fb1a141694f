import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../compute/engines/engine.ts';
import { createWasmEngine } from '../../compute/engines/wasm/engine.ts';
import type { CellSpec } from './cell.ts';
import { runCell } from './run_cell.ts';

const spec: CellSpec = {
  task: 'even-pairs',
  model: 'lstm',
  seed: 1,
  budget: 2000,
  quick: true,
  seconds: 1e6,
  steps: 6,
};
let engine: Engine;
beforeAll(async () => {
  engine = await createWasmEngine({ threads: 1 });
});
afterAll(() => engine.close());
const run = (changes: Partial<CellSpec>) => runCell({ ...spec, ...changes }, engine);

describe('a cell of the arena', () => {
  it('gives the same result for the same seed, another for another', async () => {
    const [first, again, other] = [await run({}), await run({}), await run({ seed: 2 })];
    const numbers = ({ curve, accuracy }: typeof first) => ({
      losses: curve.map(({ loss }) => loss),
      accuracy,
    });
    expect(numbers(again)).toEqual(numbers(first));
    expect(numbers(other).losses).not.toEqual(numbers(first).losses);
    expect(first).toMatchObject({ status: 'done', steps: 6, tokens: 6 * 32 * 40, chance: 1 / 2 });
    expect(first.parameters / 2000).toBeGreaterThan(0.97);
    expect(first.parameters / 2000).toBeLessThan(1.03);
    expect(first.settings).toMatchObject({ steps: 6, batchSize: 32, vocabSize: 3, trainLengths: '3 40' });
    expect(first.curve.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(first.curve[0].loss).toBeGreaterThan(0.4);
    expect(first.curve[0].loss).toBeLessThan(1.6);
    expect(first.accuracy?.map(({ length }) => length)).toEqual([40, 64, 96, 128, 160, 192, 224, 256]);
    expect(JSON.parse(JSON.stringify(first))).toEqual(first);
  });

  it('is recorded as diverged where the loss is no number any more', async () => {
    const record = await run({ model: 'xlstm[1:0]', budget: 3000, learningRate: 1e30, steps: 20 });
    expect(record.status).toBe('diverged');
    expect(record.message).toMatch(/^step \d+: loss /);
    expect(record.steps).toBeLessThan(20);
    expect(record.accuracy).toBeUndefined();
    expect(record.curve.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  });
});
