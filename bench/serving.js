// What serving costs, of a model with random weights: HTTP and batching beside a session alone, many texts beside one, the
// times between tokens of many streams, and how long a long prompt keeps the others waiting. Every number is of this run.
//   node bench/serving.js [--architecture xlstm] [--dim 512] [--blocks 6] [--heads 4] [--slstm 1] [--streams 200] [--engine native]
import { parseArgs } from 'node:util';
import { serve } from '@hono/node-server';
import { ByteTokenizer, chooseEngine, createModel, Session } from '../dist/index.js';
import { createApp, ServedModel } from '../dist/serving.js';

const { values } = parseArgs({
  options: {
    architecture: { type: 'string', default: 'xlstm' },
    dim: { type: 'string', default: '512' },
    blocks: { type: 'string', default: '6' },
    heads: { type: 'string', default: '4' },
    slstm: { type: 'string', default: '1' },
    streams: { type: 'string', default: '200' },
    engine: { type: 'string', default: 'native' },
  },
});
const TOKENS = 96;
const { engine } = await chooseEngine(values.engine);
const tokenizer = new ByteTokenizer();

const blocks = values.slstm === '' ? [] : values.slstm.split(',').map(Number);
const model = createModel(
  engine,
  {
    architecture: values.architecture,
    vocabSize: 256,
    embeddingDim: Number(values.dim),
    numBlocks: Number(values.blocks),
    numHeads: Number(values.heads),
    ...(values.architecture === 'xlstm' ? { slstmAt: blocks } : {}),
  },
  { seed: 1 },
);

/** Calls `use` with the address of a server of the model, and the model as it is served. */
async function served(slots, use) {
  const own = new ServedModel(model, tokenizer, { name: 'm', slots, queue: 1000, prefixBytes: 0 });
  const app = createApp({ models: [own] });
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  await new Promise((listening) => server.once('listening', listening));
  const result = await use(`http://127.0.0.1:${server.address().port}/v1/completions`, own.batcher.times);
  await new Promise((closed) => server.close(closed));
  await own.close();
  return result;
}

/** The times at which the pieces of a streamed text came. */
async function streamed(url, prompt, maxTokens, seed, signal) {
  const body = { model: 'm', prompt, max_tokens: maxTokens, seed, stream: true, logprobs: 0 };
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body), signal });
  if (response.status !== 200) throw new Error(await response.text());
  const times = [];
  for await (const chunk of response.body) {
    const events = new TextDecoder().decode(chunk).split('data: ').length - 1;
    for (let i = 0; i < events; i++) times.push(performance.now());
  }
  return times;
}

const gaps = (times) => times.slice(1).map((time, i) => time - times[i]);
const median = (numbers) => at(numbers, 0.5);
const at = (numbers, part) => [...numbers].sort((a, b) => a - b)[Math.floor(part * (numbers.length - 1))];
const rate = (tokens, ms) => (1000 * tokens) / ms;
const show = (what, ...found) => console.log(`${what.padEnd(44)} ${found.join('  ')}`);

async function timed(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The least of some runs: what else the machine does only adds. */
async function least(runs, work) {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < runs; i++) best = Math.min(best, await timed(work));
  return best;
}

const named = values.architecture === 'xlstm' ? `, sLSTM at ${values.slstm || 'none'}` : '';
console.log(
  `${engine.description}; ${values.architecture}, dim ${values.dim}, ${values.blocks} blocks, ${values.heads} heads${named}`,
);

const session = new Session(model, tokenizer);
await session.complete('The ', { maxTokens: 8, seed: 1 });
const alone = await least(3, () => session.complete('The ', { maxTokens: TOKENS, seed: 1 }));
show('a session alone', `${rate(TOKENS, alone).toFixed(0)} tokens/s`);
session.free();

await served(32, async (url) => {
  await streamed(url, 'The ', 8, 1);
  const one = await least(3, () => streamed(url, 'The ', TOKENS, 1));
  show(
    'one text over HTTP',
    `${rate(TOKENS, one).toFixed(0)} tokens/s`,
    `${(100 * (one / alone - 1)).toFixed(1)} % more time`,
  );
  const all = async () => Promise.all(Array.from({ length: 32 }, (_, i) => streamed(url, 'The ', TOKENS, i)));
  await all();
  const many = await least(2, all);
  show(
    '32 texts over HTTP',
    `${rate(32 * TOKENS, many).toFixed(0)} tokens/s`,
    `${((32 * one) / many).toFixed(1)} × one`,
  );

  const aborter = new AbortController();
  const others = Array.from({ length: 4 }, (_, i) => streamed(url, 'The ', 150, i, aborter.signal));
  const long = streamed(url, 'x'.repeat(4096), 1, 1);
  const waits = (await Promise.all(others)).flatMap(gaps);
  await long;
  show('4 texts while 4,096 tokens are read: longest wait', `${Math.max(...waits).toFixed(0)} ms`);
});

const count = Number(values.streams);
await served(count, async (url, times) => {
  // As the server writes them: on two cores a client that reads all of them is late and finds several at once.
  const written = [];
  times.betweenTokens.observe = (seconds) => written.push({ at: performance.now(), ms: 1000 * seconds });
  // Counted while all are there: from when the last has begun until the first has no further text to ask for.
  const begun = [];
  const ended = [];
  const streams = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const texts = [];
      for (let text = 0; text < 4; text++) {
        texts.push(await streamed(url, `text ${i}`, 40 + ((i + 17 * text) % 60), i));
        if (text === 0) begun.push(texts[0][0]);
      }
      ended.push(texts.at(-1).at(-1));
      return texts;
    }),
  );
  const [from, to] = [Math.max(...begun), Math.min(...ended)];
  const between = streams.flat().flatMap((text) => gaps(text.filter((time) => time >= from && time <= to)));
  const inServer = written.filter(({ at }) => at >= from && at <= to).map(({ ms }) => ms);
  for (const [where, found] of Object.entries({ server: inServer, client: between })) {
    const [p50, p95] = [median(found), at(found, 0.95)];
    show(
      `${count} streams at a time: between tokens, ${where}`,
      `p50 ${p50.toFixed(1)} ms`,
      `p95 ${p95.toFixed(1)} ms`,
      `${(p95 / p50).toFixed(2)} ×`,
    );
  }
});
model.free();
await engine.close();
