import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, Memory } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { fastEngines } from '../compute/engines/testing/engines.ts';
import { createModel } from '../models/create_model.ts';
import { languageModelConfig } from '../models/xlstm/config.ts';
import type { XlstmLanguageModel } from '../models/xlstm/language_model.ts';
import type { NamedValues } from '../nn/parameters.ts';
import { Random } from '../random.ts';
import type { TrainingBatch } from './objective.ts';
import { Trainer } from './trainer.ts';

const VOCAB = 6;
const LENGTH = 8;
const config = languageModelConfig({
  vocabSize: VOCAB,
  embeddingDim: 16,
  numBlocks: 2,
  numHeads: 2,
  slstmAt: [1],
});

const random = new Random(3);
/** Three pieces of one sequence; some targets count nothing, in unequal numbers. */
const pieces: readonly TrainingBatch[] = [0, 1, 2].map((piece) => ({
  tokens: Array.from({ length: LENGTH }, () => random.integer(VOCAB)),
  targets: Array.from({ length: LENGTH }, (_, t) => (t < 2 * piece ? -1 : random.integer(VOCAB))),
}));

const { cases } = await fastEngines();
const engines = [
  { name: 'reference', tolerance: 1e-10, open: async (): Promise<Engine> => createReferenceEngine() },
  ...cases.map(({ name, open }) => ({ name, tolerance: 1e-4, open: () => open(1) })),
];

const all = async (memories: readonly Memory[]): Promise<number[]> =>
  (await Promise.all(memories.map((memory) => memory.readAll()))).flatMap((values) => Array.from(values));

function expectClose(found: readonly number[], expected: readonly number[], tolerance: number): void {
  const largest = Math.max(...expected.map(Math.abs));
  expect(largest).toBeGreaterThan(1e-3);
  expect(found).toHaveLength(expected.length);
  expect(Math.max(...found.map((x, i) => Math.abs(x - expected[i])))).toBeLessThan(tolerance * largest);
}

describe.each(engines)('$name', ({ open, tolerance }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open();
  });
  afterAll(() => engine.close());

  const newTrainer = (batchSize: number): Trainer<XlstmLanguageModel> => {
    const model = createModel(engine, config, { seed: 7 });
    return new Trainer(model, { batchSize, length: LENGTH, carryState: true });
  };
  const states = async (trainer: Trainer<XlstmLanguageModel>): Promise<[string, NamedValues][]> =>
    [...(await trainer.save())].filter(([name]) => name.startsWith('state/'));

  it('pieces that carry the state on have the gradients of one batch with these states', async () => {
    // What the sequence left behind before each piece, from a trainer that does nothing else.
    const walker = newTrainer(1);
    const before = [await states(walker)];
    for (const piece of pieces.slice(0, 2)) {
      await walker.computeGradients(piece);
      before.push(await states(walker));
    }
    expect(before[2]).not.toEqual(before[0]);
    expect(before[2].length).toBeGreaterThan(4);

    const whole = newTrainer(3);
    const saved = new Map(await whole.save());
    for (const [i, [name]] of before[0].entries()) {
      const { shape } = saved.get(name) as NamedValues;
      saved.set(name, { shape, values: before.flatMap((list) => Array.from(list[i][1].values)) });
    }
    whole.restore(saved, 'the test');
    const together = await whole.computeGradients({
      tokens: pieces.flatMap(({ tokens }) => Array.from(tokens)),
      targets: pieces.flatMap(({ targets }) => Array.from(targets)),
    });

    const parts = newTrainer(1);
    const { loss, targets } = await parts.computeGradients(pieces);
    expect(targets).toBe(together.targets);
    expect(Math.abs(loss - together.loss)).toBeLessThan(tolerance);
    expectClose(await all(parts.gradients), await all(whole.gradients), tolerance);

    // Without the states it is another gradient: the comparison above would show a lost state.
    const forgetful = newTrainer(1);
    await forgetful.computeGradients(pieces.map((piece) => ({ ...piece, continues: false })));
    const [kept, lost] = [await all(parts.gradients), await all(forgetful.gradients)];
    const largest = Math.max(...kept.map(Math.abs));
    expect(Math.max(...kept.map((x, i) => Math.abs(x - lost[i])))).toBeGreaterThan(100 * tolerance * largest);
  });

  it('a piece that begins an epoch starts without memory, and the pieces around it keep theirs', async () => {
    const [last, first, second] = pieces.map((piece, i) => ({ ...piece, continues: i !== 1 }));
    const [together, alone] = [newTrainer(1), newTrainer(1)];
    // What the epoch before left.
    for (const trainer of [together, alone]) await trainer.computeGradients(pieces[2]);
    const { loss, targets } = await together.computeGradients([last, first, second]);
    let expected = 0;
    for (const piece of [last, first, second]) {
      if (piece === first) alone.clearState();
      const { tokens, targets: wanted } = piece;
      expected += (await alone.computeGradients({ tokens, targets: wanted }, targets)).loss;
    }
    expect(Math.abs(loss - expected)).toBeLessThan(tolerance);
    expect(await states(together)).toEqual(await states(alone));
    // The same pieces with the memory kept are another loss.
    const kept = newTrainer(1);
    await kept.computeGradients(pieces[2]);
    expect(Math.abs((await kept.computeGradients(pieces)).loss - expected)).toBeGreaterThan(1e-4);
  });

  it('an update without a gradient shrinks the parameters that decay, and no others', async () => {
    const trainer = newTrainer(1);
    const { parameters } = trainer.model;
    const before = await trainer.model.read();
    await trainer.computeGradients(pieces[0]);
    for (const memory of trainer.gradients) memory.clear();
    await trainer.applyUpdate(0.5);
    const after = await trainer.model.read();
    const decaying = parameters.list.filter(({ region }) => region === parameters.decayed);
    expect(decaying.length).toBeGreaterThan(5);
    expect(decaying.length).toBeLessThan(parameters.list.length - 5);
    for (const { name, region } of parameters.list) {
      const factor = region === parameters.decayed ? 1 - 0.5 * 0.1 : 1;
      const [old, found] = [before, after].map((tensors) => Array.from(tensors.get(name)?.values ?? []));
      const error = Math.max(...found.map((x, i) => Math.abs(x - factor * old[i])));
      expect(error, name).toBeLessThan(factor === 1 ? 1e-12 : 1e-6);
    }
  });
});
