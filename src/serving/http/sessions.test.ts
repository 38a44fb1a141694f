import { readFileSync } from 'node:fs';
import { serve } from '@hono/node-server';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Engine } from '../../compute/engines/engine.ts';
import { createWasmEngine } from '../../compute/engines/wasm/engine.ts';
import { SubwordTokenizer } from '../../data/subword/subword_tokenizer.ts';
import { Conversation } from '../../generation/conversation.ts';
import { Session } from '../../generation/session.ts';
import { collect, tinyModel } from '../../generation/testing/models.ts';
import type { Model } from '../../nn/model.ts';
import type { Batcher } from '../batcher.ts';
import { MemoryStore } from '../sessions/memory_store.ts';
import type { SessionStore } from '../sessions/session_store.ts';
import { type App, createApp } from './app.ts';
import { ServedModel } from './served_model.ts';

const golden = new URL('../../../test/golden/tokenizers/byte_level.json', import.meta.url);
const chat_template =
  '{% for message in messages %}<|padding|>{{ message.role }}: {{ message.content }}<|endoftext|>{% endfor %}<|padding|>assistant: ';
const tokenizer = await SubwordTokenizer.create(JSON.parse(readFileSync(golden, 'utf8')), {
  config: { bos_token: '<|endoftext|>', chat_template },
});

let engine: Engine;
let model: Model;
let served: ServedModel | undefined;
let batcher: Batcher;
let store: SessionStore;
let app: App;
const errors: unknown[] = [];

function open(): App {
  served ??= new ServedModel(model, tokenizer, {
    name: 'tiny',
    maxTokens: 200,
    maxPromptTokens: 500,
    slots: 4,
    queue: 8,
  });
  batcher = served.batcher;
  return createApp({ models: [served], sessions: store, onError: (error) => errors.push(error) });
}

beforeAll(async () => {
  engine = await createWasmEngine({ threads: 1 });
  model = tinyModel(tokenizer.vocabSize, 5, engine);
});
beforeEach(() => {
  store = new MemoryStore({ most: 4, seconds: 1000 });
  app = open();
});
afterEach(async () => {
  await served?.close();
  served = undefined;
  expect(errors.splice(0)).toEqual([]);
});
afterAll(() => engine.close());

interface Answered {
  readonly id: string;
  readonly tokens: number;
  readonly messages?: readonly { readonly role: string; readonly content: string }[];
  readonly choices: readonly { readonly text: string; readonly message: { readonly content: string } }[];
  readonly usage: object;
  readonly error?: { readonly message: string };
}

async function ask(method: string, path: string, body?: object | Uint8Array): Promise<Response> {
  const binary = body instanceof Uint8Array;
  const type = binary ? 'application/octet-stream' : 'application/json';
  return app.fetch(
    new Request(`http://server/v1/sessions${path}`, {
      method,
      ...(body
        ? {
            headers: { 'content-type': type },
            body: binary ? Uint8Array.from(body) : JSON.stringify(body),
          }
        : {}),
    }),
  );
}

const told = async (response: Promise<Response>): Promise<Answered> =>
  (await (await response).json()) as Answered;
const create = async (): Promise<string> => (await told(ask('POST', '', { model: 'tiny' }))).id;
const text = { max_tokens: 12, temperature: 0.8, seed: 3 };

