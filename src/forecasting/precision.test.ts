import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { fastEngines } from '../compute/engines/testing/engines.ts';
import { createModel } from '../models/create_model.ts';
import { loadForecaster } from '../saved/forecaster_folders.ts';
import { saveModel } from '../saved/model_folders.ts';
import type { Forecaster } from './forecaster.ts';
import { tuneForecaster } from './training/tune_forecaster.ts';

const golden = (name: string): string => fileURLToPath(new URL(`../../test/golden/${name}`, import.meta.url));
const tiny = fileURLToPath(new URL('../../models/forecaster-tiny', import.meta.url));

const { cases, missing } = await fastEngines('bf16');
if (missing) it.skip(`bf16 on native: not run, ${missing}`, () => {});
const opened = await Promise.all(cases.map(({ open }) => open(2)));
const reference = createReferenceEngine();
const able = opened.filter(({ limits }) => !limits.lacks.panelLinear);
const lacking = opened.filter(({ limits }) => limits.lacks.panelLinear);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-precision-'));
  const sizes = { embeddingDim: 128, patchHiddenDim: 256, contextLength: 256 };
  const designs = {
    tirex: { architecture: 'tirex', ...sizes, numBlocks: 3 },
    tirex2: { architecture: 'tirex2', ...sizes, blocks: ['mlstm', 'slstm', 'mlstm'] },
  };
  for (const [name, design] of Object.entries(designs)) {
    using model = createModel(reference, design, { seed: 3 });
    await saveModel(model, join(folder, name));
  }
});
afterAll(async () => {
  await Promise.all([...opened, reference].map((engine) => engine.close()));
  await rm(folder, { recursive: true });
});

const values = Float64Array.from(
  { length: 300 },
  (_, t) => 40 + 5 * Math.sin(t / 4) + Math.sin(t * t) + (t === 77 ? Number.NaN : 0),
);

/** Of all quantiles: the mean distance of forecasts, and the largest, in deviations of the series. */
async function apart(one: Forecaster, other: Forecaster): Promise<[mean: number, most: number]> {
  const [a, b] = await Promise.all([one, other].map((each) => each.forecast(values, { horizon: 64 })));
  const distances = a.quantiles.flatMap((row, q) =>
    Array.from(row, (x, h) => Math.abs(x - b.quantiles[q][h])),
  );
  const deviation = 5 / Math.SQRT2;
  return [
    distances.reduce((sum, x) => sum + x, 0) / distances.length / deviation,
    Math.max(...distances) / deviation,
  ];
}

const loaded = async (engine: Engine, place: string) =>
  Promise.all((['f32', 'bf16'] as const).map((precision) => loadForecaster(place, { engine, precision })));

describe.each([reference, ...able])('$description', (engine) => {
  it.each(['tirex', 'tirex2'])('%s in bf16 forecasts within a hundredth of float32', async (name) => {
    const [exact, rounded] = await loaded(engine, join(folder, name));
    const [mean, most] = await apart(exact, rounded);
    expect(mean).toBeLessThan(0.003);
    expect(most).toBeLessThan(0.01);
    expect(mean, 'it is rounded').toBeGreaterThan(1e-6);
    // Matrices of blocks take half the bytes, and they are most of it.
    const bytes = [exact, rounded].map(({ model }) =>
      model.memories.reduce((sum, { region }) => sum + region.bytes, 0),
    );
    expect(bytes[1] / bytes[0]).toBeLessThan(0.75);
    exact.free();
    rounded.free();
  });
});

it.each(able)('a stream in bf16 on $description says what one in float32 says', async (engine) => {
  const [exact, rounded] = await loaded(engine, join(folder, 'tirex2'));
  const history = values.subarray(0, 256);
  const streams = [exact, rounded].map((each) => each.stream({ horizon: 64, history }));
  for (let t = 256; t < 300; t++) await Promise.all(streams.map((stream) => stream.push(values[t])));
  const [a, b] = await Promise.all(streams.map((stream) => stream.forecast()));
  a?.median.forEach((x, h) => {
    expect(Math.abs(x - (b?.median[h] ?? Number.NaN))).toBeLessThan(0.01 * 5);
  });
  for (const each of [...streams, exact, rounded]) each.free();
});

describe('precision bf16 is refused', () => {
  it.each(lacking)('by $description, with the reason', async (engine) => {
    await expect(loadForecaster(golden('tirex1_tiny'), { engine, precision: 'bf16' })).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(/^precision bf16: /),
      hint: expect.stringMatching(/precision f32.*avx512_bf16/),
    });
  });

  it('for small weights, and for what is no precision', async () => {
    await expect(loadForecaster(tiny, { engine: reference, precision: 'bf16' })).rejects.toThrow(
      /config\.json: precision bf16: expected float32 weights, found small ones \(q8\)/,
    );
    const wrong = { engine: reference, precision: 'f16' as 'f32' };
    await expect(loadForecaster(tiny, wrong)).rejects.toThrow(/precision: expected .*f32.*bf16.*found "f16"/);
  });

  it('for training, and for a file', async () => {
    using rounded = await loadForecaster(join(folder, 'tirex'), { engine: reference, precision: 'bf16' });
    await expect(tuneForecaster(rounded, { series: [values] })).rejects.toThrow(
      /loaded with precision bf16 cannot be trained/,
    );
    await expect(saveModel(rounded.model, join(folder, 'saved'))).rejects.toThrow(
      /loaded with precision bf16.*no file can hold/,
    );
  });
});
