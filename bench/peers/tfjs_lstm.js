// Training of an LSTM on sequences of numbers in @tensorflow/tfjs: one JSON line on standard output. In Node the package
// has one backend that trains, plain JavaScript: its WebAssembly backend lacks kernels of the LSTM's gradient.
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '64' },
    dim: { type: 'string', default: '128' },
    layers: { type: 'string', default: '2' },
    batch: { type: 'string', default: '32' },
    length: { type: 'string', default: '32' },
    steps: { type: 'string', default: '1' },
    repeats: { type: 'string', default: '3' },
  },
});
const { inputs, dim, layers, batch, length, steps, repeats } = Object.fromEntries(
  Object.entries(values).map(([name, value]) => [name, Number(value)]),
);

await tf.setBackend('cpu');
const model = tf.sequential();
for (let i = 0; i < layers; i++) {
  model.add(
    tf.layers.lstm({
      units: dim,
      returnSequences: true,
      recurrentInitializer: 'glorotUniform',
      ...(i === 0 && { inputShape: [length, inputs] }),
    }),
  );
}
model.add(tf.layers.dense({ units: 1 }));
model.compile({ optimizer: tf.train.adam(1e-3), loss: 'meanSquaredError' });
const x = tf.randomNormal([batch, length, inputs]);
const targets = tf.randomNormal([batch, length, 1]);

async function secondsPerStep() {
  const start = performance.now();
  for (let step = 0; step < steps; step++) await model.trainOnBatch(x, targets);
  return (performance.now() - start) / 1000 / steps;
}

function spread(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted.at(-1) };
}

await secondsPerStep();
const times = [];
for (let i = 0; i < repeats; i++) times.push(await secondsPerStep());
console.log(
  JSON.stringify({
    peer: `LSTM in @tensorflow/tfjs ${tf.version.tfjs}`,
    threads: 1,
    parameters: model.countParams(),
    tokensPerSecond: spread(times.map((seconds) => (batch * length) / seconds)),
    stepMs: spread(times.map((seconds) => 1000 * seconds)),
  }),
);
