import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { createModel } from '../models/create_model.ts';
import { loadForecaster } from '../saved/forecaster_folders.ts';
import { Forecaster } from './forecaster.ts';
import type { ForecastSeries } from './series.ts';
import { hasTrend, summed, widened } from './tirex2_trend.ts';

const folder = fileURLToPath(new URL('../../test/golden/tirex2_tiny', import.meta.url));
const engine = createReferenceEngine();
let forecaster: Forecaster;
beforeAll(async () => {
  forecaster = await loadForecaster(folder, { engine });
});
afterAll(() => {
  forecaster.free();
  return engine.close();
});

const wave = (length: number, period = 12): Float64Array =>
  Float64Array.from({ length }, (_, t) => 3 + Math.sin((2 * Math.PI * t) / period));
const changed = (values: Float64Array, at: number): Float64Array =>
  values.map((value, t) => (t === at ? value + 0.5 : value));
const horizon = 20;

describe('a TiRex-2', () => {
  it('reads covariates: the past of both kinds, and what is known ahead up to the horizon', async () => {
    const target = wave(50);
    const past = { rain: wave(50, 7) };
    const known = { holiday: wave(80, 5) };
    const median = async (given: object): Promise<Float64Array> =>
      (await forecaster.forecast(target, { horizon, past, known, ...given })).median;
    const all = await median({});
    expect(await median({ past: { rain: changed(past.rain, 30) } })).not.toEqual(all);
    expect(await median({ known: { holiday: changed(known.holiday, 30) } })).not.toEqual(all);
    expect(await median({ known: { holiday: changed(known.holiday, 69) } })).not.toEqual(all);
    expect(await median({ known: { holiday: changed(known.holiday, 70) } })).toEqual(all);
    expect(await median({ known: {} })).not.toEqual(all);
  });

  it('forecasts a series in a batch of any others as it forecasts it alone', async () => {
    const series: ForecastSeries[] = [
      { targets: { a: wave(300) } },
      { targets: { a: wave(40), b: wave(40, 9) } },
      { targets: { a: wave(60) }, past: { c: wave(60, 5) }, known: { d: wave(90, 6), e: wave(99, 4) } },
      ...Array.from({ length: 9 }, (_, i) => ({ targets: { a: wave(30 + i, 3 + i) } })),
    ];
    const all = await forecaster.forecastAll(series, { horizon });
    for (const i of [0, 1, 2, 11]) {
      const { targets } = await forecaster.forecast(series[i], { horizon });
      for (const [name, { median }] of Object.entries(targets)) {
        for (let h = 0; h < horizon; h++) expect(all[i].targets[name].median[h]).toBeCloseTo(median[h], 9);
      }
    }
  });

  it('goes on beyond the horizon that it was made for, and says so', async () => {
    const near = await forecaster.forecast(wave(50), { horizon: 64 });
    const far = await forecaster.forecast(wave(50), { horizon: 100 });
    expect(near.warnings).toEqual([]);
    expect(far.warnings).toEqual([
      'The horizon of 100 steps is beyond the 64 that the model was made for: it goes on, with bands that were not tested there.',
    ]);
    for (let h = 0; h < 64; h++) expect(far.median[h]).toBeCloseTo(near.median[h], 9);
    expect(far.median.every(Number.isFinite)).toBe(true);
  });

  it('has its ways as options', async () => {
    const rising = wave(60).map((value, t) => value + t);
    const median = async (options: object): Promise<Float64Array> =>
      (await forecaster.forecast(rising, { horizon, ...options })).median;
    const plain = await median({});
    for (const name of ['signFlip', 'differencing', 'padContext']) {
      const usual = name !== 'signFlip';
      expect(await median({ [name]: usual })).toEqual(plain);
      expect(await median({ [name]: !usual }), name).not.toEqual(plain);
      await expect(median({ [name]: 1 })).rejects.toThrow(`${name}: expected true or false`);
    }
  });

  it('refuses to flip signs where quantiles have no partners', async () => {
    const config = { patchSize: 4, contextLength: 8, futureLength: 4, embeddingDim: 8, numHeads: 2 };
    const model = createModel(engine, {
      ...{ architecture: 'tirex2', ...config, blocks: ['slstm'] },
      quantiles: [0.2, 0.5],
    } as never);
    using other = new Forecaster(model as never);
    await expect(other.forecast(wave(20), { horizon: 2, signFlip: true })).rejects.toThrow(
      'signFlip: expected quantiles of which each has its partner',
    );
  });
});

describe('a trend', () => {
  const line = (slope: number, noise: number, length = 100): Float64Array =>
    Float64Array.from({ length }, (_, t) => 1e6 + slope * t + noise * Math.sin(t * t));

  it('is a line that explains most of a row', () => {
    expect(hasTrend(line(1, 0))).toBe(true);
    expect(hasTrend(line(-1, 5))).toBe(true);
    expect(hasTrend(line(1, 200))).toBe(false);
    expect(hasTrend(line(0, 1))).toBe(false);
    expect(hasTrend(line(0, 0))).toBe(false);
    expect(hasTrend(line(1, 0, 3))).toBe(false);
    const sparse = line(1, 0).map((value, t) => (t % 20 === 0 ? value : Number.NaN));
    expect(hasTrend(sparse)).toBe(true);
    expect(hasTrend(new Float64Array(9).fill(Number.NaN))).toBe(false);
  });

  it('is what medians add up to; distances from them add up as squares', () => {
    const raw = [-1, 0, 1].map((offset) => Float64Array.of(2 + offset, 2 + offset, 2 + 2 * offset));
    const [low, median, high] = summed(raw, 100);
    expect([...median]).toEqual([102, 104, 106]);
    const bands = [1, 2, 6].map((squares, h) => Math.sqrt(1.68 * squares) * (h + 1) ** 0.01);
    for (const [h, band] of bands.entries()) {
      expect(high[h] - median[h]).toBeCloseTo(band, 12);
      expect(median[h] - low[h]).toBeCloseTo(band, 12);
    }
    const plain = widened(raw);
    expect([...plain[1]]).toEqual([2, 2, 2]);
    expect(plain[2][2]).toBeCloseTo(2 + 2 * Math.sqrt(0.9) * 3 ** 0.02, 12);
  });
});
