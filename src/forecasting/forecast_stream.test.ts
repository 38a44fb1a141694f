import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import type { Tirex2Network } from '../models/tirex2/network.ts';
import type { Model } from '../nn/model.ts';
import { Random } from '../random.ts';
import { loadForecaster } from '../saved/forecaster_folders.ts';
import { AnomalyThreshold } from './anomaly.ts';
import type { StreamForecast, StreamOptions, StreamReading } from './forecast_stream.ts';
import type { Forecaster } from './forecaster.ts';
import { scaleOf, writePatches } from './tirex_scale.ts';
import { Tirex2NetworkRunner } from './tirex2_network_runner.ts';
import { rowScale } from './tirex2_scale.ts';
import { differencesOf, hasTrend, lastObserved, summed, widened } from './tirex2_trend.ts';

const place = (name: string): string => fileURLToPath(new URL(`../../test/golden/${name}`, import.meta.url));
const engine = createReferenceEngine();
let tirex: Forecaster;
let tirex2: Forecaster;
beforeAll(async () => {
  tirex = await loadForecaster(place('tirex1_tiny'), { engine });
  tirex2 = await loadForecaster(place('tirex2_tiny'), { engine });
});
afterAll(() => {
  tirex.free();
  tirex2.free();
  return engine.close();
});

/** Of both models. */
const PATCH = 16;
const CONTEXT = 16;
const wave = (length: number, period = 11): Float64Array =>
  Float64Array.from({ length }, (_, t) =>
    t % 29 === 5 ? Number.NaN : 2 + Math.sin(t / period) + 0.1 * Math.sin(t * t),
  );
const rising = (length: number): Float64Array => wave(length).map((value, t) => value + t / 4);

async function pushAll(
  model: Forecaster,
  options: StreamOptions,
  readings: readonly StreamReading[],
): Promise<StreamForecast[]> {
  using stream = model.stream(options);
  const all: StreamForecast[] = [];
  for (const reading of readings) all.push(await stream.push(reading));
  return all;
}

/** What TiRex-2 says after whole rows with the scale and trend of their first `anchored` values. */
async function recomputed(
  rows: readonly Float64Array[],
  targets: number,
  anchored: number,
  horizon: number,
): Promise<Float64Array[][]> {
  using runner = new Tirex2NetworkRunner(tirex2.model as unknown as Model<Tirex2Network>);
  const { config } = runner;
  const patches = Math.ceil(horizon / PATCH);
  const length = rows[0].length / PATCH + patches - 1;
  const tokens = new Float64Array(rows.length * length * 2 * PATCH);
  const read = rows.map((row, v) => {
    const trend = v < targets && hasTrend(row.slice(0, anchored));
    const values = trend ? differencesOf(row) : row;
    const scale = rowScale(values.subarray(0, anchored), config);
    writePatches(tokens, v * length * 2 * PATCH, values, PATCH, scale.scaled);
    return { trend, scale };
  });
  const layout = { series: 1, targets, past: rows.length - targets, known: 0 };
  const found = await runner.run(tokens, { layout, length, first: rows[0].length / PATCH - 1, patches });
  return read.slice(0, targets).map(({ trend, scale }, v) => {
    const raw = config.quantiles.map((_, q) =>
      Float64Array.from({ length: horizon }, (_, h) => {
        const patch = v * patches + Math.floor(h / PATCH);
        return scale.restored(found[(patch * config.quantiles.length + q) * PATCH + (h % PATCH)]);
      }),
    );
    return [...(trend ? summed(raw, lastObserved(rows[v])) : widened(raw))];
  });
}

function expectClose(found: readonly Float64Array[], expected: readonly Float64Array[]): void {
  for (const [q, row] of expected.entries()) {
    for (const [h, value] of row.entries()) expect(found[q][h]).toBeCloseTo(value, 8);
  }
}

