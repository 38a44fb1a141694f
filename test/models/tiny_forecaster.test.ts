import { readFile, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { chooseEngine } from '../../src/compute/engines/choose.ts';
import { usualSeason } from '../../src/data/series/frequency.ts';
import { type SeriesOptions, seriesOfTable } from '../../src/data/series/table_series.ts';
import { readTable } from '../../src/data/table_file.ts';
import { backtest } from '../../src/forecasting/backtest.ts';
import { seasonalNaive } from '../../src/forecasting/baselines/seasonal_naive.ts';
import { modelMethod } from '../../src/forecasting/model_method.ts';
import { loadForecaster } from '../../src/saved/forecaster_folders.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
const folder = `${project}models/forecaster-tiny`;

const { engine } = await chooseEngine('auto', { threads: 1 });
afterAll(() => engine.close());

interface Case extends SeriesOptions {
  readonly file: string;
  readonly horizon: number;
}

it('the forecaster of the package is small', async () => {
  expect((await stat(`${folder}/model.safetensors`)).size).toBeLessThan(3e6);
});

it('it beats the seasonal naive forecast on the real series, in the mean', { timeout: 60_000 }, async () => {
  using forecaster = await loadForecaster(folder, { engine });
  const ratios: number[] = [];
  const cases: readonly Case[] = JSON.parse(
    await readFile(`${project}examples/series/forecasts.json`, 'utf8'),
  );
  for (const { file, horizon, ...options } of cases) {
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
