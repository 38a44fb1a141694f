// One rank of the test: some steps of a small model, its micro-batches shared by all ranks. Rank 0 tells what became of it.
import { createHash } from 'node:crypto';
import { chooseEngine, createModel, Trainer } from '../../dist/index.js';
import { mpi, oneProcess } from '../../dist/node.js';

const [wait, microBatches, wire = 'f32'] = process.argv.slice(2);
const collective = wait === 'alone' ? oneProcess : await mpi({ wait });
const { rank, size } = collective;
const VOCAB = 40;
const [BATCH, LENGTH] = [2, 8];

/** The numbers of micro-batch `i` of a step: the same for any number of ranks. Some targets are masked. */
function batchOf(step, i) {
  const value = (k) => (k * k * 7 + k * (3 + step) + 11 * i) % VOCAB;
  const tokens = Array.from({ length: BATCH * LENGTH }, (_, k) => value(k));
  const targets = tokens.map((_, k) => (k < i ? -1 : value(k + 1)));
  return { tokens, targets, continues: step !== 2 };
}

const told = {};
for (const name of ['reference', 'wasm', 'auto']) {
  const { engine } = await chooseEngine(name, { threads: size === 1 ? 2 : 1 });
  const config = {
    vocabSize: VOCAB,
    embeddingDim: 32,
    numBlocks: 2,
    numHeads: 2,
    slstmAt: [1],
    dropout: 0.1,
  };
  const model = createModel(engine, config, { seed: 3 });
  const shape = { batchSize: BATCH, length: LENGTH };
  const make = (of) => new Trainer(of, { ...shape, carryState: true, clipNorm: 0.5, collective, wire });
  const own = Array.from({ length: Number(microBatches) }, (_, i) => i).filter((i) => i % size === rank);
  const trainer = make(model);
  const results = [];
  for (const step of [1, 2, 3])
    results.push(
      await trainer.step(
        own.map((i) => batchOf(step, i)),
        0.01,
      ),
    );
  const hash = createHash('sha256');
  for (const [key, { values }] of await model.read())
    hash.update(key).update(new Uint8Array(Float64Array.from(values).buffer));
  const parameters = hash.copy().digest('hex');
  for (const [key, { values }] of await trainer.save())
    hash.update(key).update(new Uint8Array(Float64Array.from(values).buffer));
  told[name] = { results, parameters, all: hash.digest('hex') };
  await engine.close();
}
if (rank === 0) process.stdout.write(JSON.stringify(told));
await collective.close();
