// Readings come in on this thread, and a model in a worker answers each: this thread stays free for all else. A model is
// trained and saved, the worker (streaming_worker.js) loads it. About 2 s.
//   node streaming.js [epochs]
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { SequenceModel, saveModel, windows } from 'xlstm';

const epochs = Number(process.argv[2] ?? 40);
const reading = (t) => 20 + 5 * Math.sin(t / 8) + 2 * Math.cos(t / 3);
const series = Array.from({ length: 800 }, (_, t) => reading(t));
const examples = windows(
  { inputs: series.map((value) => [value]), targets: series },
  { length: 64, stride: 16, horizon: 1 },
);
const model = await SequenceModel.create({ inputs: 1, outputs: 1, dim: 16, horizon: 1 });
await model.fit(examples, { epochs });
await saveModel(model, 'streaming-model');

const worker = new Worker(new URL('streaming_worker.js', import.meta.url), {
  workerData: 'streaming-model',
});
let turns = 0;
const counting = setInterval(() => turns++, 1);
for (let t = 800; t < 1300; t++) {
  worker.postMessage(reading(t));
  const [{ step, next }] = await once(worker, 'message');
  if (step % 100 === 0) console.log(`step ${step}: next ${next.toFixed(2)}, is ${reading(t + 1).toFixed(2)}`);
}
clearInterval(counting);
console.log(`meanwhile this thread's timer ran ${turns} times`);
await worker.terminate();
