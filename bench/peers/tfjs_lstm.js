// Training of an LSTM language model in @tensorflow/tfjs: one JSON line on standard output. In Node the package has
// one backend that trains, plain JavaScript: its WebAssembly backend lacks kernels of the LSTM's gradient.
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '1' },
    dim: { type: 'string', default: '128' },
    vocab: { type: 'string', default: '256' },
    batch: { type: 'string', default: '16' },
    length: { type: 'string', default: '32' },
    steps: { type: 'string', default: '1' },
    repeats: { type: 'string', default: '3' },
  },
});
const [blocks, dim, vocab, batch, length, steps, repeats] = Object.values(values).map(Number);

await tf.setBackend('cpu');
const model = tf.sequential();
model.add(tf.layers.embedding({ inputDim: vocab, outputDim: dim, inputLength: length }));
for (let i = 0; i < blocks; i++) {
  model.add(tf.layers.lstm({ units: dim, returnSequences: true, recurrentInitializer: 'glorotUniform' }));
}
model.add(tf.layers.dense({ units: vocab, activation: 'softmax' }));
model.compile({ optimizer: tf.train.adam(1e-3), loss: 'sparseCategoricalCrossentropy' });
const tokens = tf.randomUniform([batch, length], 0, vocab, 'int32');
const targets = tf.randomUniform([batch, length, 1], 0, vocab, 'int32').toFloat();

async function secondsPerStep() {
  const start = performance.now();
  for (let step = 0; step < steps; step++) await model.trainOnBatch(tokens, targets);
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
