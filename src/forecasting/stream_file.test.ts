import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSafetensors, type TensorToWrite, writeSafetensors } from '../checkpoints/safetensors.ts';
import { chooseEngine } from '../compute/engines/choose.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { loadForecaster } from '../saved/forecaster_folders.ts';
import type { ForecastStream, StreamOptions, StreamReading } from './forecast_stream.ts';
import type { Forecaster } from './forecaster.ts';

const place = (name: string): string => fileURLToPath(new URL(`../../test/golden/${name}`, import.meta.url));
const PATCH = 16;
const value = (t: number): number | null =>
  t % 29 === 5 ? null : 2 + Math.sin(t / 11) + 0.1 * Math.sin(t * t);

const engines: Engine[] = [];
let tirex: Forecaster;
let tirex2: Forecaster;
beforeAll(async () => {
  const { engine: wasm } = await chooseEngine('wasm', { threads: 1 });
  engines.push(wasm, createReferenceEngine());
  [tirex, tirex2] = await Promise.all([
    loadForecaster(place('tirex1_tiny'), { engine: engines[1] }),
    loadForecaster(place('tirex2_tiny'), { engine: wasm }),
  ]);
});
afterAll(async () => {
  tirex.free();
  tirex2.free();
  for (const engine of engines) await engine.close();
});

async function pushed(
  stream: ForecastStream,
  from: number,
  to: number,
  reading: (t: number) => StreamReading,
) {
  const all: unknown[] = [];
  for (let t = from; t < to; t++) all.push(await stream.push(reading(t)));
  return all;
}

describe('a saved stream', () => {
  const trend = (t: number): number => (value(t) ?? 0) + t / 4;
  it.each<[string, () => Forecaster, StreamOptions, (t: number) => StreamReading, number]>([
    ['of TiRex in float64', () => tirex, { horizon: 10, renewAfter: 40 }, value, 5 * PATCH + 3],
    ['of TiRex-2 with a trend', () => tirex2, { horizon: 20, levels: [0.2, 0.5] }, trend, 9 * PATCH + 7],
    ['of bits', () => tirex2, { horizon: 3 }, (t) => t % 2, 3 * PATCH],
    ['before its first patch is full', () => tirex2, { horizon: 3 }, value, 5],
    [
      'of several variates, renewed never',
      () => tirex2,
      { horizon: 9, targets: ['load', 'price'], past: ['rain'], renewAfter: Number.POSITIVE_INFINITY },
      (t) => ({ load: value(t), price: trend(t), rain: value(2 * t) }),
      6 * PATCH + 1,
    ],
  ])('goes on to the bit: %s', async (_, model, options, reading, at) => {
    using stream = model().stream(options);
    await pushed(stream, 0, at, reading);
    const bytes = await stream.save();
    // Over the ends of patches, and over those at which the scale is taken anew.
    const to = at + 19 * PATCH;
    const expected = await pushed(stream, at, to, reading);
    using again = await model().restoreStream(bytes);
    expect(await pushed(again, at, to, reading)).toEqual(expected);
    expect(await again.save()).toEqual(await stream.save());
  });

  it('is that of its history, where nothing was pushed yet', async () => {
    const history = Array.from({ length: 70 }, (_, t) => value(t));
    using stream = tirex2.stream({ horizon: 5, history });
    using again = await tirex2.restoreStream(await stream.save());
    expect(await again.forecast()).toEqual(await stream.forecast());
    expect((await again.forecast()).isReady).toBe(true);
  });

  it('has a constant size', async () => {
    using stream = tirex2.stream({ horizon: 5 });
    const sizes: number[] = [];
    for (const until of [20 * PATCH, 60 * PATCH]) {
      await pushed(stream, until - 20 * PATCH, until, value);
      sizes.push((await stream.save()).length);
    }
    // Counts in its description have as many digits as they have.
    expect(Math.abs(sizes[1] - sizes[0])).toBeLessThan(64);
  });

  it('is refused where it is damaged or of another model', async () => {
    using stream = tirex2.stream({ horizon: 5 });
    await pushed(stream, 0, 40, value);
    const bytes = await stream.save();
    const restore = (changed: Uint8Array) => tirex2.restoreStream(changed, 'my.stream');
    await expect(tirex.restoreStream(bytes, 'my.stream')).rejects.toThrow(
      /^my\.stream: the stream was saved from another model: expected fingerprint [0-9a-f]{8}, found "[0-9a-f]{8}"$/,
    );
    await expect(restore(bytes.subarray(0, 100))).rejects.toThrow(/^my\.stream: /);
    await expect(restore(new Uint8Array(9))).rejects.toThrow(/^my\.stream: /);

    const { tensors, metadata } = parseSafetensors(bytes);
    const changed = (
      edit: (
        all: Map<string, TensorToWrite>,
        about: Record<string, string>,
        stream: Record<string, unknown>,
      ) => void,
    ): Uint8Array => {
      const all = new Map<string, TensorToWrite>();
      for (const [name, tensor] of tensors) {
        const data = tensor.dtype === 'F64' ? tensor.readDoubles() : tensor.read();
        all.set(name, { shape: tensor.shape, data });
      }
      const about = { ...metadata };
      const description = JSON.parse(about.stream);
      edit(all, about, description);
      return writeSafetensors(all, { ...about, stream: JSON.stringify(description) });
    };
    const doubles = (shape: number[], fill: number): TensorToWrite => ({
      shape,
      data: new Float64Array(shape.reduce((a, b) => a * b)).fill(fill),
    });
    (await restore(changed(() => {}))).free();
    const cases: [Parameters<typeof changed>[0], RegExp][] = [
      [(all) => all.delete('before'), /"before": expected F64 of \[1\], found none/],
      [(all) => all.set('more', doubles([1], 1)), /"more" is no part of this stream/],
      [
        (all) => all.set('thresholds', doubles([2], 0)),
        /"thresholds": expected F64 of \[1\], found F64 of \[2\]/,
      ],
      [
        (all) => all.set('thresholds', doubles([1], Infinity)),
        /"thresholds": position 0: expected a finite number/,
      ],
      [(all) => all.set('readings', doubles([1, 4], 0)), /"readings": expected a scale above 0, found 0/],
      [
        (_, about) => Object.assign(about, { format: 'x' }),
        /expected a saved stream \(xlstm-stream-1\), found "x"/,
      ],
      [(_, __, s) => Object.assign(s, { age: PATCH }), /its counts do not go together/],
      [(_, __, s) => Object.assign(s, { step: 0.5 }), /stream: step: /],
      [(_, __, s) => Object.assign(s, { other: 1 }), /stream: other: /],
      [
        (_, __, s) => Object.assign(s.options as object, { targets: Array.from({ length: 60_000 }, String) }),
        /expected F64 of \[60000/,
      ],
      [
        (_, __, s) => Object.assign(s.options as object, { anomalyRate: 2 }),
        /my\.stream: anomalyRate: expected/,
      ],
      [(_, __, s) => Object.assign(s.options as object, { horizon: 1e9 }), /"said": expected F64/],
    ];
    for (const [edit, message] of cases) await expect(restore(changed(edit))).rejects.toThrow(message);
  });
});
