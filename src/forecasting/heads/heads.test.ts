import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseEngine } from '../../compute/engines/choose.ts';
import { createModel } from '../../models/create_model.ts';
import { Random } from '../../random.ts';
import { loadForecaster } from '../../saved/forecaster_folders.ts';
import { encodeHead } from '../../saved/head_files.ts';
import { loadHead, saveHead } from '../../saved/head_folders.ts';
import { saveModel } from '../../saved/model_folders.ts';
import { Forecaster } from '../forecaster.ts';
import { SeriesClassifier } from './series_head.ts';
import { trainClassifier, trainRegressor } from './train_head.ts';

const { engine } = await chooseEngine('wasm', { threads: 1 });
let forecaster: Forecaster;
beforeAll(async () => {
  const folder = fileURLToPath(new URL('../../../models/forecaster-tiny', import.meta.url));
  forecaster = await loadForecaster(folder, { engine });
});
afterAll(() => {
  forecaster.free();
  return engine.close();
});

/** A wave of some period in noise, of any height and phase. */
function wave(random: Random, period: number): Float64Array {
  const [height, phase, level] = [random.uniform(1, 9), random.uniform(0, 7), random.uniform(-50, 50)];
  return Float64Array.from(
    { length: 160 },
    (_, t) => level + height * (Math.sin(phase + (2 * Math.PI * t) / period) + 0.5 * random.normal()),
  );
}
const KINDS = { day: 24, week: 7, none: 1e9 } as const;
const kinds = Object.keys(KINDS) as (keyof typeof KINDS)[];

function examplesOf(count: number, seed: number): { samples: Float64Array[]; labels: string[] } {
  const random = new Random(seed);
  const labels = Array.from({ length: count }, (_, i) => kinds[i % 4 === 3 ? 0 : i % 4]);
  return { samples: labels.map((label) => wave(random, KINDS[label as keyof typeof KINDS])), labels };
}

describe('a head', () => {
  it('tells the kind of series that it has not seen, and is the same when it is loaded again', async () => {
    const { samples, labels } = examplesOf(48, 1);
    const head = await trainClassifier(forecaster, samples, labels);
    expect(head.classes).toEqual(['day', 'none', 'week']);
    const { measures, examples, folds } = head.facts;
    expect([measures.kind, examples, folds]).toEqual(['classification', 48, 5]);
    if (measures.kind !== 'classification') return;
    expect(measures.majority).toBe(0.5);
    expect(measures.accuracy).toBeGreaterThan(0.8);
    const other = examplesOf(40, 2);
    const told = await head.classify(other.samples);
    const right = told.filter(({ label }, i) => label === other.labels[i]).length;
    expect(right / 40).toBeGreaterThan(0.8);
    for (const { probabilities } of told) expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);

    const loaded = await loadHead(forecaster, { files: await encodeHead(head) });
    expect(loaded).toBeInstanceOf(SeriesClassifier);
    expect(await (loaded as SeriesClassifier).classify(other.samples)).toEqual(told);
    expect(loaded.facts).toEqual(head.facts);
  });

  it('tells a number of series that it has not seen better than the mean does', async () => {
    const random = new Random(5);
    const noises = Array.from({ length: 70 }, () => random.uniform(0, 2));
    const samples = noises.map((noise) =>
      Float64Array.from({ length: 128 }, (_, t) => Math.sin(t / 4) + noise * random.normal()),
    );
    const head = await trainRegressor(forecaster, samples.slice(0, 50), noises.slice(0, 50));
    const { measures } = head.facts;
    if (measures.kind !== 'regression') throw new Error('expected a regression');
    expect(measures.error).toBeLessThan(0.5 * measures.errorOfMean);
    const found = await head.predict(samples.slice(50));
    const squares = found.reduce((sum, value, i) => sum + (value - noises[50 + i]) ** 2, 0);
    expect(Math.sqrt(squares / 20)).toBeLessThan(0.5 * measures.errorOfMean);
  });

  it('says that it does no better than the majority where there is nothing to tell', async () => {
    const random = new Random(9);
    const samples = Array.from({ length: 30 }, () => wave(random, 12));
    const { facts } = await trainClassifier(
      forecaster,
      samples,
      samples.map((_, i) => (i % 3 === 0 ? 'a' : 'b')),
    );
    if (facts.measures.kind !== 'classification') throw new Error('expected a classification');
    expect(facts.measures.accuracy).toBeLessThan(0.8);
    expect(facts.measures.majority).toBeCloseTo(2 / 3, 12);
  });
});

