import { describe, expect, it } from 'vitest';
import { Random } from '../data/random.ts';
import { createReferenceEngine } from '../engine/reference/engine.ts';
import { Model } from '../nn/model.ts';
import { languageModelConfig } from '../xlstm/config.ts';
import { XlstmLanguageModel } from '../xlstm/language_model.ts';
import { Trainer, type TrainerOptions, type TrainingBatch } from './trainer.ts';

const config = languageModelConfig({
  vocabSize: 5,
  embeddingDim: 16,
  numBlocks: 2,
  numHeads: 2,
  slstmAt: [1],
});
const options: TrainerOptions = {
  batchSize: 2,
  length: 8,
  carryState: true,
  seed: 1,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  clipNorm: 1,
};

const newTrainer = (changes: Partial<TrainerOptions> = {}): Trainer => {
  const model = Model.create(createReferenceEngine(), (scope) => new XlstmLanguageModel(scope, config), 7);
  return new Trainer(model, { ...options, ...changes });
};

/** Counting modulo 5: predictable, so the loss can fall far. */
function batch(random: Random, batchSize = 2): TrainingBatch {
  const rows = Array.from({ length: batchSize }, () => {
    const start = Math.floor(random.uniform() * 5);
    return Array.from({ length: 9 }, (_, t) => (start + t) % 5);
  });
  return {
    tokens: rows.flatMap((row) => row.slice(0, 8)),
    targets: rows.flatMap((row) => row.slice(1)),
    reset: rows.flatMap(() => [1, 0, 0, 0, 0, 0, 0, 0]),
  };
}

describe('Trainer', () => {
  it('learns to count', async () => {
    const trainer = newTrainer();
    const random = new Random(3);
    const first = (await trainer.step([batch(random)], 0)).loss;
    let last = first;
    for (let i = 0; i < 60; i++) last = (await trainer.step([batch(random)], 0.01)).loss;
    expect(first).toBeGreaterThan(1.4);
    expect(first).toBeLessThan(1.9);
    expect(last).toBeLessThan(0.2);
    expect(trainer.steps).toBe(61);
  });

  it('gives the same update from one batch as from its halves accumulated', async () => {
    const whole = batch(new Random(5), 2);
    const half = (from: number): TrainingBatch => ({
      tokens: Array.from(whole.tokens).slice(from, from + 8),
      targets: Array.from(whole.targets).slice(from, from + 8),
      reset: Array.from(whole.reset).slice(from, from + 8),
    });
    const one = newTrainer({ carryState: false });
    const two = newTrainer({ carryState: false, batchSize: 1 });
    const a = await one.step([whole], 0.01);
    const b = await two.step([half(0), half(8)], 0.01);
    expect(b.loss).toBeCloseTo(a.loss, 12);
    expect(b.gradientNorm).toBeCloseTo(a.gradientNorm, 10);
    const expected = await one.model.read();
    for (const [name, { values }] of await two.model.read()) {
      const wanted = expected.get(name)?.values as Float64Array;
      for (let i = 0; i < wanted.length; i++)
        expect(Math.abs(values[i] - wanted[i]), name).toBeLessThan(1e-9);
    }
  });

  it('without a carried state learns the same as from one that is all zeros', async () => {
    const drawn = batch(new Random(5), 2);
    const first = { ...drawn, reset: Array.from(drawn.reset, () => 0) };
    const [one, two] = [newTrainer({ carryState: false }), newTrainer({ carryState: true })];
    const a = await one.step([first], 0.01);
    const b = await two.step([first], 0.01);
    expect(a.loss).toBeCloseTo(b.loss, 12);
    expect(a.gradientNorm).toBeCloseTo(b.gradientNorm, 10);
    expect(one.programBytes).toBeLessThan(two.programBytes);
    // The second batch: one knows nothing of the first, two goes on from it.
    expect((await one.step([first], 0.01)).loss).not.toBeCloseTo((await two.step([first], 0.01)).loss, 9);
  });

  it('continues exactly from what it saved', async () => {
    const random = new Random(11);
    const batches = Array.from({ length: 4 }, () => batch(random));
    const straight = newTrainer();
    for (const b of batches) await straight.step([b], 0.01);

    const before = newTrainer();
    for (const b of batches.slice(0, 2)) await before.step([b], 0.01);
    const after = newTrainer();
    after.model.write(await before.model.read(), 'memory');
    after.restore(await before.save(), before.steps, 'memory');
    for (const b of batches.slice(2)) await after.step([b], 0.01);
    const expected = await straight.model.read();
    for (const [name, { values }] of await after.model.read())
      expect(values, name).toEqual(expected.get(name)?.values);
  });
});
