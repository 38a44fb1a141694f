import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTextModel, saveCheckpoint } from '../../src/checkpoints/checkpoint_folder.ts';
import type { Engine } from '../../src/compute/engines/engine.ts';
import { createReferenceEngine } from '../../src/compute/engines/reference/engine.ts';
import { fastEngines } from '../../src/compute/engines/testing/engines.ts';
import { ByteTokenizer } from '../../src/data/tokenizer.ts';
import { createModel } from '../../src/models/create_model.ts';
import { languageModelConfig } from '../../src/models/xlstm/config.ts';
import type { XlstmLanguageModel } from '../../src/models/xlstm/language_model.ts';
import type { Model } from '../../src/nn/model.ts';
import { Evaluator } from '../../src/training/evaluate.ts';
import { Trainer } from '../../src/training/trainer.ts';

const tokenizer = new ByteTokenizer();
const EMBEDDING = 'token_embedding.weight';
const HEAD = 'lm_head.weight';
const shape = { batchSize: 2, length: 8 };
const text = tokenizer.encode('abcabdabcabdabcab');
const batch = { tokens: text.slice(0, 16), targets: text.slice(1, 17) };

const { cases } = await fastEngines();
const engines = [
  { name: 'reference', tolerance: 1e-10, open: async (): Promise<Engine> => createReferenceEngine() },
  ...cases.map(({ name, open }) => ({ name, tolerance: 1e-4, open: () => open(1) })),
];

const newModel = (engine: Engine, tieWeights: boolean): Model<XlstmLanguageModel> => {
  const config = languageModelConfig({
    vocabSize: tokenizer.vocabSize,
    embeddingDim: 16,
    numBlocks: 2,
    numHeads: 2,
    slstmAt: [1],
    tieWeights,
  });
  return createModel(engine, config, { seed: 3 });
};

async function gradientsOf(model: Model<XlstmLanguageModel>): Promise<Map<string, number[]>> {
  const trainer = new Trainer(model, shape);
  await trainer.computeGradients(batch);
  const gradients = new Map<string, number[]>();
  for (const memory of trainer.gradients) {
    for (const { name } of memory.region.entries) gradients.set(name, Array.from(await memory.read(name)));
  }
  return gradients;
}

describe.each(engines)('tied weights: $name', ({ open, tolerance }) => {
  let engine: Engine;
  let folder: string;
  beforeAll(async () => {
    engine = await open();
    folder = await mkdtemp(join(tmpdir(), 'xlstm-tied-'));
  });
  afterAll(async () => {
    await engine.close();
    await rm(folder, { recursive: true });
  });

  it('their gradient is the sum of those of both uses', async () => {
    const tied = newModel(engine, true);
    const tensors = await tied.read();
    expect(tensors.has(HEAD)).toBe(false);
    const untied = newModel(engine, false);
    const matrix = tensors.get(EMBEDDING);
    if (!matrix) throw new Error('no embedding');
    untied.write(new Map(tensors).set(HEAD, matrix), 'the test');

    const [found, parts] = [await gradientsOf(tied), await gradientsOf(untied)];
    const [input, output] = [EMBEDDING, HEAD].map((name) => parts.get(name) as number[]);
    const largest = Math.max(...output.map(Math.abs));
    expect(Math.max(...input.map(Math.abs))).toBeGreaterThan(0.01 * largest);
    for (const [name, values] of found) {
      const expected =
        name === EMBEDDING ? input.map((x, i) => x + output[i]) : (parts.get(name) as number[]);
      const error = Math.max(...values.map((x, i) => Math.abs(x - expected[i])));
      expect(error, name).toBeLessThan(tolerance * Math.max(largest, ...expected.map(Math.abs)));
    }
  });

  it('are trained, saved, loaded and trained on as if nothing had been between', async () => {
    const model = newModel(engine, true);
    const trainer = new Trainer(model, shape);
    const { loss: first } = await trainer.step(batch, 0.01);
    let last = first;
    for (let i = 0; i < 10; i++) last = (await trainer.step(batch, 0.01)).loss;
    expect(last).toBeLessThan(0.7 * first);

    const path = join(folder, 'checkpoint');
    await saveCheckpoint(path, { model, tokenizer });
    const loaded = (await loadTextModel(engine, path)).model;
    expect(loaded.design?.config).toMatchObject({ tieWeights: true });
    const [saved, read] = [await model.read(), await loaded.read()];
    expect([...read.keys()]).toEqual([...saved.keys()]);
    for (const [name, { values }] of saved) {
      // Files hold float32.
      expect(Float32Array.from(read.get(name)?.values ?? []), name).toEqual(Float32Array.from(values));
    }
    const measure = (of: Model): Promise<{ loss: number }> =>
      new Evaluator(of, { lanes: 1, length: 8 }).run(text);
    expect((await measure(loaded)).loss).toBeCloseTo((await measure(model)).loss, 5);

    const next = new Trainer(loaded, shape);
    next.restore(await trainer.save(), 'the test');
    expect((await next.step(batch, 0.01)).loss).toBeCloseTo((await trainer.step(batch, 0.01)).loss, 5);
    expect((await next.step(batch, 0.01)).loss).toBeCloseTo((await trainer.step(batch, 0.01)).loss, 4);
  });
});
