import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluation } from '../evaluation.ts';
import { differentiate } from '../graph/differentiate.ts';
import { add, sum } from '../graph/elementwise.ts';
import { embedding } from '../graph/embedding.ts';
import { crossEntropy } from '../graph/loss.ts';
import type { Engine } from './engine.ts';
import { createReferenceEngine } from './reference/engine.ts';
import { fastEngines } from './testing/engines.ts';

const VOCAB = 5;
const DIM = 3;
const ROWS = 4;
const { cases } = await fastEngines();
const engines = [
  { name: 'reference', open: async (): Promise<Engine> => createReferenceEngine() },
  ...cases.map(({ name, open }) => ({ name, open: () => open(2) })),
];

const values = (count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => (i % 7) / 4 - 0.5);

/** An id is in memory, where a graph or `Memory.write` can put any number: it must not become an address. */
describe.each(engines)('a number that is no id: $name', ({ open }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open();
  });
  afterAll(() => engine.close());

  const compute = async (id: number): Promise<Record<string, number[]>> => {
    const inputs = {
      ids: { shape: [1, ROWS], values: [1, id, 1, 4] },
      table: { shape: [VOCAB, DIM], values: values(VOCAB * DIM) },
      logits: { shape: [1, ROWS, VOCAB], values: values(ROWS * VOCAB) },
    };
    const { run, executable } = evaluation(engine, inputs, ({ ids, table, logits }) => {
      const rows = embedding(ids, table);
      const losses = crossEntropy(logits, ids);
      const [tableGradient, logitsGradient] = differentiate([add(sum(rows), sum(losses))], [table, logits]);
      if (!tableGradient || !logitsGradient) throw new Error('no gradient');
      return { outputs: { rows, losses, tableGradient, logitsGradient } };
    });
    const outputs = await run();
    executable.free();
    return Object.fromEntries(Object.entries(outputs).map(([name, array]) => [name, Array.from(array)]));
  };
  const row = (array: readonly number[], index: number): number[] => {
    const width = array.length / ROWS;
    return array.slice(index * width, (index + 1) * width);
  };

  it.each([VOCAB, 65, 2 ** 20, 1e9, 3e38, -1, -1e9, 0.5, 3.999, Number.NaN, Infinity, -Infinity])(
    '%s gives NaN where it stands, and nothing else changes',
    async (id) => {
      const [good, wrong] = [await compute(2), await compute(id)];
      const isNaNRow = (array: readonly number[]): boolean => array.every(Number.isNaN);
      for (const other of [0, 2, 3]) {
        for (const name of ['rows', 'losses', 'logitsGradient'])
          expect(row(wrong[name], other), name).toEqual(row(good[name], other));
      }
      expect(isNaNRow(row(wrong.rows, 1))).toBe(true);
      const ignored = id < 0; // the loss has no target there
      expect(isNaNRow(row(wrong.losses, 1))).toBe(!ignored);
      expect(isNaNRow(row(wrong.logitsGradient, 1))).toBe(!ignored);
      if (ignored)
        expect([...row(wrong.losses, 1), ...row(wrong.logitsGradient, 1)].every((x) => x === 0)).toBe(true);
      const counted = Array.from({ length: VOCAB }, (_, v) => ({ 1: 2, 4: 1 })[v] ?? 0);
      expect(wrong.tableGradient).toEqual(counted.flatMap((count) => new Array<number>(DIM).fill(count)));
    },
  );
});
