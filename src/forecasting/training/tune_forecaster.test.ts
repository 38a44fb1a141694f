import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { checkpointFiles, decodeCheckpoint } from '../../checkpoints/checkpoint.ts';
import { loadCheckpoint } from '../../checkpoints/checkpoint_folder.ts';
import { chooseEngine } from '../../compute/engines/choose.ts';
import { createModel } from '../../models/create_model.ts';
import { plainModel } from '../../nn/merge_adapter.ts';
import { Forecaster } from '../forecaster.ts';
import { heldOutOf, type TuneForecasterOptions, tuneForecaster } from './tune_forecaster.ts';

const { engine } = await chooseEngine('wasm', { threads: 1 });
afterAll(() => engine.close());
const tiny = fileURLToPath(new URL('../../../models/forecaster-tiny', import.meta.url));

const SIZES = {
  ...{ patchSize: 8, contextLength: 32, patchHiddenDim: 32, embeddingDim: 16, numHeads: 2 },
  quantiles: [0.1, 0.5, 0.9],
};
const tirex = { architecture: 'tirex', ...SIZES, numBlocks: 1 };
const tirex2 = {
  ...{ architecture: 'tirex2', ...SIZES, futureLength: 16, blocks: ['mlstm', 'slstm'] },
  ...{ outputHiddenFactor: 2, numSlstmHeads: 2, numVariateHeads: 2 },
};

const form = [0, 3, 1, 5];
const saw = Float64Array.from({ length: 300 }, (_, t) => 10 + form[t % 4]);

const valuesOf = async ({ model }: Forecaster, parameters = model.parameters.list) =>
  [...(await model.read(parameters))].map(([name, { values }]) => [name, Array.from(values)]);

