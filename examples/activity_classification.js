// What is somebody doing, by three axes of an accelerometer? One label for a whole recording, and recordings differ in
// length. The recordings are made up by the function below, not measured: exchange it for yours. About 10 s.
//   node activity_classification.js [epochs]
import { Random, SequenceModel } from 'xlstm';

const epochs = Number(process.argv[2] ?? 10);
const classes = ['walk', 'run', 'rest'];
const random = new Random(1);
const noise = (deviation) => random.normal(0, deviation);

/** 2 to 4 seconds at 25 Hz, in units of g; the phone is held upright, more or less. */
function recording(activity) {
  const steps = 50 + random.integer(50);
  const stepsPerSecond = { walk: 1.8, run: 2.7, rest: 0 }[activity] * (1 + noise(0.1));
  const strength = { walk: 0.4, run: 0.8, rest: 0 }[activity] * (1 + noise(0.25));
  const tilt = random.uniform(-0.5, 0.5);
  const phase = random.uniform(0, 6.3);
  return Array.from({ length: steps }, (_, t) => {
    const swing = strength * Math.sin((2 * Math.PI * stepsPerSecond * t) / 25 + phase);
    const vertical = 1 + swing + noise(0.1);
    const forward = 0.5 * swing + noise(0.1);
    return [
      vertical * Math.cos(tilt) + forward * Math.sin(tilt),
      forward * Math.cos(tilt) - vertical * Math.sin(tilt),
      noise(0.1),
    ];
  });
}
const recordings = (count) =>
  Array.from({ length: count }, (_, i) => ({ inputs: recording(classes[i % 3]), targets: classes[i % 3] }));

// Padding, masks and scale are the model's affair.
const model = await SequenceModel.create({
  inputs: 3,
  classes,
  pool: 'last',
  bidirectional: true,
  dim: 32,
});
await model.fit(recordings(600), {
  epochs,
  validation: recordings(60),
  onEpoch: ({ epoch, loss, validationLoss }) =>
    console.log(`epoch ${epoch}: loss ${loss.toFixed(3)}, validation ${validationLoss.toFixed(3)}`),
});

const test = recordings(150);
const predictions = await model.predictAll(test.map(({ inputs }) => inputs));
for (const name of classes) {
  const ofName = predictions.filter((_, i) => test[i].targets === name);
  const said = classes.map((other) => `${ofName.filter(([{ label }]) => label === other).length} ${other}`);
  console.log(`${name}: ${said.join(', ')}`);
}