describe('a stream', () => {
  it.each([
    ['a series', [wave(20 * PATCH)]],
    ['one with a trend', [rising(20 * PATCH)]],
  ])('says at the end of a patch what a recomputation with its scale says: %s', async (_, [row]) => {
    const all = await pushAll(tirex2, { horizon: 20 }, [...row]);
    // The context is full after 16 patches: the scale stays that of these.
    for (const patches of [8, 16, 19, 20]) {
      const said = all[patches * PATCH - 1];
      expect(said.age).toBe(0);
      const [expected] = await recomputed(
        [row.slice(0, patches * PATCH)],
        1,
        Math.min(patches, 16) * PATCH,
        20,
      );
      expectClose(said.quantiles, expected);
    }
  });

  it('the same of several targets with what is read beside them', async () => {
    const rows = [wave(18 * PATCH), rising(18 * PATCH), wave(18 * PATCH, 5)];
    const readings = [...rows[0]].map((_, t) => ({ load: rows[0][t], price: rows[1][t], rain: rows[2][t] }));
    const options = { horizon: 9, targets: ['load', 'price'], past: ['rain'] };
    const all = await pushAll(tirex2, options, readings);
    const [load, price] = await recomputed(rows, 2, 16 * PATCH, 9);
    const { targets, quantiles, median } = all[18 * PATCH - 1];
    expectClose(targets.load.quantiles, load);
    expectClose(targets.price.quantiles, price);
    expect(quantiles).toEqual(targets.load.quantiles);
    expect(median).toEqual(targets.load.median);
  });

  it('of TiRex is that of its scale, too', async () => {
    const row = wave(17 * PATCH);
    const all = await pushAll(tirex, { horizon: 10, levels: [0.5] }, [...row]);
    const whole = await tirex.forecast(row.subarray(0, 16 * PATCH), { horizon: 16 });
    expectClose(all[16 * PATCH - 1].quantiles, [whole.median.subarray(0, 10)]);
    expect(all[17 * PATCH - 1].median.every(Number.isFinite)).toBe(true);
    expect(scaleOf(row).scale).toBeGreaterThan(0);
  });

  it('gives between the ends of patches the rest of what was said', async () => {
    const all = await pushAll(tirex2, { horizon: 20 }, [...wave(40)]);
    const [at, later] = [all[31], all[36]];
    expect([at.age, later.age]).toEqual([0, 5]);
    expect(later.median.subarray(0, 15)).toEqual(at.median.subarray(5));
    expect(later.median).toHaveLength(20);
  });

  it('is not ready before it can say something, and again where nothing was observed for a whole context', async () => {
    const all = await pushAll(tirex2, { horizon: 3 }, [...wave(16)]);
    expect(all[14]).toMatchObject({ isReady: false, anomaly: false, score: undefined });
    expect(all[14].median.every(Number.isNaN)).toBe(true);
    expect(all[15].isReady).toBe(true);
    const missing = new Array<null>(CONTEXT * PATCH + PATCH).fill(null);
    const later = await pushAll(tirex2, { horizon: 3, renewAfter: PATCH }, [...wave(16), ...missing]);
    expect(later.at(-1)?.isReady).toBe(false);
    expect((await pushAll(tirex2, { horizon: 3 }, [...wave(16), ...missing])).at(-1)?.isReady).toBe(true);
  });

  it('begins with a history as if it had been pushed', async () => {
    const row = wave(5 * PATCH);
    using stream = tirex2.stream({ horizon: 7, history: row.subarray(0, 4 * PATCH) });
    const pushed = await pushAll(tirex2, { horizon: 7 }, [...row]);
    expect((await stream.forecast()).quantiles).toEqual(pushed[4 * PATCH - 1].quantiles);
    for (let t = 4 * PATCH; t < 5 * PATCH; t++) await stream.push(row[t]);
    expectClose((await stream.forecast()).quantiles, pushed[5 * PATCH - 1].quantiles);
    using short = tirex2.stream({ horizon: 7, history: row.subarray(0, 5) });
    expect((await short.forecast()).isReady).toBe(true);
  });

  it('of many is that of each, pushed together', async () => {
    const rows = Array.from({ length: 6 }, (_, i) => wave(2 * PATCH, 3 + i));
    const streams = rows.map(() => tirex2.stream({ horizon: 5 }));
    let last: StreamForecast[] = [];
    for (let t = 0; t < 2 * PATCH; t++)
      last = await Promise.all(streams.map((stream, i) => stream.push(rows[i][t])));
    for (const i of [0, 3, 5]) {
      const alone = await pushAll(tirex2, { horizon: 5 }, [...rows[i]]);
      expectClose(last[i].quantiles, (alone.at(-1) as StreamForecast).quantiles);
    }
    for (const stream of streams) stream.free();
  });

  it('takes the scale anew where a row of 0 and 1 turns out to be another', async () => {
    const bits = Array.from({ length: 3 * PATCH }, (_, t) => Number(t % 3 === 0));
    const others = bits.map((bit) => 40 + 3 * bit);
    const [last] = (await pushAll(tirex2, { horizon: 4 }, [...bits, ...others.slice(0, 2 * PATCH)])).slice(
      -1,
    );
    const [expected] = await recomputed(
      [Float64Array.from([...bits, ...others.slice(0, 2 * PATCH)])],
      1,
      4 * PATCH,
      4,
    );
    expectClose(last.quantiles, expected);
  });

  it('has a state of constant size', async () => {
    using stream = tirex2.stream({ horizon: 4 });
    const { stateBytes } = stream;
    for (const value of wave(40)) await stream.push(value);
    expect(stream.stateBytes).toBe(stateBytes);
  });

  it.each([
    [{ horizon: 0 }, 'horizon'],
    [{ horizon: 1, levels: [1] }, 'levels'],
    [{ horizon: 1, targets: [] }, 'targets: expected different names'],
    [{ horizon: 1, targets: ['a'], past: ['a'] }, 'targets, past: expected different names'],
    [{ horizon: 1, renewAfter: 0 }, 'renewAfter'],
    [{ horizon: 1, anomalyRate: 1 }, 'anomalyRate'],
    [{ horizon: 1, known: {} }, 'there is no option "known"'],
    [{ horizon: 1, history: [1, 'x'] }, 'history: step 1: expected a finite number'],
    [{ horizon: 1, targets: ['a', 'b'], history: { a: [1], b: [] } }, 'history: b: expected as many'],
    [{ horizon: 1, targets: ['a'], history: { c: [1] } }, 'there is no option "c"'],
  ])('refuses %j', (options, message) => {
    expect(() => tirex2.stream(options as StreamOptions)).toThrow(message);
  });

  it('refuses readings that are not right, and variates that the model cannot read together', async () => {
    using stream = tirex2.stream({ horizon: 1 });
    await expect(stream.push('1' as never)).rejects.toThrow('push: expected a finite number');
    await expect(stream.push(Number.POSITIVE_INFINITY)).rejects.toThrow('found Infinity');
    using named = tirex2.stream({ horizon: 1, targets: ['a'] });
    await expect(named.push({ b: 1 })).rejects.toThrow('there is no option "b"');
    await expect(named.push(1)).rejects.toThrow('push: expected a number for each name');
    expect(() => tirex.stream({ horizon: 1, targets: ['a', 'b'] })).toThrow('one target alone');
    stream.free();
    await expect(stream.push(1)).rejects.toThrow('was freed');
  });
});