describe('fine-tuning', () => {
  it.each([
    ['a TiRex', tirex],
    ['a TiRex-2', tirex2],
  ])('fits %s to a series, the same for the same seed', async (_, config) => {
    const found: unknown[] = [];
    for (let run = 0; run < 2; run++) {
      using forecaster = new Forecaster(createModel(engine, config as never));
      const measured: number[] = [];
      const result = await tuneForecaster(forecaster, {
        ...{ series: [saw], steps: 150, batchSize: 16, learningRate: 1e-2, measureEvery: 50 },
        onMeasure: ({ loss }) => measured.push(loss),
      });
      expect(result.isTuned).toBe(true);
      expect(result.after).toBeLessThan(0.7 * result.before);
      expect(measured).toHaveLength(4);
      expect(result.bestStep).toBe(50 * measured.indexOf(Math.min(...measured)));
      found.push([result, measured, await valuesOf(forecaster)]);
    }
    expect(found[1]).toEqual(found[0]);
  });

  it('trains adapters alone, over the packed weights of the forecaster of the package', async () => {
    const adapter = { adapter: { rank: 2, alpha: 4, base: tiny, source: 'test' }, values: { seed: 1 } };
    const { model } = await loadCheckpoint(engine, tiny, { adapter });
    using forecaster = new Forecaster(model);
    const own = await valuesOf(forecaster, model.parameters.own);
    const ramp = Float64Array.from({ length: 900 }, (_, t) => [4, 0, 0, 9, 0][t % 5] + (t % 7 === 0 ? 3 : 0));
    const options = { series: [ramp], steps: 40, batchSize: 8, learningRate: 5e-3, measureEvery: 10 };
    const result = await tuneForecaster(forecaster, options);
    expect(result.isTuned).toBe(true);
    expect(await valuesOf(forecaster, model.parameters.own)).toEqual(own);
    const files = await checkpointFiles({ model });
    expect([...files.keys()]).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  });

  it('puts the original back, to the bit, where what is held out is forecast worse', async () => {
    using forecaster = new Forecaster(createModel(engine, tirex as never));
    const before = await valuesOf(forecaster);
    // Noise, of which there is nothing to learn; and far too large steps.
    const noise = Float64Array.from({ length: 200 }, (_, t) => Math.sin(t * t) + Math.sin(3 * t * t));
    const options = { series: [noise], steps: 20, batchSize: 2, learningRate: 3, measureEvery: 5 };
    const result = await tuneForecaster(forecaster, options);
    expect(result).toMatchObject({ isTuned: false });
    expect(await valuesOf(forecaster)).toEqual(before);
  });

  it('ends when it is asked to, and where nothing has become better for long', async () => {
    using forecaster = new Forecaster(createModel(engine, tirex as never));
    const stop = new AbortController();
    const base = { series: [saw], steps: 200, batchSize: 2, measureEvery: 1 };
    const stopped = await tuneForecaster(forecaster, {
      ...{ ...base, signal: stop.signal },
      onStep: ({ step }) => step === 3 && stop.abort(),
    });
    expect(stopped.steps).toBe(3);
    const patient = await tuneForecaster(forecaster, { ...base, learningRate: 2, patience: 4 });
    expect(patient.steps).toBe(patient.bestStep + 4);
  });

  it('fits a TiRex-2 to targets that belong together and to what is known ahead', async () => {
    const holiday = Float64Array.from({ length: 300 }, (_, t) => Number(Math.sin(t * t) > 0.3));
    const price = holiday.map((on, t) => 20 + 8 * on + (t % 2));
    const load = holiday.map((on, t) => 50 - 20 * on - (t % 2));
    const rain = Float64Array.from({ length: 300 }, (_, t) => Math.cos(t * t));
    using forecaster = new Forecaster(createModel(engine, tirex2 as never));
    const result = await tuneForecaster(forecaster, {
      series: [{ targets: { load, price }, past: { rain }, known: { holiday } }],
      ...{ steps: 60, batchSize: 8, learningRate: 1e-2, measureEvery: 30 },
    });
    expect(result.isTuned).toBe(true);
    expect(result.after).toBeLessThan(0.8 * result.before);
  });

  it('puts the original back of a TiRex-2 with covariates too', async () => {
    using forecaster = new Forecaster(createModel(engine, tirex2 as never));
    const before = await valuesOf(forecaster);
    const noise = Float64Array.from({ length: 200 }, (_, t) => Math.sin(t * t) + Math.sin(3 * t * t));
    const series = [{ targets: { noise }, known: { other: noise.toReversed() } }];
    const options = { series, steps: 20, batchSize: 2, learningRate: 3, measureEvery: 5 };
    expect(await tuneForecaster(forecaster, options)).toMatchObject({ isTuned: false });
    expect(await valuesOf(forecaster)).toEqual(before);
  });

  it('refuses covariates of a model that takes none, and series of unlike variates', async () => {
    using alone = new Forecaster(createModel(engine, tirex as never));
    const series = [{ targets: { saw }, past: { saw } }];
    await expect(tuneForecaster(alone, { series })).rejects.toThrow(
      /series 0: past, known: expected none.*TiRex-2/,
    );
    using forecaster = new Forecaster(createModel(engine, tirex2 as never));
    await expect(tuneForecaster(forecaster, { series: [...series, saw] })).rejects.toThrow(
      /series 1: past: expected as many variates as in series 0, 1, found 0/,
    );
    const short = [{ targets: { saw }, known: { saw: saw.subarray(1) } }];
    await expect(tuneForecaster(forecaster, { series: short })).rejects.toThrow(/known "saw": expected 300/);
  });

  it('holds out patches, or of short series an eighth', () => {
    const of = (...lengths: number[]) =>
      heldOutOf(
        lengths.map((length) => ({ length })),
        32,
      );
    expect(of(10_000, 6000)).toEqual({ horizon: 32, windows: 8 });
    expect(of(10_000, 600)).toEqual({ horizon: 32, windows: 2 });
    expect(of(40)).toEqual({ horizon: 5, windows: 1 });
  });

  it('learns nothing from what is held out: another end changes no weight', async () => {
    const found: unknown[] = [];
    for (const by of [0, 50]) {
      using forecaster = new Forecaster(createModel(engine, tirex as never));
      // The stretch behind that by which training ends: it is measured alone.
      const series = saw.map((value, t) => value + (t >= 300 - 4 * 8 ? by * (t % 3) : 0));
      await tuneForecaster(forecaster, {
        ...{ series: [series], steps: 10, batchSize: 4, learningRate: 1e-2, measureEvery: 10 },
        onMeasure: ({ loss }) => found.push(loss),
      });
    }
    expect(found[2]).toBe(found[0]);
    expect(found[3]).toBe(found[1]);
  });

  it.each([
    [{ series: [] }, 'series: expected at least one'],
    [{ series: [saw.subarray(0, 15)] }, 'series 0: expected at least 16 values that are not missing'],
    [
      { series: [saw, new Float64Array(100).fill(Number.NaN)] },
      'series 1: "value": expected at least 3 values',
    ],
    [{ series: [[1, 2, 'x']] }, 'series 0: "value": step 2: expected a finite number'],
    [{ series: [new Float64Array(100).fill(3)] }, 'series: expected values that change'],
    [{ series: [saw], steps: 0 }, 'steps: expected a whole number'],
    [{ series: [saw], patients: 2 }, 'there is no option "patients"'],
  ])('refuses %#', async (options, message) => {
    using forecaster = new Forecaster(createModel(engine, tirex as never));
    const before = await valuesOf(forecaster);
    await expect(tuneForecaster(forecaster, options as TuneForecasterOptions)).rejects.toThrow(message);
    expect(await valuesOf(forecaster)).toEqual(before);
  });
});

it('a packed model as float32 computes the same, and can be trained', async () => {
  const { model } = await loadCheckpoint(engine, tiny);
  const plain = await plainModel(model);
  const values = Float64Array.from({ length: 300 }, (_, t) => Math.sin(t / 4));
  using packed = new Forecaster(model);
  using other = new Forecaster(plain);
  const [one, two] = await Promise.all([packed, other].map((each) => each.forecast(values, { horizon: 20 })));
  for (const [h, value] of two.median.entries()) expect(value).toBeCloseTo(one.median[h], 1);
  const files = await checkpointFiles({ model: plain });
  const config = JSON.parse(files.get('config.json') as string);
  expect(config.quantization_config).toBeUndefined();
  const { model: again } = decodeCheckpoint(engine, {
    config,
    weights: files.get('model.safetensors') as Uint8Array,
  });
  again.free();
  await expect(tuneForecaster(packed, { series: [values], steps: 1 })).rejects.toThrow(/q8/);
});
