// What each layer of serving adds to a step, of a model with random weights: the step alone, sampling and batching, HTTP with answers
// whole, and as streams of an event a token, of one text and of many. The client is another process: it needs a part of the cores,
// which is told beside the server's. Every number is of this run; of rounds in turns the fastest counts.
//   node bench/serving_costs.js [--model large|alternating|one-slstm] [--precision f32|bf16] [--texts 32] [--tokens 100] [--rounds 3] [--only streams]
import { fork } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** Asks for `count` texts at once and resolves when all are there; throws where a stream lacks an event. */
async function askFor({ port, count, tokens, stream }) {
  const agent = new Agent({ keepAlive: true, maxSockets: count });
  const one = (seed) =>
    new Promise((resolve, reject) => {
      const body = JSON.stringify({ model: 'm', prompt: 'The ', max_tokens: tokens, seed, stream });
      const options = { port, agent, method: 'POST', path: '/v1/completions' };
      const headers = { 'content-type': 'application/json', 'content-length': body.length };
      request({ ...options, headers }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString();
          const events = answer.split('"finish_reason"').length - 1;
          if (response.statusCode !== 200 || (stream && !answer.endsWith('data: [DONE]\n\n'))) {
            reject(new Error(answer.slice(0, 400)));
          } else resolve(events);
        });
        response.on('error', reject);
      })
        .on('error', reject)
        .end(body);
    });
  const cpu = process.cpuUsage();
  const start = performance.now();
  const events = await Promise.all(Array.from({ length: count }, (_, i) => one(i)));
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  agent.destroy();
  return { ms, cpuMs: (user + system) / 1000, events: events.reduce((sum, n) => sum + n, 0) };
}

if (process.send) {
  process.on('message', async (work) => {
    if (work === 'end') process.exit(0);
    process.send(await askFor(work));
  });
} else {
  await measure();
}

async function measure() {
  const { serve } = await import('@hono/node-server');
  const { ByteTokenizer, chooseEngine, createModel, encodeModel, loadModel, TextModel } = await import(
    '../dist/index.js'
  );
  const { createApp, ServedModel } = await import('../dist/serving.js');
  const { DecodeGroup, groupRows } = await import('../dist/serving/decode_group.js');
  const { values } = parseArgs({
    options: {
      model: { type: 'string', default: 'large' },
      precision: { type: 'string', default: 'f32' },
      texts: { type: 'string', default: '32' },
      tokens: { type: 'string', default: '100' },
      rounds: { type: 'string', default: '3' },
      engine: { type: 'string', default: 'native' },
      only: { type: 'string', default: '' },
    },
  });
  const texts = Number(values.texts);
  const tokens = Number(values.tokens);
  const sizes = { vocabSize: 256, embeddingDim: 512, numBlocks: 6 };
  const designs = {
    large: { architecture: 'xlstm-large', ...sizes, numHeads: 4 },
    alternating: { architecture: 'xlstm', ...sizes, numHeads: 8, slstmAt: [1, 3, 5] },
    'one-slstm': { architecture: 'xlstm', ...sizes, numHeads: 4, slstmAt: [1] },
  };
  const { engine } = await chooseEngine(values.engine);
  const files = await encodeModel(
    new TextModel(createModel(engine, designs[values.model], { seed: 1 }), new ByteTokenizer()),
  );
  const { model } = await loadModel({ files }, { engine, kind: 'text', precision: values.precision });
  const served = new ServedModel(model, new ByteTokenizer(), {
    name: 'm',
    slots: texts,
    queue: 1000,
    prefixBytes: 0,
  });
  const app = createApp({ models: [served] });
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  await new Promise((listening) => server.once('listening', listening));
  const { port } = server.address();
  const client = fork(fileURLToPath(import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const overHttp = (count, stream) =>
    new Promise((resolve) => {
      client.once('message', resolve);
      client.send({ port, count, tokens, stream });
    });

  async function stepAlone(count) {
    const most = groupRows(model);
    const groups = [];
    const states = served.batcher.files.empty().state;
    for (let left = count; left > 0; left -= most) {
      const group = new DecodeGroup(model);
      const { SequenceRunner } = await import('../dist/nn/sequence_runner.js');
      const runner = SequenceRunner.of(model, 1, 'last');
      runner.state.writeAll(states);
      for (let i = 0; i < Math.min(left, most); i++) group.add(i, runner.state);
      runner.free();
      groups.push(group);
    }
    const step = async () => {
      for (const group of groups) await group.step(group.sequences.map(() => 101));
    };
    for (let i = 0; i < 5; i++) await step();
    const start = performance.now();
    for (let i = 0; i < tokens; i++) await step();
    const ms = performance.now() - start;
    for (const group of groups) group.free();
    return { ms };
  }

  async function batched(count) {
    const start = performance.now();
    await Promise.all(
      Array.from({ length: count }, async (_, seed) => {
        const text = served.batcher.write({ tokens: [84, 104, 101, 32], maxTokens: tokens, seed });
        for await (const _ of text);
      }),
    );
    return { ms: performance.now() - start };
  }

  const layers = {
    'the step alone': stepAlone,
    'sampling and batching': batched,
    'HTTP, whole answers': (count) => overHttp(count, false),
    'HTTP, streams': (count) => overHttp(count, true),
  };
  const chosen = Object.entries(layers).filter(([name]) => name.includes(values.only));
  const best = new Map();
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [name, work] of chosen) {
      for (const count of [1, texts]) {
        const before = { cpu: process.cpuUsage(), main: mainThreadMs() };
        const { ms, cpuMs = 0, events } = await work(count);
        const { user, system } = process.cpuUsage(before.cpu);
        const found = { ms, cpuMs, events, own: (user + system) / 1000, main: mainThreadMs() - before.main };
        const key = `${name} ${count}`;
        if (round > 0 && !(best.get(key)?.ms < ms)) best.set(key, found);
      }
    }
  }
  console.log(
    `${engine.description}; ${values.model}, ${values.precision}, ${model.parameters.count} parameters`,
  );
  const columns = [
    'tokens/s',
    'ms a step',
    'server CPU ms a step',
    'its main thread',
    'client CPU ms a step',
  ];
  console.log(['', 'texts', ...columns].join(' | '));
  for (const [name] of chosen) {
    for (const count of [1, texts]) {
      const { ms, own, main, cpuMs } = best.get(`${name} ${count}`);
      const each = (total) => (total / tokens).toFixed(3);
      console.log(
        [
          name,
          count,
          ((1000 * count * tokens) / ms).toFixed(0),
          each(ms),
          each(own),
          each(main),
          each(cpuMs),
        ].join(' | '),
      );
    }
    const [one, many] = [1, texts].map((count) => best.get(`${name} ${count}`).ms);
    console.log(`${name}: ${((texts * one) / many).toFixed(2)} ×`);
  }
  client.send('end');
  await new Promise((closed) => server.close(closed));
  await served.close();
  model.free();
  await engine.close();
}

/** What the thread of the event loop has computed for; 0 where the system does not tell. */
function mainThreadMs() {
  const file = `/proc/self/task/${process.pid}/schedstat`;
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e6 : 0;
}