describe('anomalies', () => {
  it.each([0.01, 0.05])(
    'are the share %f of readings in the long run, whatever the bands are worth',
    (rate) => {
      const random = new Random(7);
      for (const width of [0.3, 1.28, 5]) {
        const threshold = new AnomalyThreshold(rate, 0.9);
        let count = 0;
        const readings = 40_000;
        for (let t = 0; t < readings; t++) {
          if (threshold.score(random.normal(), -width, 0, width) > 1) count++;
        }
        expect(count / readings / rate).toBeGreaterThan(0.9);
        expect(count / readings / rate).toBeLessThan(1.2);
      }
    },
  );

  it('begin where a normal forecast has them', () => {
    const high = 1.2815515655446004;
    expect(new AnomalyThreshold(0.01, 0.9).score(2.5758293, -high, 0, high)).toBeCloseTo(1, 2);
  });

  it('are told by a stream: a spike is one, also of a series that was constant', async () => {
    const row = wave(4 * PATCH);
    row[3 * PATCH + 4] = 60;
    const all = await pushAll(tirex2, { horizon: 4 }, [...row]);
    expect(all[3 * PATCH + 4]).toMatchObject({ anomaly: true });
    const flat = [...new Array<number>(2 * PATCH).fill(5), 9];
    expect((await pushAll(tirex2, { horizon: 4 }, flat)).at(-1)?.anomaly).toBe(true);
  });
});
