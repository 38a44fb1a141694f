// Which readings belong to an event? Three sensors with labels to learn from; the fourth one's readings are labelled one
// by one, as they would come from it. About 15 s.
//   node anomaly_detection.js [epochs]
import { SequenceModel, windows } from 'xlstm';
import { sensor, sinceAverage } from './sensor_network.js';

const epochs = Number(process.argv[2] ?? 60);
const names = ['normal', 'event'];
const minutes = 60;

const model = await SequenceModel.create({ inputs: 2, classes: names, dim: 16, dropout: 0.2 });
const examples = [2, 3, 4].flatMap((id) => {
  const series = sensor(id);
  const targets = series.map(({ label }) => names[label]);
  return windows({ inputs: sinceAverage(series, minutes), targets }, { length: 128, stride: 64 });
});
const { best } = await model.fit(examples, { epochs, batchSize: 16 });
console.log(`${examples.length} windows, loss ${best.loss.toFixed(4)} after ${best.seconds.toFixed(1)} s`);

// Constant time and memory a reading, for as long as readings come.
const stream = model.stream();
const series = sensor(1);
const counts = { found: 0, falseAlarms: 0, missed: 0 };
let before = 'normal';
for (const [t, reading] of sinceAverage(series, minutes).entries()) {
  const { label, probabilities } = await stream.push(reading);
  if (label !== before) console.log(`reading ${t}: ${label} (${probabilities.event.toFixed(2)})`);
  before = label;
  const truth = names[series[t].label];
  if (label === 'event') counts[truth === 'event' ? 'found' : 'falseAlarms']++;
  else if (truth === 'event') counts.missed++;
}
const { found, falseAlarms, missed } = counts;
console.log(`${found} found, ${falseAlarms} false alarms, ${missed} missed`);
