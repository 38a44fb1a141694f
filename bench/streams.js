// What a reading costs a stream, between the ends of patches and at one, beside a whole forecast; full size, random weights:
//
//     node bench/streams.js [engine] [threads] [tirex or tirex2]
//
// Forecasts and readings take turns. Of each the least of 15 rounds is given, which other work on the machine disturbs the least, of readings
// between the ends of patches the median, and of the ends their share of a forecast.

import { Forecaster } from '../dist/forecasting_node.js';
import { chooseEngine } from '../dist/index.js';
import { readDesign } from '../dist/models/registry.js';
import { Design } from '../dist/nn/architecture.js';
import { Model } from '../dist/nn/model.js';

const HORIZON = 64;
const ROUNDS = 15;
const [name = 'auto', threads = '2', only] = process.argv.slice(2);
const { engine } = await chooseEngine(name, { threads: Number(threads) });
const mixers = Array.from({ length: 12 }, (_, i) => (i % 2 ? 'slstm' : 'mlstm'));
const CONFIGS = { tirex: { architecture: 'tirex' }, tirex2: { architecture: 'tirex2', blocks: mixers } };
const value = (t) => 10 + Math.sin(t / 9) + 0.3 * Math.sin(t * t);
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const timed = async (work) => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

console.log('| model | weights | forecast, ms | between, µs | at the end of a patch, ms | share |');
console.log('|---|---|---:|---:|---:|---:|');
const WEIGHTS = {
  float32: [],
  'bf16 products': [undefined, undefined, 'bf16'],
  'bf16 weights': ['bf16'],
  q8: ['q8'],
};
for (const [kind, config] of Object.entries(CONFIGS)) {
  if (only && only !== kind) continue;
  const { architecture, config: parsed } = readDesign(config, 'bench');
  const model = Model.create(engine, new Design(architecture, parsed), 1);
  const whole = new Forecaster(model);
  const { patchSize, contextLength } = parsed;
  const history = Float64Array.from({ length: contextLength }, (_, t) => value(t));
  for (const [weights, how] of Object.entries(WEIGHTS)) {
    if (weights === 'bf16 products' && engine.limits.lacks.panelLinear) continue;
    const own =
      how.length > 0
        ? new Forecaster(Model.create(engine, new Design(architecture, parsed, ...how), 1))
        : whole;
    const stream = own.stream({ horizon: HORIZON, history });
    let t = contextLength;
    await stream.forecast();
    const [forecasts, ends, between] = [[], [], []];
    for (let round = 0; round < ROUNDS; round++) {
      forecasts.push(await timed(() => own.forecast(history, { horizon: HORIZON })));
      for (let p = 0; p < patchSize; p++) {
        const took = await timed(() => stream.push(value(t++)));
        (p === patchSize - 1 ? ends : between).push(took);
      }
    }
    const [forecast, end] = [forecasts, ends].map((list) => Math.min(...list));
    console.log(
      `| ${kind} | ${weights} | ${forecast.toFixed(1)} | ${(1000 * median(between)).toFixed(1)} | ${end.toFixed(1)} | ${(end / forecast).toFixed(2)} |`,
    );
    stream.free();
    if (own !== whole) own.free();
  }
  whole.free();
}
process.exit();
