import { readFileSync } from 'node:fs';
import { serve } from '@hono/node-server';
import { embed, generateObject, generateText, streamText } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createXlstm } from './ai_sdk.ts';
import type { Engine } from './compute/engines/engine.ts';
import { createWasmEngine } from './compute/engines/wasm/engine.ts';
import { encodeChat } from './data/subword/chat.ts';
import { SubwordTokenizer } from './data/subword/subword_tokenizer.ts';
import { Session } from './generation/session.ts';
import { tinyModel } from './generation/testing/models.ts';
import type { Model } from './nn/model.ts';
import { type App, createApp } from './serving/http/app.ts';
import { ServedModel } from './serving/http/served_model.ts';

const golden = new URL('../test/golden/tokenizers/byte_level.json', import.meta.url);
const chat_template =
  '{% for message in messages %}<|padding|>{{ message.role }}: {{ message.content }}<|endoftext|>{% endfor %}<|padding|>assistant: ';
const tokenizer = await SubwordTokenizer.create(JSON.parse(readFileSync(golden, 'utf8')), {
  config: { bos_token: '<|endoftext|>', chat_template },
});
const KEY = 'sk-of-the-test';

let engine: Engine;
let model: Model;
let served: ServedModel;
let app: App;
let server: ReturnType<typeof serve>;

beforeAll(async () => {
  engine = await createWasmEngine({ threads: 1 });
  model = tinyModel(tokenizer.vocabSize, 5, engine);
  served = new ServedModel(model, tokenizer, { name: 'tiny' });
  app = createApp({ models: [served], keys: [KEY] });
  server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  await new Promise((listening) => server.once('listening', listening));
});
afterAll(async () => {
  await new Promise((closed) => server.close(closed));
  await served.close();
  await engine.close();
});

describe.each([
  ['in the process', () => createXlstm({ app, apiKey: KEY })],
  [
    'over HTTP',
    () => {
      const { port } = server.address() as { port: number };
      return createXlstm({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: KEY });
    },
  ],
] as const)('the AI SDK %s', (_, open) => {
  const asked = { prompt: 'Who are you?', seed: 3, temperature: 0.8, maxOutputTokens: 20, maxRetries: 0 };

  it('generates the text of a session, whole and as a stream', async () => {
    const xlstm = open();
    using session = new Session(model, tokenizer);
    const prompt = await encodeChat(tokenizer, [{ role: 'user', content: asked.prompt }]);
    const expected = await session.complete(prompt, { seed: 3, temperature: 0.8, maxTokens: 20 });
    const { text, usage, finishReason } = await generateText({ model: xlstm('tiny'), ...asked });
    expect(text).toBe(expected.text);
    expect(finishReason).toBe('length');
    expect([usage.inputTokens, usage.outputTokens]).toEqual([prompt.length, 20]);
    let streamed = '';
    const stream = streamText({ model: xlstm('tiny'), ...asked });
    for await (const piece of stream.textStream) streamed += piece;
    expect(streamed).toBe(expected.text);
    expect((await stream.usage).outputTokens).toBe(20);
  });

  it('generates an object of a schema', async () => {
    const schema = z.object({
      kind: z.enum(['cat', 'dog']),
      age: z.number().int().min(0).max(30),
      tame: z.boolean(),
    });
    const { object } = await generateObject({
      model: open()('tiny'),
      schema,
      prompt: 'A pet, please.',
      seed: 3,
      maxRetries: 0,
    });
    expect(schema.parse(object)).toEqual(object);
  });

  it('makes vectors, and tells what is wrong', async () => {
    const xlstm = open();
    const { embedding } = await embed({ model: xlstm.embeddingModel('tiny'), value: 'whale', maxRetries: 0 });
    expect(embedding).toHaveLength(16);
    const wrong = generateText({ model: xlstm('other'), ...asked });
    await expect(wrong).rejects.toThrow('there is no such model here; there is tiny');
  });

  it('leaves a text when it is aborted', async () => {
    const aborter = new AbortController();
    const { abortSignal } = { abortSignal: aborter.signal };
    const stream = streamText({ model: open()('tiny'), ...asked, maxOutputTokens: 4000, abortSignal });
    for await (const _ of stream.textStream) break;
    aborter.abort();
    await expect.poll(() => served.batcher.status).toMatchObject({ writing: 0, reading: 0 });
  });
});

it('is either of an app or of a server', () => {
  expect(() => createXlstm({})).toThrow('expected either app or baseURL, found none');
  expect(() => createXlstm({ app, baseURL: 'x' })).toThrow('found both');
});
