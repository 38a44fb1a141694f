import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, Memory } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { fastEngines } from '../compute/engines/testing/engines.ts';
import { type Batch, TokenBatches } from '../data/batches.ts';
import { createModel } from '../models/create_model.ts';
import { languageModelConfig } from '../models/xlstm/config.ts';
import { Random } from '../random.ts';
import type { TrainingBatch } from './objective.ts';
import { Trainer } from './trainer.ts';

const START = 0;
const VOCAB = 7;
const LENGTH = 24;
const ROWS = 2;
const config = languageModelConfig({
  vocabSize: VOCAB,
  embeddingDim: 16,
  numBlocks: 2,
  numHeads: 2,
  slstmAt: [1],
});

/** Documents of one token, of a few, and of more than the convolution's window. */
const random = new Random(5);
const stream = Int32Array.from(
  [0, 3, 9, 1, 5, 2, 13, 4, 1, 6].flatMap((length) => [
    START,
    ...Array.from({ length }, () => 1 + random.integer(VOCAB - 1)),
  ]),
);
const shape = { batchSize: ROWS, length: LENGTH };
const packed = new TokenBatches(stream, {
  ...shape,
  order: 'documents',
  seed: 4,
  documentStart: START,
}).next();

/** What lies between two starts of documents, each alone in a row, the rest of which counts nothing. */
function oneByOne({ tokens, targets }: Batch): TrainingBatch[] {
  const alone: TrainingBatch[] = [];
  for (let row = 0; row < ROWS; row++) {
    const at = (t: number): number => row * LENGTH + t;
    for (let from = 0, t = 1; t <= LENGTH; t++) {
      if (t < LENGTH && tokens[at(t)] !== START) continue;
      const padded = (values: Int32Array, rest: number): number[] =>
        Array.from({ length: LENGTH }, (_, i) => (i < t - from ? values[at(from + i)] : rest));
      alone.push({ tokens: padded(tokens, 1), targets: padded(targets, -1), continues: false });
      from = t;
    }
  }
  return alone;
}

const { cases } = await fastEngines();
const engines = [
  { name: 'reference', tolerance: 1e-10, open: async (): Promise<Engine> => createReferenceEngine() },
  ...cases.map(({ name, open }) => ({ name, tolerance: 1e-4, open: () => open(1) })),
];

describe.each(engines)('packed documents, $name', ({ open, tolerance }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open();
  });
  afterAll(() => engine.close());

  const gradients = async (
    batchSize: number,
    batch: TrainingBatch | readonly TrainingBatch[],
  ): Promise<{ loss: number; values: number[] }> => {
    const model = createModel(engine, config, { seed: 7 });
    const trainer = new Trainer(model, { batchSize, length: LENGTH, carryState: true });
    const { loss } = await trainer.computeGradients(batch);
    const read = (memory: Memory): Promise<ArrayLike<number>> => memory.readAll();
    const values = (await Promise.all(trainer.gradients.map(read))).flatMap((part) => Array.from(part));
    return { loss, values };
  };

  it('have the loss and the gradients of documents one by one', async () => {
    const alone = oneByOne(packed);
    expect(alone.length).toBeGreaterThan(8);
    const [together, apart] = [await gradients(ROWS, packed), await gradients(1, alone)];
    const largest = Math.max(...apart.values.map(Math.abs));
    const farthest = (values: readonly number[]): number =>
      Math.max(...values.map((x, i) => Math.abs(x - apart.values[i]))) / largest;
    expect(Math.abs(together.loss - apart.loss)).toBeLessThan(tolerance);
    expect(farthest(together.values)).toBeLessThan(tolerance);
    // A state that goes over a border would show.
    const leaking = await gradients(ROWS, { ...packed, reset: new Uint8Array(ROWS * LENGTH) });
    expect(farthest(leaking.values)).toBeGreaterThan(100 * tolerance);
  });
});
