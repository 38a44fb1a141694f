import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../compute/engines/engine.ts';
import { createWasmEngine } from '../../compute/engines/wasm/engine.ts';
import { Trainer } from '../../training/trainer.ts';
import type { StudySpec } from './cell.ts';
import { createStudyModel } from './cell_model.ts';
import { openCorpus, prepareCorpus, type StudyCorpus } from './corpus.ts';
import { sizedModel } from './models.ts';
import { plantedRecall, plantedSequences } from './planted_recall.ts';
import { runStudyCell } from './run_cell.ts';

let engine: Engine;
let folder: string;
let corpus: StudyCorpus;
beforeAll(async () => {
  engine = await createWasmEngine({ threads: 1 });
  folder = mkdtempSync(join(tmpdir(), 'scaling-cell-'));
  const text = join(folder, 'text.txt');
  const lines = Array.from({ length: 3000 }, (_, i) => `line ${i} has the number ${(i * 7919) % 1000}\n`);
  writeFileSync(text, lines.join(''));
  await prepareCorpus(folder, [text], 320);
  corpus = await openCorpus(folder);
});
afterAll(async () => {
  corpus.close();
  await engine.close();
  rmSync(folder, { recursive: true });
});

const spec = (changes: Partial<StudySpec>): StudySpec => ({
  cell: { kind: 'train', model: 'xlstm-large', size: 8000, tokensPerParameter: 2, context: 64, seed: 1 },
  ...sizedModel('xlstm-large', 8000, 320),
  ...{ learningRate: 0.01, long: true, corpus: folder, digest: corpus.facts.digest, jobs: 1, code: 'test' },
  settings: {
    ...{ tokensPerStep: 512, validationTokens: 1024, longSequences: 2 },
    ...{ distances: [16, 64], costLengths: [16, 32] },
  },
  ...changes,
});

describe('the texts of a study', () => {
  it('are tokens of a tokenizer trained on them, which bring the text back', async () => {
    const { facts, train, heldOut } = corpus;
    expect(facts.tokens).toBe(train.length);
    expect(facts.heldOutTokens).toBe(heldOut.length);
    const tokens = new Int32Array(heldOut.length);
    heldOut.read(0, tokens);
    const text = (await heldOut.tokenizer()).decode(tokens);
    expect(Buffer.byteLength(text)).toBe(facts.heldOutBytes);
    expect(text).toContain('has the number');
    // What is there is not made again.
    expect(await prepareCorpus(folder, ['/nowhere'], 320)).toEqual(facts);
  });
});

describe('a cell that trains', () => {
  it('counts what it did and measures the model', async () => {
    const record = await runStudyCell(spec({}), engine);
    expect(record).toMatchObject({
      status: 'done',
      steps: 31,
      tokens: 31 * 512,
      seed: 1,
      engine: engine.description,
    });
    using model = createStudyModel(engine, 'xlstm-large', spec({}).config, 1);
    using trainer = new Trainer(model, { batchSize: 8, length: 64 });
    expect(record.flops).toBe(31 * trainer.executable.program.flops);
    // It has learned something: a model that knows nothing has the logarithm of 320.
    expect(record.loss?.token).toBeLessThan(Math.log(320) - 0.5);
    const { heldOutTokens, heldOutBytes } = corpus.facts;
    expect(record.loss?.byte).toBeCloseTo(((record.loss?.token ?? 0) * heldOutTokens) / heldOutBytes, 10);
    expect(record.positions?.[0]).toMatchObject({ from: 0, to: 1 });
    expect(record.positions?.at(-1)?.to).toBe(2048);
    expect(record.recall?.map(({ distance }) => distance)).toEqual([16, 64]);
    const again = await runStudyCell(spec({}), engine);
    expect(again.loss).toEqual(record.loss);
  });

  it('records a training that diverges', async () => {
    const record = await runStudyCell(spec({ learningRate: 1e30 }), engine);
    expect(record.status).toBe('diverged');
    expect(record.loss).toBeUndefined();
  });
});

describe('a planted fact', () => {
  it('comes again after so many tokens, and what follows it is new', () => {
    const stream = plantedSequences(corpus.heldOut, 64);
    const length = 64 + 32;
    expect(stream.length).toBe(16 * length + 1);
    for (let at = 0; at + length < stream.length; at += length) {
      const fact = stream.subarray(at, at + 16);
      expect(stream.subarray(at + 64, at + 80)).toEqual(fact);
      expect(stream.subarray(at + 80, at + 96)).not.toEqual(fact);
    }
  });

  it('is no more likely than another for a model that knows nothing', async () => {
    using model = createStudyModel(engine, 'lstm', sizedModel('lstm', 8000, 320).config, 1);
    const [{ planted, control }] = await plantedRecall(model, corpus.heldOut, [32]);
    expect(planted).toBeCloseTo(Math.log(320), 0);
    expect(Math.abs(planted - control)).toBeLessThan(0.2);
  });
});

describe('a cell that measures time', () => {
  it('has a row for each batch and length', async () => {
    const { cell } = spec({});
    const record = await runStudyCell(
      spec({
        cell: { ...cell, kind: 'cost', model: 'transformer' },
        ...sizedModel('transformer', 8000, 320),
      }),
      engine,
    );
    expect(record.cost?.map(({ batch, length }) => [batch, length])).toEqual([
      [1, 16],
      [1, 32],
      [16, 16],
      [16, 32],
    ]);
    const [shorter, longer] = record.cost ?? [];
    expect(longer.stateBytes).toBeGreaterThan(shorter.stateBytes);
    expect(shorter.firstMs).toBeGreaterThan(0);
  });
});