describe('what is no use', () => {
  const some = examplesOf(8, 3).samples;
  it.each([
    [some, 'aabb'.split(''), 'expected a label for each of the 8 samples, found 4'],
    [some, 'aaaaaaaa'.split(''), 'labels: expected two classes or more, found ["a"]'],
    [some, 'aaaabbbc'.split(''), 'labels: expected at least 2 examples of "c", found 1'],
    [some, ['a', '', ...'abbbaa'.split('')], 'labels: example 1: expected the name of a class, found ""'],
    [some, [0, 1, 1, 1, 0, 0, 0, 1], 'labels: example 0: expected the name of a class, found 0'],
    [some.slice(0, 4), 'aabb'.split(''), 'samples: expected at least 5 examples, found 4'],
    [
      [...some.slice(0, 7), [some[0], some[1]]],
      'aaaabbbb'.split(''),
      'sample 7: expected as many variates as the first sample has, found "more"',
    ],
  ])('is refused by trainClassifier: %#', async (samples, labels, message) => {
    await expect(trainClassifier(forecaster, samples, labels as string[])).rejects.toThrow(message);
  });

  it.each([
    [[1, 2, 3], 'expected a label for each of the 8 samples, found 3'],
    [[1, 2, Number.NaN, 4, 5, 6, 7, 8], 'values: example 2: expected a finite number, found NaN'],
    [[4, 4, 4, 4, 4, 4, 4, 4], 'values: expected different ones, found 4 alone'],
  ])('is refused by trainRegressor: %#', async (values, message) => {
    await expect(trainRegressor(forecaster, some, values)).rejects.toThrow(message);
  });

  it('is refused of a head that is loaded, and of samples of other variates', async () => {
    const { samples, labels } = examplesOf(12, 4);
    const head = await trainClassifier(forecaster, samples, labels);
    await expect(head.classify([[samples[0], samples[1]]])).rejects.toThrow(
      'sample 0: expected an embedding of 256 numbers, as of the examples, found 512',
    );
    const place = await mkdtemp(join(tmpdir(), 'xlstm-head-'));
    const model = createModel(engine, {
      ...{ architecture: 'tirex', patchSize: 8, contextLength: 32, patchHiddenDim: 32 },
      ...{ embeddingDim: 16, numHeads: 2, numBlocks: 1, quantiles: [0.1, 0.5, 0.9] },
    });
    using other = new Forecaster(model);
    await saveModel({ model }, join(place, 'model'));
    await saveHead(head, join(place, 'model'));
    await saveHead(head, join(place, 'alone'));
    expect((await readdir(join(place, 'model'))).sort()).toEqual([
      ...['config.json', 'head.json', 'head.safetensors', 'model.safetensors'],
    ]);
    await expect(loadHead(other, join(place, 'model'))).rejects.toThrow(
      /head\.json: the head was trained on the embeddings of another model: expected fingerprint [0-9a-f]{8}, found/,
    );
    await expect(loadHead(forecaster, join(place, 'none'))).rejects.toThrow(
      /none: expected a head \(head\.json/,
    );
    const damage = async (change: (json: Record<string, unknown>) => void): Promise<void> => {
      const json = JSON.parse(await readFile(join(place, 'alone', 'head.json'), 'utf8'));
      change(json);
      await writeFile(join(place, 'model', 'head.json'), JSON.stringify(json));
    };
    const load = () => loadHead(forecaster, join(place, 'model'));
    await damage((json) => Object.assign(json, { features: 255 }));
    await expect(load()).rejects.toThrow(
      /head\.safetensors: "weight": expected F32 of \[3, 255\], as head\.json says/,
    );
    await damage((json) => Object.assign(json, { format: 'other' }));
    await expect(load()).rejects.toThrow(/head\.json: format: expected a head \(xlstm-head-1\)/);
    await damage((json) => Reflect.deleteProperty(json, 'classes'));
    await expect(load()).rejects.toThrow(/classes: expected of a classification alone, found none/);
    await writeFile(join(place, 'notes.txt'), 'mine');
    await expect(saveHead(head, place)).rejects.toThrow(/the folder holds/);
    await rm(place, { recursive: true });
  });
});
