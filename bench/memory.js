// Resident memory of a training run, evaluation and checkpoints included, every 200 steps, each time after a garbage
// collection: when the next one comes is not the run's doing.
//   node bench/memory.js [steps] [engine]
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ByteTokenizer, chooseEngine, createModel } from '../dist/index.js';
import { mobyDick, runTraining } from '../dist/node.js';

const steps = Number(process.argv[2] ?? 2000);
const { engine } = await chooseEngine(process.argv[3] ?? 'auto');
const tokenizer = new ByteTokenizer();
const config = {
  vocabSize: 256,
  embeddingDim: 64,
  numBlocks: 2,
  slstmAt: [1],
  contextLength: 64,
};
const model = createModel(engine, config);
const corpus = await mobyDick();
const encode = (documents) => tokenizer.encode(documents.map(({ text }) => text).join(''));
const options = {
  steps,
  batchSize: 8,
  length: 64,
  microBatches: 1,
  learningRate: 2e-3,
  warmupSteps: 20,
  finalFraction: 0.1,
  optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
  clipNorm: 1,
  order: 'contiguous',
  seed: 1,
  evaluateEvery: 50,
  checkpointEvery: 50,
};
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');
const resident = [];
const folder = await mkdtemp(join(tmpdir(), 'xlstm-memory-'));
try {
  await runTraining({
    model,
    tokenizer,
    options,
    folder,
    source: {},
    train: encode(corpus.train),
    validation: encode(corpus.validation).subarray(0, 4096),
    onStep: ({ step }) => {
      if (step % 200 !== 0) return;
      collectGarbage();
      resident.push(process.memoryUsage.rss());
    },
  });
} finally {
  await rm(folder, { recursive: true });
  await engine.close();
}
console.log(JSON.stringify({ engine: engine.description, steps, resident }));
