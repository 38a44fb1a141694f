// One rank of the test: a small model of sequences of numbers is fitted, 7 examples a step. Rank 0 tells the losses, and of
// each rank what its model became.
import { createHash } from 'node:crypto';
import { gatherTexts } from '../../dist/distributed/collective.js';
import { chooseEngine, SequenceModel } from '../../dist/index.js';
import { mpi, oneProcess } from '../../dist/node.js';

const [wait, fault] = process.argv.slice(2);
const collective = wait === 'alone' ? oneProcess : await mpi({ wait });
const { engine } = await chooseEngine('wasm', { threads: 1 });
const model = await SequenceModel.create({
  engine,
  inputs: 1,
  outputs: 1,
  dim: 8,
  depth: 1,
  heads: 2,
});
const examples = Array.from({ length: 18 }, (_, i) => ({
  inputs: Array.from({ length: 6 }, (_, t) => [Math.sin(i + 0.5 * t)]),
  targets: Array.from({ length: 6 }, (_, t) => [Math.sin(i + 0.5 * (t + 1))]),
}));
const validation = examples.slice(12);
const options = { epochs: 4, batchSize: 7, learningRate: 0.02, validation, collective };
if (fault === 'data' && collective.rank === 1) examples[3].targets[0] = [2];
if (fault === 'stop') {
  // One rank is told to stop in the second epoch: all do, and are still together.
  const stop = new AbortController();
  const seen = [];
  const onEpoch = ({ epoch }) => {
    seen.push(epoch);
    if (collective.rank === 1) stop.abort(new Error('told to stop'));
  };
  const told = await model
    .fit(examples.slice(0, 12), { ...options, signal: stop.signal, onEpoch })
    .catch((error) => error.message);
  const texts = await gatherTexts(collective, `${told}, ${seen}`);
  if (collective.rank === 0) process.stdout.write(JSON.stringify(texts));
  await collective.close();
  process.exit(0);
}
const { epochs } = await model.fit(examples.slice(0, 12), options);
const hash = createHash('sha256');
for (const [name, { values }] of await model.model.read())
  hash.update(name).update(new Uint8Array(Float64Array.from(values).buffer));
const parameters = await gatherTexts(collective, hash.digest('hex'));
const losses = epochs.map(({ loss }) => loss);
const validationLosses = epochs.map(({ validationLoss }) => validationLoss);
if (collective.rank === 0) process.stdout.write(JSON.stringify({ losses, validationLosses, parameters }));
await engine.close();
await collective.close();
