import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { chooseEngine } from '../../src/compute/engines/choose.ts';
import { usualSeason } from '../../src/data/series/frequency.ts';
import { type SeriesOptions, seriesOfTable } from '../../src/data/series/read_series.ts';
import { readTable } from '../../src/data/table.ts';
import { backtest } from '../../src/forecasting/backtest.ts';
import { seasonalNaive } from '../../src/forecasting/baselines/seasonal_naive.ts';
import { modelMethod } from '../../src/forecasting/model_method.ts';
import { loadForecaster } from '../../src/saved/forecaster_folders.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
const folder = `${project}models/forecaster-tiny`;

const { engine } = await chooseEngine('auto', { threads: 1 });
afterAll(() => engine.close());

const SERIES: readonly [string, SeriesOptions, number][] = [
  ['co2', { target: 'co2' }, 24],
  ['unemployment', { target: 'rate', id: 'industry' }, 12],
  ['employment', { target: 'thousands', id: 'sector' }, 12],
  ['global-temperature', { target: 'anomaly' }, 10],
  ['births', { target: 'births' }, 28],
  ['seattle-weather', { target: 'temp_max' }, 28],
  ['flights', { target: 'flights' }, 48],
  ['sensor', { target: 'humidity' }, 96],
];

it('the forecaster of the package is small', async () => {
  expect((await stat(`${folder}/model.safetensors`)).size).toBeLessThan(3e6);
});

it('it beats the seasonal naive forecast on the real series, in the mean', { timeout: 60_000 }, async () => {
  using forecaster = await loadForecaster(folder, { engine });
  const ratios: number[] = [];
  for (const [file, options, horizon] of SERIES) {
    const { series } = seriesOfTable(await readTable(`${project}examples/series/${file}.csv`), options);
    const { tiny, naive } = await backtest(
      series.map((one) => ({ ...one, season: one.times ? usualSeason(one.times.frequency) : 1 })),
      { tiny: modelMethod(forecaster), naive: seasonalNaive },
      { horizon, windows: 3, levels: forecaster.levels },
    );
    ratios.push(tiny.measures.mase / naive.measures.mase);
    expect(tiny.measures.coverage, file).toBeGreaterThan(0.5);
  }
  const geometric = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  expect(geometric).toBeLessThan(0.9);
});
