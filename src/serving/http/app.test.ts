import { type AddressInfo, connect } from 'node:net';
import { serve } from '@hono/node-server';
import fc from 'fast-check';
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseSafetensors } from '../../checkpoints/safetensors.ts';
import type { Memory } from '../../compute/engines/engine.ts';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { createWasmEngine } from '../../compute/engines/wasm/engine.ts';
import { ByteTokenizer, DOCUMENT } from '../../data/tokenizer.ts';
import { Session } from '../../generation/session.ts';
import { tinyModel } from '../../generation/testing/models.ts';
import type { Model } from '../../nn/model.ts';
import { loadForecaster } from '../../saved/forecaster_folders.ts';
import type { Batcher } from '../batcher.ts';
import { type App, type AppOptions, createApp } from './app.ts';
import { ServedForecaster } from './forecasts.ts';
import { ServedModel } from './served_model.ts';

const tokenizer = new ByteTokenizer([DOCUMENT]);
const KEY = 'sk-of-the-test';

let served: ServedModel;
let batcher: Batcher;
let app: App;
let model: Model;
const errors: unknown[] = [];

function open(options: Partial<AppOptions> = {}, slots = 8, queue = 64): void {
  served = new ServedModel(model, tokenizer, {
    name: 'tiny',
    maxTokens: 200,
    maxPromptTokens: 500,
    slots,
    queue,
  });
  batcher = served.batcher;
  app = createApp({ models: [served], onError: (error) => errors.push(error), ...options });
}