describe('a session', () => {
  it('goes on with what it has read and written, as one of the library does', async () => {
    const id = await create();
    const session = new Session(model, tokenizer);
    for (const prompt of ['The whale', ' and the sea', undefined, '.']) {
      const options = { maxTokens: 12, temperature: 0.8, seed: 3, stop: ['e'] };
      const expected = await session.complete(prompt, options);
      const { choices } = await told(ask('POST', `/${id}/completions`, { ...text, prompt, stop: 'e' }));
      expect(choices[0].text).toBe(expected.text);
      expect((await told(ask('GET', `/${id}`))).tokens).toBe(session.tokensSeen);
    }
    const file = new Uint8Array(await (await ask('GET', `/${id}/export`)).arrayBuffer());
    const restored = new Session(model, tokenizer);
    await restored.restore(file);
    expect(restored.logits).toEqual(session.logits);
    const again = await told(ask('POST', '/import?model=tiny', await session.save()));
    const { text: expected } = await session.complete('Oh', { maxTokens: 12, temperature: 0.8, seed: 3 });
    const { choices } = await told(ask('POST', `/${again.id}/completions`, { ...text, prompt: 'Oh' }));
    expect(choices[0].text).toBe(expected);
    restored.free();
    session.free();
  });

  it('is a conversation where it is told messages', async () => {
    const id = await create();
    const conversation = new Conversation(model, tokenizer);
    for (const content of ['Who are you?', 'Oh.', 'And then?']) {
      const expected = await collect(conversation.say(content, { maxTokens: 12, temperature: 0.8, seed: 3 }));
      const body = { ...text, messages: [{ role: 'user', content }] };
      const { choices } = await told(ask('POST', `/${id}/chat/completions`, body));
      expect(choices[0].message.content).toBe(expected);
      expect((await told(ask('GET', `/${id}`))).tokens).toBe(conversation.tokensSeen);
    }
    expect((await told(ask('GET', `/${id}`))).messages).toEqual(conversation.messages);
    const file = new Uint8Array(await (await ask('GET', `/${id}/export`)).arrayBuffer());
    const loaded = new Conversation(model, tokenizer);
    await loaded.restore(file);
    expect(loaded.messages).toEqual(conversation.messages);
    loaded.free();
    conversation.free();
  });

  it('reads what was said once', async () => {
    const id = await create();
    const response_format = { type: 'json_schema', json_schema: { name: 'one', schema: { enum: [1] } } };
    let read = 0;
    for (const content of ['Who are you?', 'Oh.', 'And then?']) {
      const messages = [{ role: 'user', content }];
      const body = { ...text, messages, response_format };
      const { choices, usage } = await told(ask('POST', `/${id}/chat/completions`, body));
      expect(choices[0].message.content).toBe('1');
      expect(usage).toMatchObject({ prompt_tokens_details: { cached_tokens: read } });
      read = (await told(ask('GET', `/${id}`))).tokens;
    }
  });

  it('is forked and deleted, and there are as many as may be', async () => {
    const id = await create();
    await ask('POST', `/${id}/completions`, { ...text, prompt: 'The' });
    const fork = (await told(ask('POST', `/${id}/fork`))).id;
    const more = { ...text, prompt: ' sea' };
    const [one, other] = await Promise.all([
      told(ask('POST', `/${id}/completions`, more)),
      told(ask('POST', `/${fork}/completions`, more)),
    ]);
    expect(one.choices[0].text).toBe(other.choices[0].text);
    await create();
    await create();
    const full = await ask('POST', '', { model: 'tiny' });
    expect([full.status, full.headers.get('retry-after')]).toEqual([429, '1']);
    expect((await ask('DELETE', `/${fork}`)).status).toBe(204);
    expect((await ask('DELETE', `/${fork}`)).status).toBe(404);
    expect((await ask('POST', `/${fork}/completions`, more)).status).toBe(404);
    await create();
  });

  it('takes one text at a time, and stays as it was where one is left', async () => {
    const id = await create();
    await ask('POST', `/${id}/completions`, { ...text, prompt: 'The' });
    const before = await (await ask('GET', `/${id}/export`)).arrayBuffer();
    const long = await ask('POST', `/${id}/completions`, { ...text, max_tokens: 200, stream: true });
    const reader = (long.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    expect((await ask('POST', `/${id}/completions`, text)).status).toBe(409);
    await reader.cancel();
    await expect.poll(() => batcher.status).toMatchObject({ writing: 0, reading: 0 });
    expect(await (await ask('GET', `/${id}/export`)).arrayBuffer()).toEqual(before);
    expect((await ask('POST', `/${id}/completions`, { ...text, temperature: 9 })).status).toBe(400);
    expect((await ask('POST', `/${id}/completions`, text)).status).toBe(200);
  });

  it('is not written over where another server went on with it meanwhile', async () => {
    const id = await create();
    await ask('POST', `/${id}/completions`, { ...text, prompt: 'The' });
    const other = open();
    const long = ask('POST', `/${id}/completions`, { ...text, max_tokens: 100 });
    const body = JSON.stringify({ ...text, max_tokens: 1 });
    const headers = { 'content-type': 'application/json' };
    const path = `http://server/v1/sessions/${id}/completions`;
    expect((await other.fetch(new Request(path, { method: 'POST', headers, body }))).status).toBe(200);
    expect((await long).status).toBe(409);
  });

  it.each([
    ['GET', '/x', undefined, 404],
    ['GET', '/..%2f..%2fetc', undefined, 404],
    ['POST', '', { model: 'x' }, 404],
    ['POST', '', { model: 'tiny', more: 1 }, 400],
    ['POST', '/import', new Uint8Array(8), 400],
    ['POST', '/import?model=tiny', new Uint8Array(8), 400],
    ['POST', '/import?model=tiny', {}, 415],
    ['POST', '/import?model=tiny', new Uint8Array(9_000_000), 413],
  ] as const)('refuses %s %s', async (method, path, body, status) => {
    const response = await ask(method, path, body);
    expect(response.status).toBe(status);
    expect((await told(Promise.resolve(response))).error?.message).toMatch(/\w/);
  });

  it('refuses what a session cannot do', async () => {
    const id = await create();
    expect((await ask('POST', `/${id}/completions`, { ...text, n: 2 })).status).toBe(400);
    expect((await ask('POST', `/${id}/completions`, { ...text, model: 'x' })).status).toBe(400);
    await ask('POST', `/${id}/completions`, { ...text, prompt: 'The' });
    const messages = [{ role: 'user', content: 'Oh' }];
    const chat = await ask('POST', `/${id}/chat/completions`, { ...text, messages });
    expect(chat.status).toBe(409);
    const foreign = tinyModel(tokenizer.vocabSize, 6, engine);
    using session = new Session(foreign, tokenizer);
    await session.append('The');
    const { error } = await told(ask('POST', '/import?model=tiny', await session.save()));
    expect(error?.message).toContain('saved from another model');
  });

  it('says that the store does not answer, and no more', async () => {
    const id = await create();
    store.get = () => Promise.reject(new Error('10.0.0.7 is away'));
    const response = await ask('GET', `/${id}`);
    expect([response.status, await response.text()]).toEqual([503, expect.not.stringContaining('10.0.0.7')]);
    expect(errors.splice(0)).toHaveLength(1);
  });
});

it("OpenAI's client talks in a session, and gets JSON of a schema", async () => {
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  await new Promise((listening) => server.once('listening', listening));
  const { port } = server.address() as { port: number };
  const id = await create();
  const baseURL = `http://127.0.0.1:${port}/v1/sessions/${id}`;
  const client = new OpenAI({ apiKey: 'none', baseURL, maxRetries: 0 });
  const messages = [{ role: 'user', content: 'A pet, please.' }] as const;
  const schema = {
    type: 'object',
    properties: { kind: { enum: ['cat', 'dog'] }, age: { type: 'integer', minimum: 1, maximum: 20 } },
    required: ['kind', 'age'],
    additionalProperties: false,
  };
  const { choices } = await client.chat.completions.parse({
    model: 'tiny',
    messages: [...messages],
    seed: 3,
    response_format: { type: 'json_schema', json_schema: { name: 'pet', strict: true, schema } },
  });
  const { kind, age } = JSON.parse(choices[0].message.content ?? '') as { kind: string; age: number };
  expect(['cat', 'dog']).toContain(kind);
  expect(age >= 1 && age <= 20).toBe(true);
  let streamed = '';
  const stream = await client.chat.completions.create({
    model: 'tiny',
    messages: [{ role: 'user', content: 'Another.' }],
    max_tokens: 20,
    stream: true,
  });
  for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? '';
  const said = (await told(ask('GET', `/${id}`))).messages;
  expect(said?.map(({ content }) => content)).toEqual([
    messages[0].content,
    choices[0].message.content,
    'Another.',
    streamed,
  ]);
  await new Promise((closed) => server.close(closed));
});
