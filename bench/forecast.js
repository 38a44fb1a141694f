// MASE, scaled quantile loss and coverage of forecasts of the real series in examples/series, by rolling origin:
//
//     node bench/forecast.js [folder of a model]...
//
// The last five stretches of each series are forecast from what was before them. Prints a table in Markdown.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { frequencyText, usualSeason } from '../dist/data/series/frequency.js';
import { seriesOfTable } from '../dist/data/series/table_series.js';
import { readTable } from '../dist/data/table_file.js';
import { modelMethod } from '../dist/forecasting/model_method.js';
import { backtest, exponentialSmoothing, loadForecaster, seasonalNaive } from '../dist/forecasting_node.js';

const LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

const folder = fileURLToPath(new URL('../examples/series/', import.meta.url));
const SERIES = JSON.parse(await readFile(`${folder}forecasts.json`, 'utf8'));
const models = process.argv.slice(2);
const forecasters = await Promise.all(models.map((path) => loadForecaster(path)));
const methods = {
  'seasonal naive': seasonalNaive,
  ets: exponentialSmoothing,
  ...Object.fromEntries(models.map((path, i) => [path, modelMethod(forecasters[i])])),
};
const names = Object.keys(methods);
const all = names.map(() => []);
const row = (cells) => console.log(`| ${cells.join(' | ')} |`);
row(['series', 'step', 'horizon', ...names.map((name) => `${name}: MASE / SQL / coverage`)]);
row(['---', '---', ...names.map(() => '---:'), '---:']);
const text = ({ mase, scaledQuantileLoss, coverage }) =>
  `${mase.toFixed(3)} / ${scaledQuantileLoss.toFixed(3)} / ${(100 * coverage).toFixed(0)} %`;
for (const { file, horizon, ...options } of SERIES) {
  const { series } = seriesOfTable(await readTable(`${folder}${file}.csv`), options);
  const season = (times) => (times ? usualSeason(times.frequency) : 1);
  const results = await backtest(
    series.map((one) => ({ ...one, season: season(one.times) })),
    methods,
    { horizon, windows: 5, levels: LEVELS },
  );
  for (const [i, name] of names.entries()) all[i].push(results[name].measures);
  const { frequency } = series[0].times ?? {};
  const step = frequency ? frequencyText(frequency) : '';
  const called = `${file}: ${options.target}${series.length > 1 ? ` (${series.length})` : ''}`;
  row([called, step, horizon, ...names.map((name) => text(results[name].measures))]);
}
const mean = (list, key) => list.reduce((sum, one) => sum + one[key], 0) / list.length;
row([
  'mean',
  '',
  '',
  ...all.map((list) =>
    text({
      mase: mean(list, 'mase'),
      scaledQuantileLoss: mean(list, 'scaledQuantileLoss'),
      coverage: mean(list, 'coverage'),
    }),
  ),
]);
const ratio = (list) =>
  Math.exp(list.reduce((sum, one, i) => sum + Math.log(one.mase / all[0][i].mase), 0) / list.length);
row([
  'MASE over that of seasonal naive, geometric mean',
  '',
  '',
  ...all.map((list) => ratio(list).toFixed(3)),
]);
for (const forecaster of forecasters) forecaster.free();
process.exit();
