// Data-parallel training beside one process: seconds of a step, and how much of it goes to exchanging and copying.
//   mpirun -n 2 node bench/ranks.js [dim] [blocks] [batch] [rounds] [alone]
// With "alone" rank 0 makes, between the rounds that it shares, the same steps by itself with as many threads as there
// are ranks, while the others sleep: both see the same machine.

import { evenParts } from '../dist/distributed/collective.js';
import { chooseEngine, createModel, Trainer } from '../dist/index.js';
import { mpi, oneProcess } from '../dist/node.js';

const [dim = 512, blocks = 4, batch = 16, rounds = 5] = process.argv.slice(2, 6).map(Number);
const compares = process.argv[6] === 'alone';
const LENGTH = 128;
const collective = await mpi({ wait: 'sleep' });
const { rank, size } = collective;

/** The collective, and the milliseconds that its exchanges took. */
function timed(inner) {
  const times = { exchangeMs: 0 };
  const call =
    (name) =>
    async (...args) => {
      const start = performance.now();
      await inner[name](...args);
      times.exchangeMs += performance.now() - start;
    };
  const [allToAll, allGather] = [call('allToAll'), call('allGather')];
  return { times, collective: { rank, size, description: inner.description, allToAll, allGather } };
}

async function trainerOf(threads, rows, on) {
  const { engine } = await chooseEngine('auto', { threads });
  const config = { vocabSize: 256, embeddingDim: dim, numBlocks: blocks, numHeads: 4, slstmAt: [] };
  const model = createModel(engine, config, { seed: 1 });
  const trainer = new Trainer(model, { batchSize: rows, length: LENGTH, collective: on });
  const tokens = Array.from({ length: rows * LENGTH }, (_, i) => (i * i + 7 * i + 31 * rank) % 256);
  const step = { tokens, targets: tokens.map((token) => (token + 1) % 256) };
  await trainer.step(step, 1e-3);
  return { model, step: () => trainer.step(step, 1e-3) };
}

const measured = timed(collective);
const shared = await trainerOf(1, batch / size, measured.collective);
const alone = compares && rank === 0 ? await trainerOf(size, batch, oneProcess) : undefined;
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const seconds = async (work) => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};
const times = { shared: [], alone: [], exchange: [] };
for (let round = 0; round < rounds; round++) {
  await collective.barrier();
  measured.times.exchangeMs = 0;
  times.shared.push(await seconds(shared.step));
  times.exchange.push(measured.times.exchangeMs / 1000);
  await collective.barrier();
  if (alone) times.alone.push(await seconds(alone.step));
}
// The two exchanges of a step by themselves.
const { count } = shared.model.parameters;
const parts = evenParts(size, Math.ceil(count / size));
const [sent, received] = [new Float32Array(parts.counts[0] * size), new Float32Array(parts.counts[0] * size)];
const wire = [];
for (let round = 0; round < rounds; round++) {
  await collective.barrier();
  wire.push(
    await seconds(async () => {
      await collective.allToAll(sent, parts, received);
      await collective.allGather(sent, parts);
      await collective.barrier();
    }),
  );
}
if (rank === 0) {
  const parameters = count;
  const facts = {
    ranks: size,
    parameters,
    tokens: batch * LENGTH,
    engine: shared.model.engine.description,
    library: collective.description,
    // Each rank sends as many as it receives.
    sentMegabytes: (2 * 4 * parameters * (size - 1)) / size / 1e6,
    stepSeconds: median(times.shared),
    exchangeSeconds: median(times.exchange),
    exchangeAloneSeconds: median(wire),
    ...(alone
      ? {
          aloneSeconds: median(times.alone),
          // Of the least times, which other work on the machine disturbs least.
          leastSeconds: Math.min(...times.shared),
          leastAloneSeconds: Math.min(...times.alone),
          speed: Math.min(...times.alone) / Math.min(...times.shared),
        }
      : {}),
  };
  process.stdout.write(`${JSON.stringify(facts, null, 2)}\n`);
}
await collective.close();
process.exit(0);