const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  app.fetch(
    new Request(`http://server${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    }),
  );

const right = { model: 'tiny', prompt: 'The', max_tokens: 5, seed: 1 };

interface Answered {
  readonly error?: { readonly message: string; readonly param: string | null; readonly type: string };
  readonly choices?: readonly {
    readonly text: string;
    readonly finish_reason: string;
    readonly logprobs: {
      readonly tokens: readonly string[];
      readonly text_offset: readonly number[];
      readonly top_logprobs: readonly object[];
    };
  }[];
  readonly usage?: object;
}

const answered = async (response: Response): Promise<Answered> => (await response.json()) as Answered;

beforeAll(() => {
  model = tinyModel(257, 5, createReferenceEngine());
});
beforeEach(() => open());
afterEach(async () => {
  await served.close();
  expect(errors.splice(0)).toEqual([]);
});

describe('completions', () => {
  it('are what a session writes', async () => {
    const { choices, usage } = await answered(
      await post('/v1/completions', { ...right, temperature: 0.7, max_tokens: 30, logprobs: 2 }),
    );
    const session = new Session(model, tokenizer);
    const { text, usage: expected } = await session.complete('The', {
      temperature: 0.7,
      maxTokens: 30,
      seed: 1,
    });
    session.free();
    expect(choices?.[0]).toMatchObject({ text, finish_reason: 'length' });
    expect(usage).toEqual({
      prompt_tokens: expected.promptTokens,
      completion_tokens: 30,
      total_tokens: expected.promptTokens + 30,
      prompt_tokens_details: { cached_tokens: 0 },
    });
  });

  it('of several prompts and choices come in order, each as alone', async () => {
    const { choices } = await answered(await post('/v1/completions', { ...right, prompt: ['a', 'b'], n: 2 }));
    expect(choices).toHaveLength(4);
    const alone = await answered(await post('/v1/completions', { ...right, prompt: 'b', seed: 2 }));
    expect(choices?.[3].text).toBe(alone.choices?.[0].text);
  });

  it('end before a stop string', async () => {
    const { choices } = await answered(await post('/v1/completions', { ...right, max_tokens: 60 }));
    const text = choices?.[0].text ?? '';
    const stop = text.slice(20, 22);
    const stopped = await answered(await post('/v1/completions', { ...right, max_tokens: 60, stop }));
    expect(stopped.choices?.[0]).toMatchObject({
      text: text.slice(0, text.indexOf(stop)),
      finish_reason: 'stop',
    });
  });

  it('take penalties', async () => {
    const text = async (penalty: number): Promise<string | undefined> => {
      const body = { ...right, temperature: 0, max_tokens: 40, presence_penalty: penalty };
      return (await answered(await post('/v1/completions', body))).choices?.[0].text;
    };
    expect(await text(2)).not.toBe(await text(0));
  });

  it('are JSON where that is asked for', async () => {
    const schema = {
      type: 'object',
      properties: { n: { type: 'integer', minimum: 0, maximum: 9 }, kind: { enum: ['cat', 'dog'] } },
      required: ['n', 'kind'],
    };
    const asked = { ...right, max_tokens: 60, n: 3 };
    const response_format = { type: 'json_schema', json_schema: { name: 'pet', schema } };
    const { choices } = await answered(await post('/v1/completions', { ...asked, response_format }));
    for (const { text, finish_reason } of choices ?? []) {
      expect(text).toMatch(/^\{"n":\d,"kind":"(cat|dog)"\}$/);
      expect(finish_reason).toBe('stop');
    }
    const loose = await post('/v1/completions', { ...right, response_format: { type: 'json_object' } });
    for (const { text } of (await answered(loose)).choices ?? []) expect(text).toMatch(/^\{["}]/);
    response_format.json_schema.schema.properties.n = { type: 'date' } as never;
    const refused = await post('/v1/completions', { ...right, response_format });
    expect(refused.status).toBe(400);
    expect((await answered(refused)).error).toMatchObject({
      param: 'response_format',
      message: expect.stringContaining('schema.properties.n.type: expected'),
    });
  });

  it.each([
    ['no JSON', '{', {}, 400, null],
    ['another type', JSON.stringify(right), { 'content-type': 'text/plain' }, 415, null],
    ['no object', 'null', {}, 400, null],
    ['what is packed', JSON.stringify(right), { 'content-encoding': 'gzip' }, 415, null],
    ['another model', { ...right, model: 'gpt' }, {}, 404, 'model'],
    ['no prompt', { model: 'tiny' }, {}, 400, 'prompt'],
    ['no tokens', { ...right, prompt: [] }, {}, 400, 'prompt'],
    ['tokens it does not know', { ...right, prompt: [400] }, {}, 400, 'prompt'],
    ['a long prompt', { ...right, prompt: 'x'.repeat(501) }, {}, 400, 'prompt'],
    ['too hot', { ...right, temperature: 3 }, {}, 400, 'temperature'],
    ['no number', { ...right, seed: '1' }, {}, 400, 'seed'],
    ['half a token', { ...right, max_tokens: 0.5 }, {}, 400, 'max_tokens'],
    ['what has no effect', { ...right, best_of: 3 }, {}, 400, 'best_of'],
    ['usage of a stream that is none', { ...right, stream_options: {} }, {}, 400, 'stream_options'],
    ['an empty stop', { ...right, stop: [''] }, {}, 400, 'stop.0'],
  ])('refuse %s, and say where', async (_, body, headers, status, param) => {
    const response = await post('/v1/completions', body, headers as Record<string, string>);
    expect(response.status).toBe(status);
    const { error } = await answered(response);
    expect(error?.message).toMatch(/\w/);
    expect(error?.param).toBe(param);
    expect(batcher.status).toMatchObject({ writing: 0, reading: 0, waiting: 0 });
  });

  it.each([
    ['a key that is missing', { model: 'tiny' }, 'prompt: expected a value, found none'],
    ['a number that is too large', { ...right, temperature: 9 }, 'temperature: expected at most 2, found 9'],
    ['a part of a number', { ...right, n: 1.5 }, 'n: expected a whole number, found 1.5'],
    [
      'a list that is too short',
      { ...right, prompt: [] },
      'prompt: expected a length of at least 1, found 0',
    ],
    ['another kind', { ...right, stop: 3 }, 'stop: expected a text or a list, found 3'],
    [
      'too many',
      { ...right, stop: ['a', 'b', 'c', 'd', 'e'] },
      'stop: expected a length of at most 4, found 5',
    ],
    [
      'a format that is none',
      { ...right, response_format: { type: 'xml' } },
      'response_format.type: expected "text" or "json_object" or "json_schema", found "xml"',
    ],
    ['one that there is not', { ...right, best_of: 3 }, 'best_of: there is no such key'],
  ])('say in plain words of %s', async (_, body, message) => {
    expect((await answered(await post('/v1/completions', body))).error?.message).toBe(message);
  });

  it.each([
    ['bytes that are no UTF-8', [0x22, 0xe9, 0x22], 'the body: expected JSON: found bytes that are no UTF-8'],
    [
      'what is nested deeper than any schema',
      new Array(5000).fill(0x5b),
      'the body: expected JSON: at most 128 levels',
    ],
  ])('refuse %s', async (_, bytes, message) => {
    const response = await app.fetch(
      new Request('http://server/v1/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: Uint8Array.from(bytes),
      }),
    );
    expect(response.status).toBe(400);
    expect((await answered(response)).error?.message).toContain(message);
  });

  it.each([
    ['top_logprobs', { top_logprobs: 2 }],
    ['max_tokens', { max_tokens: 2, max_completion_tokens: 3 }],
    ['messages.0.name', { messages: [{ role: 'user', content: 'Hi', name: 'Ada' }] }],
  ])('of a chat refuse a key that would have no effect: %s', async (param, more) => {
    const body = { model: 'tiny', messages: [{ role: 'user', content: 'Hi' }], ...more };
    const response = await post('/v1/chat/completions', body);
    expect([response.status, (await answered(response)).error?.param]).toEqual([400, param]);
  });

  it('tell parts of characters as bytes, each by its own name, and where tokens stand in the text', async () => {
    const asked = { ...right, max_tokens: 40, temperature: 2, logprobs: 5 };
    const { choices } = await answered(await post('/v1/completions', asked));
    const [{ text, logprobs }] = choices ?? [];
    expect(text).toContain('\uFFFD');
    const decoder = new TextDecoder();
    const bytes = logprobs.tokens.map((token) => {
      const part = /^bytes:\\x([0-9a-f]{2})$/.exec(token);
      return part ? Number.parseInt(part[1], 16) : (tokenizer.specials.get(token) ?? token.charCodeAt(0));
    });
    let offset = 0;
    bytes.forEach((byte, i) => {
      expect(logprobs.text_offset[i]).toBe(offset);
      offset += decoder.decode(Uint8Array.of(byte), { stream: true }).length;
    });
    for (const likeliest of logprobs.top_logprobs) expect(Object.keys(likeliest)).toHaveLength(5);
    expect(logprobs.tokens.some((token) => token.startsWith('bytes:'))).toBe(true);

    const streamed = await (await post('/v1/completions', { ...asked, stream: true })).text();
    const offsets = streamed
      .split('\n\n')
      .filter((event) => event.startsWith('data: {'))
      .flatMap((event) => JSON.parse(event.slice(6)).choices[0].logprobs?.text_offset ?? []);
    expect(offsets).toEqual(logprobs.text_offset);
  });

  it('whatever is sent, the answer is one of the documented ones', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.jsonValue(),
          fc.record(
            {
              model: fc.constantFrom('tiny', 'x'),
              prompt: fc.jsonValue({ maxDepth: 2 }),
              max_tokens: fc.oneof(fc.integer({ min: -2, max: 4 }), fc.jsonValue({ maxDepth: 1 })),
              n: fc.oneof(fc.integer({ min: -2, max: 3 }), fc.double()),
              stop: fc.jsonValue({ maxDepth: 1 }),
              temperature: fc.double(),
              logprobs: fc.oneof(fc.integer({ min: -1, max: 6 }), fc.boolean()),
              stream: fc.boolean(),
            },
            { requiredKeys: ['model'] },
          ),
        ),
        fc.constantFrom('/v1/completions', '/v1/chat/completions'),
        async (body, path) => {
          const response = await post(path, body);
          expect([200, 400, 404]).toContain(response.status);
          await response.text();
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('embeddings', () => {
  const vectors = async (body: object): Promise<number[][]> => {
    const response = await post('/v1/embeddings', { model: 'tiny', ...body });
    const { data } = (await response.json()) as { data: { embedding: number[] }[] };
    return data.map(({ embedding }) => embedding);
  };

  it('are the vector of which the logits are made, or the state', async () => {
    const session = new Session(model, tokenizer);
    await session.append('The whale');
    const [hidden] = await vectors({ input: 'The whale' });
    const memory = model.memories.find(({ region }) => region.has('lm_head.weight')) as Memory;
    const head = await memory.read('lm_head.weight');
    const logits = Array.from({ length: 257 }, (_, id) =>
      hidden.reduce((sum, value, i) => sum + value * head[id * hidden.length + i], 0),
    );
    for (const [id, logit] of logits.entries()) expect(logit).toBeCloseTo(session.logits[id], 9);
    const [state] = await vectors({ input: 'The whale', of: 'state' });
    expect(state).toHaveLength(session.stateBytes / 4);
    const { tensors } = parseSafetensors(await session.save());
    const own = [...tensors].filter(([name]) => name.startsWith('state.'));
    const kept = new Set(state.map(Math.fround));
    for (const [, tensor] of own) for (const value of tensor.read()) expect(kept.has(value)).toBe(true);
    session.free();
  });

  it('come in order, and as base64', async () => {
    const [one] = await vectors({ input: 'one' });
    expect(await vectors({ input: ['other', 'one'] })).toEqual([expect.anything(), one]);
    const response = await post('/v1/embeddings', { model: 'tiny', input: 'one', encoding_format: 'base64' });
    const { data } = (await response.json()) as { data: { embedding: string }[] };
    const bytes = Uint8Array.from(atob(data[0].embedding), (c) => c.charCodeAt(0));
    expect([...new Float32Array(bytes.buffer)]).toEqual(one.map(Math.fround));
  });

  it.each([
    [{ input: '' }, 200],
    [{ input: [] }, 400],
    [{ input: 'x'.repeat(600) }, 400],
    [{ input: 'x', of: 'mean' }, 400],
    [{ input: [[400]] }, 400],
  ])('%j: %i', async (body, status) => {
    expect((await post('/v1/embeddings', { model: 'tiny', ...body })).status).toBe(status);
  });
});

it('forecasts are those of the forecaster', async () => {
  const folder = new URL('../../../test/golden/tirex1_tiny/', import.meta.url);
  const forecaster = await loadForecaster(folder, { engine: createReferenceEngine() });
  const own = createApp({ models: [], forecasters: [new ServedForecaster(forecaster, 'f')] });
  const row = Array.from({ length: 80 }, (_, i) => (i === 7 ? null : Math.sin(i / 3)));
  const asked = async (body: object): Promise<Response> =>
    own.fetch(
      new Request('http://server/v1/forecasts', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'f', series: [row, { targets: { load: row } }], horizon: 5, ...body }),
      }),
    );
  const { data } = (await (await asked({})).json()) as { data: { targets: Record<string, object> }[] };
  const expected = await forecaster.forecast(row, { horizon: 5 });
  const quantiles = expected.quantiles.map((each) => [...each]);
  expect(data[0].targets.value).toEqual({ quantiles, median: [...expected.median] });
  expect(Object.keys(data[1].targets)).toEqual(['load']);
  expect((await asked({ horizon: 0 })).status).toBe(400);
  const refused = await asked({ series: [[1, null]] });
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('at least 3 values')]);
  expect((await asked({ model: 'tiny' })).status).toBe(404);
  forecaster.free();
});

describe('a server', () => {
  it('asks for a key, and takes either of two', async () => {
    await served.close();
    open({ keys: ['other', KEY] });
    expect((await post('/v1/completions', right)).status).toBe(401);
    expect((await post('/v1/completions', right, { authorization: `Bearer ${KEY}x` })).status).toBe(401);
    expect((await post('/v1/completions', right, { authorization: `Bearer ${KEY}` })).status).toBe(200);
    expect((await app.fetch(new Request('http://server/health'))).status).toBe(200);
  });

  it('answers 429 with a time to wait where the queue is full', async () => {
    await served.close();
    open({}, 1, 0);
    const stream = await post('/v1/completions', { ...right, max_tokens: 200, stream: true });
    const refused = await post('/v1/completions', right);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('1');
    await stream.body?.cancel();
    await expect.poll(() => batcher.status.writing + batcher.status.reading).toBe(0);
    expect((await post('/v1/completions', right)).status).toBe(200);
  });

  it('refuses what is too large, knows no other paths, allows no other origin', async () => {
    await served.close();
    open({ maxBodyBytes: 100 });
    expect((await post('/v1/completions', { ...right, prompt: 'x'.repeat(200) })).status).toBe(413);
    expect((await post('/v1/nothing', {})).status).toBe(404);
    const response = await post('/v1/completions', right, { origin: 'http://other' });
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('ends what takes too long', async () => {
    await served.close();
    open({ maxSeconds: 0.02 });
    const response = await post('/v1/completions', { ...right, max_tokens: 200 });
    expect(response.status).toBe(504);
    expect(batcher.status).toMatchObject({ writing: 0 });
  });

  it('says nothing of itself where it fails', async () => {
    const broken = tinyModel(257, 6);
    const memory = broken.memories.find(({ region }) => region.has('token_embedding.weight'));
    memory?.write('token_embedding.weight', new Float64Array(257 * 16).fill(Number.NaN));
    await served.close();
    const own = model;
    model = broken;
    open();
    model = own;
    const response = await post('/v1/completions', right);
    expect(response.status).toBe(500);
    expect(await response.text()).not.toMatch(/finite|\.ts|\//);
    expect(errors.splice(0)).toHaveLength(1);
  });

  it('refuses new texts while it drains, and says that it is not ready', async () => {
    expect((await app.fetch(new Request('http://server/ready'))).status).toBe(200);
    app.drain();
    expect((await app.fetch(new Request('http://server/ready'))).status).toBe(503);
    expect((await post('/v1/completions', right)).status).toBe(503);
  });

  it('counts', async () => {
    await post('/v1/completions', right);
    await post('/v1/completions', {});
    const text = await (await app.fetch(new Request('http://server/metrics'))).text();
    expect(text).toContain('xlstm_requests_total{path="/v1/completions",status="200"} 1');
    expect(text).toContain('xlstm_requests_total{path="/v1/completions",status="400"} 1');
    expect(text).toContain('xlstm_completion_tokens_total{model="tiny"} 5');
    expect(text).toContain('xlstm_time_between_tokens_seconds_count{model="tiny"} 4');
    for (const line of text.trim().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) \S+ .+|\w+(\{[^}]*\})? [\d.e+-]+)$/);
  });
});

describe("OpenAI's own client over a socket", () => {
  let client: OpenAI;
  let server: ReturnType<typeof serve>;
  let fast: Model;

  beforeAll(async () => {
    fast = tinyModel(257, 5, await createWasmEngine({ threads: 1 }));
  });
  beforeEach(async () => {
    await served.close();
    const slow = model;
    model = fast;
    open({ keys: [KEY] }, 16, 300);
    model = slow;
    const port = await new Promise<number>((resolve) => {
      server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, (address) =>
        resolve(address.port),
      );
    });
    client = new OpenAI({ apiKey: KEY, baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 });
  });
  afterEach(async () => {
    await new Promise((closed) => server.close(closed));
  });
  afterAll(async () => {
    await fast.engine.close();
  });

  it('lists models, writes, streams the same, tells usage', async () => {
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['tiny']);
    const whole = await client.completions.create({ ...right, max_tokens: 40 });
    let text = '';
    let total = 0;
    const stream = await client.completions.create({
      ...right,
      max_tokens: 40,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? '';
      total = chunk.usage?.total_tokens ?? total;
    }
    expect(text).toBe(whole.choices[0].text);
    expect(total).toBe(whole.usage?.total_tokens);
  });

  it('gets errors of its own classes', async () => {
    await expect(client.completions.create({ ...right, model: 'x' })).rejects.toBeInstanceOf(
      OpenAI.NotFoundError,
    );
    await expect(client.completions.create({ ...right, temperature: 9 })).rejects.toBeInstanceOf(
      OpenAI.BadRequestError,
    );
    const stranger = client.withOptions({ apiKey: 'wrong' });
    await expect(stranger.completions.create(right)).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    const chat = client.chat.completions.create({
      model: 'tiny',
      messages: [{ role: 'user', content: 'hi' }],
    });
    await expect(chat).rejects.toThrow('no chat template');
  });

  it('that goes away before its request is at its end is no fault of the server', async () => {
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    socket.write('POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n');
    socket.write(`Authorization: Bearer ${KEY}\r\nContent-Length: 100\r\n\r\n{"model"`);
    const counted = async (): Promise<boolean> =>
      (await (await app.fetch(new Request('http://server/metrics'))).text()).includes('status="500"} 1');
    await new Promise((written) => setTimeout(written, 50));
    socket.resetAndDestroy();
    await expect.poll(counted).toBe(true);
  });

  it('that goes away in the middle frees its slot', async () => {
    const stream = await client.completions.create({ ...right, max_tokens: 200, stream: true });
    for await (const _ of stream) break;
    const aborter = new AbortController();
    const whole = client.completions.create({ ...right, max_tokens: 200 }, { signal: aborter.signal });
    setTimeout(() => aborter.abort(), 5);
    await whole.catch(() => {});
    await expect.poll(() => batcher.status).toMatchObject({ writing: 0, reading: 0, waiting: 0 });
  });

  it('200 at once: each gets its own text', { timeout: 120_000 }, async () => {
    const asked = Array.from({ length: 200 }, (_, i) => ({
      ...right,
      prompt: `text ${i % 50}`,
      seed: i % 50,
      max_tokens: 5 + (i % 50),
    }));
    const alone: string[] = [];
    for (const one of asked.slice(0, 50)) alone.push((await client.completions.create(one)).choices[0].text);
    const texts = await Promise.all(
      asked.map(async (one) => {
        let text = '';
        for await (const chunk of await client.completions.create({ ...one, stream: true }))
          text += chunk.choices[0]?.text ?? '';
        return text;
      }),
    );
    expect(texts).toEqual(asked.map((_, i) => alone[i % 50]));
  });
});
