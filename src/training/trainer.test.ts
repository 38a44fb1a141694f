import { describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { createModel } from '../models/create_model.ts';
import { languageModelConfig } from '../models/xlstm/config.ts';
import { Random } from '../random.ts';
import type { TrainingBatch } from './objective.ts';
import { Trainer } from './trainer.ts';
import type { TrainerOptions } from './trainer_options.ts';

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
};

const newTrainer = (changes: Partial<TrainerOptions> = {}): Trainer => {
  const model = createModel(createReferenceEngine(), config, { seed: 7 });
  return new Trainer(model, { ...options, ...changes });
};

/** Counting modulo 5: predictable, so the loss can fall far. */
function batch(random: Random, batchSize = 2): Required<Omit<TrainingBatch, 'continues'>> {
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

  it('without options takes 16 sequences of the context length', async () => {
    const engine = createReferenceEngine();
    const small = { ...config, embeddingDim: 2, numHeads: 1, numBlocks: 1, slstmAt: [0] };
    const { shape: usual } = new Trainer(createModel(engine, small));
    expect(usual).toEqual({ batchSize: 16, length: 256 });
    const trainer = new Trainer(createModel(engine, { ...small, contextLength: 3 }));
    expect(trainer.shape).toEqual({ batchSize: 16, length: 3 });
    const tokens = Array.from({ length: 48 }, (_, i) => i % 5);
    const targets = tokens.map((id) => (id + 1) % 5);
    expect((await trainer.step({ tokens, targets })).loss).toBeGreaterThan(1);
    expect(() => new Trainer(trainer.model, { batchSize: 0 })).toThrow('batchSize: expected');
    expect(() => new Trainer(trainer.model, { length: 1.5 })).toThrow('length: expected');
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
    after.restore(await before.save(), 'memory');
    expect(after.steps).toBe(2);
    for (const b of batches.slice(2)) await after.step([b], 0.01);
    const expected = await straight.model.read();
    for (const [name, { values }] of await after.model.read())
      expect(values, name).toEqual(expected.get(name)?.values);
  });

  it('forgets the carried state before each batch that does not continue the one before', async () => {
    const random = new Random(21);
    const pieces = Array.from({ length: 3 }, () => ({ ...batch(random), reset: new Float32Array(16) }));
    const [first, second, third] = pieces.map((piece, i) => ({ ...piece, continues: i !== 1 }));
    const together = newTrainer();
    await together.step(pieces, 0);
    const { loss } = await together.step([first, second, third], 0);
    let sum = 0;
    for (const [i, piece] of pieces.entries()) {
      const alone = newTrainer();
      await alone.step(piece, 0);
      if (i === 1) alone.clearState();
      sum += (await alone.step(piece, 0)).loss;
    }
    expect(loss).toBeCloseTo(sum / 3, 12);
    const forgetful = [first, third].map((piece) => ({ ...piece, continues: false }));
    const fresh = newTrainer();
    expect((await fresh.step(forgetful, 0)).loss).toBeCloseTo((await together.step(forgetful, 0)).loss, 12);
  });

  it('makes a step of its two halves, also where others compute a part of the gradients', async () => {
    const [one, other] = [batch(new Random(5), 2), batch(new Random(6), 2)];
    const [whole, halves] = [newTrainer(), newTrainer()];
    const expected = await whole.step([one, other], 0.01);
    const parts = [];
    const sums: Float64Array[] = [];
    for (const part of [one, other]) {
      halves.clearState();
      parts.push(await halves.computeGradients(part, 32));
      for (const [i, memory] of halves.gradients.entries()) {
        const values = await memory.readAll();
        sums[i] = Float64Array.from(values, (value, at) => value + (sums[i]?.[at] ?? 0));
      }
    }
    halves.gradients.forEach((memory, i) => {
      memory.writeAll(sums[i]);
    });
    expect(parts.map(({ targets }) => targets)).toEqual([16, 16]);
    expect(parts[0].loss + parts[1].loss).toBeCloseTo(expected.loss, 12);
    expect(await halves.applyUpdate(0.01)).toBeCloseTo(expected.gradientNorm, 12);
    expect(halves.steps).toBe(1);
    const wanted = await whole.model.read();
    for (const [name, { values }] of await halves.model.read()) {
      expect(largest(values, wanted.get(name)?.values as ArrayLike<number>), name).toBeLessThan(1e-12);
    }
  });

  it('restores files from before the step count was saved, and refuses a count that is none', async () => {
    const trainer = newTrainer();
    await trainer.step(batch(new Random(1)), 0.01);
    const saved = await trainer.save();
    const old = new Map(saved);
    old.delete('steps');
    const next = newTrainer();
    expect(() => next.restore(old, 'old file')).toThrow('old file: "steps" is missing');
    next.restore(old, 'old file', 1);
    expect(next.steps).toBe(1);
    for (const values of [[1], [0, 0.5], [-1, 0], [Number.NaN, 0]]) {
      const damaged = new Map(saved).set('steps', { shape: [values.length], values });
      expect(() => next.restore(damaged, 'f')).toThrow(expect.objectContaining({ code: 'checkpoint' }));
    }
  });
});

const largest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));
