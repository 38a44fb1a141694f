// Mixed traffic on a server: texts whole and as streams, clients that leave, JSON, vectors, conversations, requests that are
// wrong. Every text that is asked for twice must be the same, no request may fail otherwise than it should, and memory must stay
// where it was after a quarter of the time. Prints a line a twentieth of the time; fails where one of these does not hold.
//   node --expose-gc bench/serving_soak.js [--minutes 10] [--clients 16] [--engine native]
import { parseArgs } from 'node:util';
import { serve } from '@hono/node-server';
import { ByteTokenizer, chooseEngine, createModel } from '../dist/index.js';
import { createApp, MemoryStore, ServedModel } from '../dist/serving.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    clients: { type: 'string', default: '16' },
    engine: { type: 'string', default: 'native' },
  },
});
const duration = 60_000 * Number(values.minutes);
const { engine } = await chooseEngine(values.engine);
const tokenizer = new ByteTokenizer();
const model = createModel(
  engine,
  { vocabSize: 256, embeddingDim: 128, numBlocks: 2, numHeads: 4, slstmAt: [1] },
  { seed: 1 },
);
const own = new ServedModel(model, tokenizer, { name: 'm', slots: 16, queue: 64 });
const errors = [];
const sessions = new MemoryStore({ most: 64, seconds: 3600 });
const app = createApp({ models: [own], sessions, onError: (error) => errors.push(error) });
const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
server.keepAliveTimeout = 0; // where the process is stopped for a while, clients would find connections closed
await new Promise((listening) => server.once('listening', listening));
const base = `http://127.0.0.1:${server.address().port}/v1`;

const ask = (path, body, signal) =>
  fetch(`${base}/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  });
const whole = (n) => Math.floor(Math.random() * n);
const known = new Map();
const counts = {};

async function text(kind) {
  const i = whole(40);
  const schema = {
    type: 'object',
    properties: { n: { type: 'integer', minimum: 0, maximum: 99 } },
    required: ['n'],
  };
  const body = {
    model: 'm',
    prompt: `text ${i} `.repeat(1 + (i % 7) * 10),
    max_tokens: 5 + 4 * i,
    seed: i,
    stream: kind === 'stream' || kind === 'left',
    ...(kind === 'json'
      ? { response_format: { type: 'json_schema', json_schema: { name: 'n', schema } } }
      : {}),
  };
  const aborter = new AbortController();
  const response = await ask('completions', body, aborter.signal);
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  if (kind === 'left') {
    await response.body.getReader().read();
    aborter.abort();
    return;
  }
  const answer = await response.text();
  const found = body.stream
    ? answer
        .split('\n\n')
        .filter((event) => event.startsWith('data: {'))
        .map((event) => JSON.parse(event.slice(6)).choices[0].text)
        .join('')
    : JSON.parse(answer).choices[0].text;
  const key = `${kind === 'json'} ${i}`;
  if (known.has(key) && known.get(key) !== found) throw new Error(`text ${key} is another one than before`);
  known.set(key, found);
}

async function conversation() {
  const { id } = await (await ask('sessions', { model: 'm' })).json();
  if (!id) return; // as many as may be
  for (let turn = 0; turn < 3; turn++) {
    const response = await ask(`sessions/${id}/completions`, {
      prompt: `turn ${turn}`,
      max_tokens: 20,
      seed: turn,
    });
    const found = (await response.json()).choices[0].text;
    if (known.has(`turn ${turn}`) && known.get(`turn ${turn}`) !== found)
      throw new Error('another conversation');
    known.set(`turn ${turn}`, found);
  }
  await fetch(`${base}/sessions/${id}`, { method: 'DELETE' });
}

const actions = {
  whole: () => text('whole'),
  stream: () => text('stream'),
  left: () => text('left'),
  json: () => text('json'),
  vectors: async () => (await ask('embeddings', { model: 'm', input: ['a', 'whale'] })).json(),
  conversation,
  wrong: async () => {
    const { status } = await ask('completions', { model: 'm', prompt: 'x', max_tokens: -1 });
    if (status !== 400) throw new Error(`expected 400, found ${status}`);
  },
};
const names = Object.keys(actions);
const end = performance.now() + duration;

async function client() {
  while (performance.now() < end) {
    const name = names[whole(names.length)];
    await actions[name]();
    counts[name] = (counts[name] ?? 0) + 1;
  }
}

const memory = () => {
  globalThis.gc?.();
  return process.memoryUsage().rss / 2 ** 20;
};
const points = [];
const clock = setInterval(() => {
  points.push(memory());
  const { completionTokens, writing, waiting } = own.batcher.status;
  console.log(
    `${points.at(-1).toFixed(0)} MiB, ${completionTokens} tokens, ${writing} written, ${waiting} waiting`,
  );
}, duration / 20);
await Promise.all(Array.from({ length: Number(values.clients) }, client));
clearInterval(clock);
const { completionTokens, writing, reading, waiting } = own.batcher.status;
const growth = Math.max(...points.slice(-3)) / Math.max(...points.slice(3, 7)) - 1;
console.log(
  JSON.stringify({ ...counts, completionTokens, errors: errors.length, growth: Number(growth.toFixed(3)) }),
);
await new Promise((closed) => server.close(closed));
await own.close();
await engine.close();
const right = errors.length === 0 && writing + reading + waiting === 0 && growth < 0.1;
process.exit(right ? 0 : 1);
