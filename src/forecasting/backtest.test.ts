import { describe, expect, it } from 'vitest';
import { Random } from '../random.ts';
import { type BacktestSeries, backtest } from './backtest.ts';
import { exponentialSmoothing } from './baselines/exponential_smoothing.ts';
import { normalQuantile } from './baselines/normal.ts';
import { seasonalNaive } from './baselines/seasonal_naive.ts';
import type { ForecastHistory, ForecastMethod } from './forecast_method.ts';
import type { Forecaster } from './forecaster.ts';
import { measure, seasonalError } from './measures.ts';
import { modelMethod } from './model_method.ts';
import type { ForecastSeries } from './series.ts';

const LEVELS = [0.1, 0.5, 0.9];
const none = { past: {}, known: {} };
const history = (values: ArrayLike<number>, season = 1): ForecastHistory => ({
  values: Float64Array.from(values),
  season,
  ...none,
});
const run = async (method: ForecastMethod, values: ArrayLike<number>, horizon: number, season = 1) =>
  (await method([history(values, season)], horizon, LEVELS))[0];
const made = (length: number, of: (t: number) => number): Float64Array =>
  Float64Array.from({ length }, (_, t) => of(t));

it('a model forecasts histories of one moment together, and gives each its own', async () => {
  const asked: unknown[] = [];
  const forecaster = {
    takesCovariates: true,
    forecastAll: async (all: readonly ForecastSeries[]) => {
      asked.push(all.map(({ targets, past }) => [Object.values(targets).map((values) => values[0]), past]));
      return all.map(({ targets }) => ({
        targets: Object.fromEntries(
          Object.entries(targets).map(([name, values]) => [
            name,
            { quantiles: [Float64Array.of(values[0] as number)] },
          ]),
        ),
        warnings: [],
      }));
    },
  } as unknown as Forecaster;
  const past = { p: Float64Array.of(1, 2, 3, 4) };
  const first = (value: number, length: number, together?: string): ForecastHistory => ({
    ...{ values: new Float64Array(length).fill(value), season: 1, together, past, known: {} },
  });
  const found = await modelMethod(forecaster)(
    [first(1, 4, 'a'), first(2, 4), first(3, 3, 'a'), first(4, 4, 'b'), first(5, 4, 'a'), first(6, 4)],
    1,
    [0.5],
  );
  expect(found.map(([[value]]) => value)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(asked).toEqual([[[1, 5], [2], [3], [4], [6]].map((targets) => [targets, past])]);
});

describe('normal quantiles', () => {
  it.each([
    [0.5, 0],
    [0.975, 1.959963984540054],
    [0.9, 1.2815515655446004],
    [0.01, -2.3263478740408408],
    [0.001, -3.090232306167813],
  ])('at %s', (level, value) => expect(normalQuantile(level)).toBeCloseTo(value, 7));
});

describe('the seasonal naive forecast', () => {
  it('repeats the last season, with bands that grow from season to season', async () => {
    const [low, median, high] = await run(seasonalNaive, [1, 5, 2, 6, 3, 7], 4, 2);
    expect([...median]).toEqual([3, 7, 3, 7]);
    // The differences over a season are all 1.
    expect(high[0] - median[0]).toBeCloseTo(normalQuantile(0.9), 9);
    expect(high[3] - median[3]).toBeCloseTo(normalQuantile(0.9) * Math.SQRT2, 9);
    expect(median[0] - low[0]).toBeCloseTo(high[0] - median[0], 9);
  });

  it('goes back to an earlier season where the last one has no value', async () => {
    const [, median] = await run(seasonalNaive, [1, 2, 3, 4, 5, Number.NaN, Number.NaN, 8, 9], 3, 3);
    expect([...median]).toEqual([4, 8, 9]);
  });

  it('is the last value where the history is shorter than two seasons', async () => {
    const [, median] = await run(seasonalNaive, [1, 2, 3], 2, 24);
    expect([...median]).toEqual([3, 3]);
  });
});

describe('exponential smoothing', () => {
  it('goes on with a straight line', async () => {
    const [, median] = await run(
      exponentialSmoothing,
      made(60, (t) => 10 + 2 * t),
      5,
    );
    for (const [h, value] of median.entries())
      expect(Math.abs(value - (10 + 2 * (60 + h)))).toBeLessThan(0.5);
  });

  it('goes on with a season upon a trend', async () => {
    const form = (t: number): number => 100 + 0.5 * t + 8 * Math.sin((2 * Math.PI * t) / 12);
    const [, median] = await run(exponentialSmoothing, made(96, form), 12, 12);
    for (const [h, value] of median.entries()) expect(Math.abs(value - form(96 + h))).toBeLessThan(1.5);
  });

  it('of noise is its mean, with bands that hold', async () => {
    const random = new Random(3);
    const values = made(400, () => random.normal(7, 2));
    const [low, median, high] = await run(exponentialSmoothing, values, 10);
    expect(Math.abs(median[0] - 7)).toBeLessThan(0.6);
    expect(high[9] - low[9]).toBeGreaterThan(4);
    expect(high[9] - low[9]).toBeLessThan(7);
  });

  it('steps over missing values', async () => {
    const whole = made(48, (t) => 20 + 5 * Math.sin((2 * Math.PI * t) / 12));
    const gappy = whole.map((value, t) => (t % 5 === 3 ? Number.NaN : value));
    const [, median] = await run(exponentialSmoothing, gappy, 12, 12);
    for (const [h, value] of median.entries()) {
      expect(Math.abs(value - (20 + 5 * Math.sin((2 * Math.PI * (48 + h)) / 12)))).toBeLessThan(1);
    }
  });

  it('of a constant, and of the shortest history, is finite', async () => {
    for (const values of [new Float64Array(20).fill(5), [5, 5, 5], [Number.NaN, 5, 5, 5]]) {
      const rows = await run(exponentialSmoothing, values, 3, 2);
      for (const row of rows) for (const value of row) expect(value).toBeCloseTo(5, 6);
    }
  });
});

describe('measures', () => {
  it('are those of the definitions', () => {
    const scale = seasonalError(Float64Array.from([1, 2, 4, Number.NaN, 5, 7]), 1);
    expect(scale).toBeCloseTo((1 + 2 + 2) / 3, 12);
    const rows = [
      [0, 0],
      [2, 2],
      [4, 4],
    ].map((row) => Float64Array.from(row));
    const found = measure(rows, LEVELS, Float64Array.from([3, 5]), 2);
    expect(found.mase).toBeCloseTo((1 + 3) / 2 / 2, 12);
    expect(found.coverage).toBe(0.5);
    // 2 · pinball by hand: 0.1 (3, 5), 0.5 (1, 3), and at 0.9 an overshoot of 1 and a miss of 1.
    const pinball = (2 * (0.1 * 3 + 0.5 * 1 + 0.1 * 1) + 2 * (0.1 * 5 + 0.5 * 3 + 0.9 * 1)) / 3;
    expect(found.scaledQuantileLoss).toBeCloseTo(pinball / 2 / 2, 12);
    expect(found.weightedQuantileLoss).toBeCloseTo(pinball / 8, 12);
  });

  it('count no missing values, and are none where nothing can be scaled', () => {
    const rows = [
      [1, 1],
      [1, 1],
      [1, 1],
    ].map((row) => Float64Array.from(row));
    const found = measure(rows, LEVELS, Float64Array.from([1, Number.NaN]), 0);
    expect(found.mase).toBeNaN();
    expect(found.coverage).toBe(1);
  });
});

describe('a back-test', () => {
  const random = new Random(5);
  const noisy = made(60, (t) => 10 * Math.sin(t) + random.normal());
  const series = (values: Float64Array): BacktestSeries => ({
    id: 'a',
    values,
    season: 4,
    past: { p: values.map((value) => 2 * value) },
    known: { k: made(values.length, (t) => t) },
  });
  const options = { horizon: 7, windows: 3, levels: LEVELS };

  it('has the windows at the end of the series, one behind the other', async () => {
    const seen: ForecastHistory[] = [];
    const spy: ForecastMethod = (histories, horizon, levels) => {
      seen.push(...histories);
      return seasonalNaive(histories, horizon, levels);
    };
    const { spy: result } = await backtest([series(noisy)], { spy }, options);
    expect(result.windows.map(({ origin }) => origin)).toEqual([39, 46, 53]);
    expect(seen.map(({ values, past, known }) => [values.length, past.p.length, known.k.length])).toEqual([
      [39, 39, 46],
      [46, 46, 53],
      [53, 53, 60],
    ]);
    expect(seen[1].values).toEqual(noisy.slice(0, 46));
  });

  it('leaks nothing: another future changes no forecast', async () => {
    // Whatever a method could reach from what it is given, it reads.
    const greedy: ForecastMethod = (histories, horizon, levels) =>
      histories.map(({ values, past, known }) => {
        const reach = [values, ...Object.values(past)].flatMap((array) => [
          ...new Float64Array(array.buffer),
        ]);
        const sum = reach.reduce((total, value) => total + value, known.k.length);
        return levels.map(() => new Float64Array(horizon).fill(sum));
      });
    const methods = { greedy, seasonalNaive, exponentialSmoothing };
    const before = await backtest([series(noisy)], methods, { ...options, windows: 1 });
    const other = await backtest([series(noisy.map((value, t) => (t < 53 ? value : 1e6 + t)))], methods, {
      ...options,
      windows: 1,
    });
    for (const name of Object.keys(methods)) {
      expect(other[name].windows[0].quantiles, name).toEqual(before[name].windows[0].quantiles);
      expect(other[name].measures.mase).not.toBe(before[name].measures.mase);
    }
  });

  it('means over the windows of a series, and then over series', async () => {
    const wrongBy =
      (by: number): ForecastMethod =>
      (histories, horizon, levels) =>
        histories.map(({ values }) =>
          levels.map(() => new Float64Array(horizon).fill((values.at(-1) as number) + by)),
        );
    const steps = made(20, (t) => t % 2);
    const one: BacktestSeries = { id: 'one', values: steps, season: 1, ...none };
    const { m } = await backtest(
      [one, { ...one, id: 'two', values: made(20, (t) => 10 * (t % 2)) }],
      { m: wrongBy(0) },
      {
        horizon: 2,
        windows: 2,
        levels: [0.5],
      },
    );
    expect(m.measures.mase).toBeCloseTo(0.5, 12);
  });

  it('refuses a series that is too short for one window', async () => {
    await expect(backtest([series(noisy.slice(0, 8))], { seasonalNaive }, options)).rejects.toThrow(
      /^series "a": expected at least 10 values to test a forecast of 7, found 8/,
    );
  });
});
