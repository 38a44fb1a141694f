import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { createModel } from '../models/create_model.ts';
import type { TirexNetwork } from '../models/tirex/network.ts';
import type { Model } from '../nn/model.ts';
import { loadForecaster } from '../saved/forecaster_folders.ts';
import { saveModel } from '../saved/model_folders.ts';
import { Forecaster, type ForecastOptions } from './forecaster.ts';
import { TirexNetworkRunner } from './tirex_network_runner.ts';
import { rollOut } from './tirex_rollout.ts';

const folder = fileURLToPath(new URL('../../test/golden/tirex1_tiny', import.meta.url));
let engine: Engine;
let forecaster: Forecaster;
beforeAll(async () => {
  engine = createReferenceEngine();
  forecaster = await loadForecaster(folder, { engine });
});
afterAll(() => {
  forecaster.free();
  return engine.close();
});

const wave = (length: number, period = 12): number[] =>
  Array.from({ length }, (_, t) => 10 + Math.sin((2 * Math.PI * t) / period) + 0.01 * t);

describe('a forecast', () => {
  it('has the levels asked for, between those of the model by straight lines', async () => {
    const levels = [0.05, 0.1, 0.25, 0.5, 0.9];
    const { quantiles, median, times, warnings } = await forecaster.forecast(wave(60), {
      horizon: 20,
      levels,
    });
    using runner = new TirexNetworkRunner(forecaster.model as unknown as Model<TirexNetwork>);
    const { quantiles: own } = await rollOut(runner, [wave(60)], 20, 1);
    const row = (q: number): number[] => Array.from({ length: 20 }, (_, h) => own[h * 9 + q]);
    expect(forecaster.levels).toEqual([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
    expect([...quantiles[1]]).toEqual(row(0));
    expect([...quantiles[0]]).toEqual(row(0));
    expect([...median]).toEqual(row(4));
    expect([...quantiles[3]]).toEqual(row(4));
    expect([...quantiles[4]]).toEqual(row(8));
    for (let h = 0; h < 20; h++) expect(quantiles[2][h]).toBeCloseTo((row(1)[h] + row(2)[h]) / 2, 12);
    expect(times).toBeUndefined();
    expect(warnings).toEqual([
      'The model gives quantiles from 0.1 to 0.9: levels beyond them are those of these two, and bands too narrow for them.',
    ]);
  });

  it('of many series and targets is that of each, with the times of its own', async () => {
    const start = Date.UTC(2026, 0, 1);
    const times = {
      following: (count: number) => Array.from({ length: count }, (_, i) => new Date(start + i)),
    };
    const [a, b, c] = [wave(40), wave(33, 7), wave(33, 5)];
    const [first, second] = await forecaster.forecastAll([a, { targets: { load: b, price: c }, times }], {
      horizon: 5,
    });
    const median = async (values: number[]): Promise<Float64Array> =>
      (await forecaster.forecast(values, { horizon: 5 })).median;
    expect(first.median).toEqual(await median(a));
    expect(second.targets.load.median).toEqual(await median(b));
    expect(second.median).toEqual(second.targets.load.median);
    expect(second.targets.price.median).toEqual(await median(c));
    expect(second.times?.map(Number)).toEqual([0, 1, 2, 3, 4].map((i) => start + i));
    expect(Object.keys(first.targets)).toEqual(['value']);
    expect(first.levels).toEqual(forecaster.levels);
  });

  it('takes null for what is missing, and says when its horizon is beyond what was tested', async () => {
    const values: (number | null)[] = wave(40);
    values[7] = null;
    const { median } = await forecaster.forecast(values, { horizon: 2 });
    values[7] = Number.NaN;
    expect((await forecaster.forecast(Float64Array.from(values as number[]), { horizon: 2 })).median).toEqual(
      median,
    );
    const { warnings } = await forecaster.forecast(values, { horizon: forecaster.testedHorizon + 1 });
    expect(warnings[0]).toContain('bands that were not tested');
  });

  it.each([
    [{ targets: {} }, {}, 'series: targets: expected one variate'],
    ['1, 2', {}, 'series: expected numbers'],
    [[1, 2, Number.POSITIVE_INFINITY, 4], {}, '"value": step 2: expected a finite number'],
    [[1, 2, 'x', 4], {}, 'step 2: expected a finite number, or null where one is missing, found "x"'],
    [[1, null, null, 4], {}, 'at least 3 values that are not missing, found 2'],
    [{ targets: { a: [1, 2, 3], b: [1, 2, 3, 4] } }, {}, '"b": expected as many steps as "a", 3, found 4'],
    [{ targets: { a: [1, 2, 3] }, cast: {} }, {}, 'there is no option "cast"'],
    [wave(9), { horizon: 0 }, 'horizon: expected a whole number'],
    [wave(9), { levels: [0.9, 0.1] }, 'levels: expected numbers between 0 and 1 in ascending order'],
    [
      wave(9),
      { known: { a: wave(9) } },
      'known "a": expected 11 steps, 9 of the series and 2 of the horizon',
    ],
    [wave(9), { past: { a: wave(8) } }, 'past "a": expected as many steps as the targets, 9, found 8'],
    [wave(9), { past: { a: wave(9) } }, 'this model reads each variate by itself'],
    [{ targets: { a: wave(9) }, past: {} }, { past: {} }, 'past: expected none beside those of the series'],
    [wave(9), { horizons: 4 }, 'there is no option "horizons"'],
  ])('refuses %j with %j', async (series, options, message) => {
    const all = { horizon: 2, ...options } as ForecastOptions;
    await expect(forecaster.forecast(series as number[], all)).rejects.toThrow(message);
  });
});

describe('a forecaster', () => {
  it('is a model that forecasts', async () => {
    const other = createModel(engine, { architecture: 'lstm', vocabSize: 5, embeddingDim: 8, numBlocks: 1 });
    expect(() => new Forecaster(other as unknown as Model<TirexNetwork>)).toThrow('expected a forecaster');
    other.free();
  });

  it('is told from other models when it is loaded', async () => {
    const { mkdtemp, rm } = await import('node:fs/promises');
    const { tmpdir } = await import('node:os');
    const { join } = await import('node:path');
    const place = await mkdtemp(join(tmpdir(), 'xlstm-forecaster-'));
    const other = createModel(engine, { architecture: 'lstm', vocabSize: 5, embeddingDim: 8, numBlocks: 1 });
    await saveModel(other, join(place, 'words'));
    await expect(loadForecaster(join(place, 'words'), { engine })).rejects.toThrow(
      /words: expected a forecaster, found/,
    );
    other.free();
    await rm(place, { recursive: true });
  });

  it('does one thing at a time, and nothing after it was freed', async () => {
    const one = await loadForecaster(folder, { engine });
    const first = one.forecast(wave(20), { horizon: 1 });
    await expect(one.forecast(wave(20), { horizon: 1 })).rejects.toThrow('still at work');
    await first;
    one.free();
    await expect(one.forecast(wave(20), { horizon: 1 })).rejects.toThrow('was freed');
  });
});

describe.each(['tirex1_tiny', 'tirex2_tiny'])('embeddings of %s', (name) => {
  let model: Forecaster;
  beforeAll(async () => {
    model = await loadForecaster(fileURLToPath(new URL(`../../test/golden/${name}`, import.meta.url)), {
      engine,
    });
  });
  afterAll(() => model.free());

  it('are vectors of one length and scale, nearer for series that are alike', async () => {
    const [a, b, c] = await model.embed([wave(80), wave(90).slice(10), wave(80, 3)]);
    expect(a).toHaveLength(4 * 64);
    expect(a.reduce((sum, x) => sum + x, 0)).toBeCloseTo(0, 9);
    expect(a.reduce((sum, x) => sum + x * x, 0) / a.length).toBeCloseTo(1, 2);
    const far = (x: Float64Array, y: Float64Array): number =>
      Math.hypot(...x.map((value, i) => value - y[i]));
    expect(far(a, b)).toBeLessThan(far(a, c));
  });

  it('of many samples are those of each, of any number of variates', async () => {
    const samples = [wave(80), [wave(40), wave(40, 5)], wave(300)];
    const all = await model.embed(samples);
    for (const [i, sample] of samples.entries()) {
      const [alone] = await model.embed([sample]);
      for (let j = 0; j < alone.length; j += 7) expect(all[i][j]).toBeCloseTo(alone[j], 9);
    }
    expect(all[1]).toHaveLength(2 * 4 * 64);
    const [augmented] = await model.embed(samples.slice(0, 1), { augmented: true });
    expect(augmented).toHaveLength(2 * 4 * 64 + 4 * 8);
    expect(augmented.subarray(256, 512)).toEqual((await model.embed(samples.slice(0, 1)))[0]);
  });

  it.each([
    [[], 'samples: expected at least one'],
    [[[1, 'x']], 'sample 0: step 1: expected a finite number'],
    [[[]], 'sample 0: expected at least one value'],
    [[[[1, 2], [1]]], 'sample 0, variate 1: expected as many steps as the first, 2, found 1'],
  ])('refuse %j', async (samples, message) => {
    await expect(model.embed(samples as number[][])).rejects.toThrow(message);
  });
});
