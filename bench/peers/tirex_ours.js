// The side of this project of tirex_pytorch.py: makes a model of random weights where there is none, then forecasts what it is asked
// for, a JSON line each, and answers with milliseconds and medians.
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { chooseEngine, createModel, saveModel } from 'xlstm';
import { loadForecaster } from 'xlstm/forecasting';

const [folder, architecture, name, precision] = process.argv.slice(2);
const { engine } = await chooseEngine(name);
if (!existsSync(folder)) {
  const model = createModel(engine, { architecture });
  await saveModel(model, folder);
  model.free();
}
const forecaster = await loadForecaster(folder, { engine, precision });
console.log(JSON.stringify({ engine: engine.description }));
for await (const line of createInterface({ input: process.stdin })) {
  const { series, horizon } = JSON.parse(line);
  const named = (rows) => Object.fromEntries(rows.map((row, i) => [`v${i}`, row]));
  const all = series.map(({ target, past, future }) => ({
    targets: named(target),
    past: named(past),
    known: named(future),
  }));
  const start = performance.now();
  const forecasts = await forecaster.forecastAll(all, { horizon });
  const ms = performance.now() - start;
  const medians = forecasts.map(({ targets }) => Object.values(targets).map(({ median }) => [...median]));
  console.log(JSON.stringify({ ms, medians }));
}
