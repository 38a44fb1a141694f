// Resident memory of forecasts, each time after a garbage collection:
//
//     node bench/forecast_memory.js [forecasts] [engine]
//
// First that of a full-size TiRex and TiRex-2 with random weights over the bytes of their weights, after forecasts of one series; then how
// that of the forecaster of the package moves over many forecasts of different numbers of series and horizons.

import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Forecaster, loadForecaster } from '../dist/forecasting_node.js';
import { chooseEngine, createModel } from '../dist/index.js';

const count = Number(process.argv[2] ?? 10_000);
const { engine } = await chooseEngine(process.argv[3] ?? 'auto', { threads: 1 });
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');
const resident = () => {
  collectGarbage();
  return process.memoryUsage.rss() / 1e6;
};
const series = (length, i) => Float64Array.from({ length }, (_, t) => Math.sin(t / (5 + (i % 9))) + (t % 3));

const mixers = Array.from({ length: 12 }, (_, i) => (i % 2 ? 'slstm' : 'mlstm'));
for (const config of [{ architecture: 'tirex' }, { architecture: 'tirex2', blocks: mixers }]) {
  const before = resident();
  const forecaster = new Forecaster(createModel(engine, config));
  const { list } = forecaster.model.parameters;
  const weights = list.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0) / 1e6;
  const loaded = resident() - before;
  for (let i = 0; i < 3; i++) await forecaster.forecast(series(2048, i), { horizon: 64 });
  const used = resident() - before;
  console.log(
    `${config.architecture}: weights ${weights.toFixed(0)} MB, made ${loaded.toFixed(0)} MB, after forecasts of one series ${used.toFixed(0)} MB (${(used / weights).toFixed(2)} ×)`,
  );
  forecaster.free();
}

const forecaster = await loadForecaster(
  fileURLToPath(new URL('../models/forecaster-tiny', import.meta.url)),
  { engine },
);
for (let i = 0; i <= count; i++) {
  const some = Array.from({ length: 1 + (i % 3) }, (_, s) => series(100 + ((37 * i) % 700), i + s));
  await forecaster.forecastAll(some, { horizon: 1 + ((13 * i) % 130) });
  if (i % (count / 10) === 0) console.log(`${i} forecasts: ${resident().toFixed(1)} MB`);
}
process.exit();
