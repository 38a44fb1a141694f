// The worker of streaming.js: a reading in, the next one's forecast out. It holds the model and the state of the stream.
import { parentPort, workerData } from 'node:worker_threads';
import { loadModel } from 'xlstm';

const model = await loadModel(workerData);
const stream = model.stream();
parentPort.on('message', async (reading) => {
  const { value } = await stream.push([reading]);
  parentPort.postMessage({ step: stream.steps, next: value });
});
