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
/** Three sequences; some targets count nothing, in unequal numbers. */
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
    [...(await trainer.save())].filter(([name]) => name.startsWith('state'));

  it('batches of a step have the gradients of one batch of all their rows, each with a state of its own', async () => {
    const joined: TrainingBatch = {
      tokens: pieces.flatMap(({ tokens }) => Array.from(tokens)),
      targets: pieces.flatMap(({ targets }) => Array.from(targets)),
    };
    const [whole, parts] = [newTrainer(3), newTrainer(1)];
    // What the step before left behind, in each row.
    await whole.computeGradients(joined);
    await parts.computeGradients(pieces);
    const together = await whole.computeGradients(joined);
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

  it('a batch that begins an epoch starts without memory, and those beside it keep theirs', async () => {
    const [first, second, third] = pieces.map((piece, i) => ({ ...piece, continues: i !== 1 }));
    const together = newTrainer(1);
    await together.computeGradients(pieces);
    const { loss, targets } = await together.computeGradients([first, second, third]);
    let expected = 0;
    for (const [i, piece] of pieces.entries()) {
      const alone = newTrainer(1);
      await alone.computeGradients(piece);
      if (i === 1) alone.clearState();
      expected += (await alone.computeGradients(piece, targets)).loss;
      const [own, beside] = [await states(alone), new Map(await states(together))];
      expect(own.length).toBeGreaterThan(4);
      for (const [name, tensor] of own)
        expect(beside.get(name.replace('state/', i === 0 ? 'state/' : `state.${i}/`)), name).toEqual(tensor);
    }
    expect(Math.abs(loss - expected)).toBeLessThan(tolerance);
    // The same pieces with the memory kept are another loss.
    const kept = newTrainer(1);
    await kept.computeGradients(pieces);
    expect(Math.abs((await kept.computeGradients(pieces)).loss - expected)).toBeGreaterThan(1e-4);
  });

  it('goes on from what it saved, with the state of each batch', async () => {
    const before = newTrainer(1);
    await before.step(pieces, 0.01);
    const after = newTrainer(1);
    after.model.write(await before.model.read(), 'the test');
    after.restore(await before.save(), 'the test');
    expect(await after.step(pieces, 0.01)).toEqual(await before.step(pieces, 0.01));
    expect(await after.save()).toEqual(await before.save());

    const torn = await before.save();
    const name = [...torn.keys()].filter((key) => key.startsWith('state.2/')).at(-1) as string;
    torn.delete(name);
    expect(() => after.restore(torn, 'the test')).toThrow(`the test: "${name}" is missing`);
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
