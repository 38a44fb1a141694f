// Which readings of a sensor belong to an event? xLSTM, LSTM and logistic regression on sensors that none of them has seen
// (docs/anomaly.md):
//   node bench/anomaly.js
// Each model's settings are those with the best F1 where sensors 2, 3 and 4 are held out in turn; with these it is
// measured on sensor 1, once for each seed.
import { chooseEngine, SequenceModel, windows } from 'xlstm';
import { sensor, sinceAverage } from '../examples/sensor_network.js';
import { fitLogistic } from './logistic_regression.js';

const SEEDS = [1, 2, 3];
const MINUTES = [10, 30, 60];
const VALIDATION = [2, 3, 4];
const TEST = 1;

const { engine } = await chooseEngine('auto', { threads: 2 });
const series = new Map([1, 2, 3, 4].map((id) => [id, sensor(id)]));
const labelled = (id, minutes) => ({
  inputs: sinceAverage(series.get(id), minutes),
  labels: series.get(id).map(({ label }) => label),
});

const network = (blocks) => ({
  settings: MINUTES.flatMap((minutes) => [0, 0.2].map((dropout) => ({ minutes, dropout }))),
  async train(sensors, { dropout }, seed) {
    const options = { engine, inputs: 2, classes: ['normal', 'event'], blocks, dim: 16, dropout, seed };
    const model = await SequenceModel.create(options);
    const examples = sensors.flatMap(({ inputs, labels }) =>
      windows(
        { inputs, targets: labels.map((label) => (label ? 'event' : 'normal')) },
        { length: 128, stride: 64 },
      ),
    );
    await model.fit(examples, { epochs: 60, batchSize: 16, seed });
    return async (inputs) => {
      const predictions = await model.predict(inputs);
      model.free();
      return predictions.map(({ label }) => label === 'event');
    };
  },
});
const models = {
  'xLSTM[1:1]': network('xLSTM[1:1]'),
  LSTM: network('lstm'),
  'logistic regression': {
    settings: MINUTES.flatMap((minutes) => [1, 8, 16, 32].map((window) => ({ minutes, window }))),
    train: async (sensors, { window }) => fitLogistic(sensors, window),
  },
};

/** Trains on all sensors but one and counts what is right and wrong on that one. */
async function measure({ train }, heldOut, settings, seed) {
  const others = [...series.keys()].filter((id) => id !== heldOut);
  const start = performance.now();
  const predict = await train(
    others.map((id) => labelled(id, settings.minutes)),
    settings,
    seed,
  );
  const seconds = (performance.now() - start) / 1000;
  const { inputs, labels } = labelled(heldOut, settings.minutes);
  const events = await predict(inputs);
  const count = (event, label) => labels.filter((value, t) => events[t] === event && value === label).length;
  return { found: count(true, 1), wrong: count(true, 0), missed: count(false, 1), seconds };
}

/** Over all that was measured. */
function f1(counts) {
  const total = (name) => counts.reduce((sum, each) => sum + each[name], 0);
  return (2 * total('found')) / (2 * total('found') + total('wrong') + total('missed'));
}

for (const [name, model] of Object.entries(models)) {
  const seeds = name === 'logistic regression' ? [1] : SEEDS;
  let best = { validation: -1 };
  for (const settings of model.settings) {
    const counts = [];
    for (const seed of seeds)
      for (const id of VALIDATION) counts.push(await measure(model, id, settings, seed));
    const validation = f1(counts);
    console.log(`  ${name}  ${JSON.stringify(settings)}  validation F1 ${validation.toFixed(3)}`);
    if (validation > best.validation) best = { validation, settings };
  }
  const tests = [];
  for (const seed of seeds) tests.push(await measure(model, TEST, best.settings, seed));
  const scores = tests.map((counts) => f1([counts]).toFixed(3));
  const falseAlarms = tests.map(({ wrong }) => wrong).join(', ');
  const seconds = Math.max(...tests.map((counts) => counts.seconds)).toFixed(1);
  const chosen = JSON.stringify(best.settings);
  console.log(
    `${name}  ${chosen}  F1 ${scores.join(', ')}  false alarms ${falseAlarms}  fit ${seconds} s at most`,
  );
}
await engine.close();
