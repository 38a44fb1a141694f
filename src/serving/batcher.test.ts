import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../compute/engines/engine.ts';
import { fastEngines } from '../compute/engines/testing/engines.ts';
import { createWasmEngine } from '../compute/engines/wasm/engine.ts';
import { ByteTokenizer, DOCUMENT } from '../data/tokenizer.ts';
import { promptTokens } from '../generation/prompt.ts';
import { Session } from '../generation/session.ts';
import type { SequenceState } from '../generation/session_file.ts';
import { successorModel, tinyModel } from '../generation/testing/models.ts';
import type { Piece } from '../generation/writing.ts';
import { createModel, type NamedConfig } from '../models/create_model.ts';
import { readDesign } from '../models/registry.ts';
import { Design } from '../nn/architecture.ts';
import type { LanguageModel } from '../nn/layer.ts';
import { Model } from '../nn/model.ts';
import { Batcher } from './batcher.ts';
import { groupRows } from './decode_group.ts';
import type { BatchRequest, Written } from './slot.ts';

const tokenizer = new ByteTokenizer([DOCUMENT]);

interface Asked {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly seed: number;
  readonly stop: readonly string[];
}

const request = ({ prompt, ...rest }: Asked): BatchRequest => ({
  tokens: promptTokens(tokenizer, prompt, true),
  temperature: 0.8,
  logProbabilities: undefined,
  ...rest,
});

async function written(batcher: Batcher, asked: Asked): Promise<{ text: string; finishReason: string }> {
  const output = batcher.write(request(asked));
  let text = '';
  for (;;) {
    const { done, value } = await output.next();
    if (done) return { text, finishReason: value };
    text += value.text;
  }
}

/** After so many turns of the event loop. */
const soon = (turns: number): Promise<void> =>
  turns === 0 ? Promise.resolve() : new Promise((resolve) => setImmediate(() => resolve(soon(turns - 1))));

const asked = fc.record({
  prompt: fc.string({ maxLength: 80 }),
  maxTokens: fc.integer({ min: 1, max: 40 }),
  seed: fc.integer({ min: 0, max: 1000 }),
  stop: fc.constantFrom<readonly string[]>([], ['e'], ['a', 'zq']),
});

const sizes = { vocabSize: 257, embeddingDim: 64, numHeads: 2 };
const xlstm = { architecture: 'xlstm', ...sizes, numBlocks: 2, slstmAt: [1] };
const large = { architecture: 'xlstm-large', ...sizes, numBlocks: 1 };

async function packed(engine: Engine, format: 'q8' | 'q4'): Promise<Model> {
  const { architecture, config } = readDesign(large, 'the test') as Design<LanguageModel>;
  using model = createModel(engine, large as NamedConfig, { seed: 4 }) as Model;
  return Model.load(engine, new Design(architecture, config, format), await model.read(), 'the test');
}

const models = {
  xlstm: async (engine: Engine) => createModel(engine, xlstm as NamedConfig, { seed: 3 }) as Model,
  transformer: async (engine: Engine) =>
    createModel(engine, { architecture: 'transformer', ...sizes } as NamedConfig, { seed: 3 }) as Model,
  'xlstm-large in q8': (engine: Engine) => packed(engine, 'q8'),
  'xlstm-large in q4': (engine: Engine) => packed(engine, 'q4'),
};

const { cases } = await fastEngines();

describe.each(cases)('$name: a text is the same whoever is written beside it', ({ open }) => {
  let engine: Engine;
  let model: Model;

  beforeAll(async () => {
    engine = await open(2);
    model = tinyModel(257, 5, engine);
  });
  afterAll(() => engine.close());

  it('and the same as that of a session alone', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(asked, fc.integer({ min: 0, max: 30 })), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 40 }),
        async (requests, slots) => {
          const batcher = new Batcher(model, tokenizer, { slots, queue: requests.length });
          const texts = await Promise.all(
            requests.map(async ([each, turns]) => {
              await soon(turns);
              return written(batcher, each);
            }),
          );
          for (const [i, [{ prompt, ...options }]] of requests.entries()) {
            const session = new Session(model, tokenizer);
            const { text, finishReason } = await session.complete(prompt === '' ? undefined : prompt, {
              temperature: 0.8,
              ...options,
            });
            expect(texts[i]).toEqual({ text, finishReason });
            session.free();
          }
          await batcher.close();
        },
      ),
      { numRuns: 4 },
    );
  });

  it('also where it goes on from what was kept of another, as a session does', {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(asked, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 12 }),
        async (conversations) => {
          const batcher = new Batcher(model, tokenizer, { slots: 5 });
          const texts = await Promise.all(
            conversations.map(async (parts) => {
              const given: unknown[] = [];
              let from: SequenceState | undefined;
              for (const { prompt, ...rest } of parts) {
                let kept: Written | undefined;
                const output = batcher.write({
                  ...request({ prompt, ...rest }),
                  tokens: promptTokens(tokenizer, prompt, from === undefined),
                  from,
                  keep: async (written) => {
                    kept = written;
                  },
                });
                let text = '';
                for await (const piece of output) text += piece.text;
                const bytes = await batcher.files.encode((kept as Written).state, {});
                from = await batcher.files.decode(bytes, 'the test');
                given.push({ text: kept?.text, tokensSeen: from.tokensSeen });
                expect(kept?.text).toBe(text);
              }
              return given;
            }),
          );
          for (const [i, parts] of conversations.entries()) {
            const session = new Session(model, tokenizer);
            const expected: unknown[] = [];
            for (const { prompt, ...options } of parts) {
              const given = prompt === '' ? undefined : prompt;
              const { text } = await session.complete(given, { temperature: 0.8, ...options });
              expected.push({ text, tokensSeen: session.tokensSeen });
            }
            expect(texts[i]).toEqual(expected);
            session.free();
          }
          expect(batcher.status).toMatchObject({ reading: 0, writing: 0 });
          await batcher.close();
        },
      ),
      { numRuns: 4 },
    );
  });

  it.each(Object.keys(models) as (keyof typeof models)[])(
    'logits have the same bits in a batch of any size that a group takes: %s',
    async (name) => {
      const model = await models[name](engine);
      const most = groupRows(model);
      const logs = async (beside: number): Promise<number[]> => {
        const batcher = new Batcher(model, tokenizer, { slots: most });
        const one = batcher.write({
          ...request({ prompt: 'same', maxTokens: 12, seed: 1, stop: [] }),
          logProbabilities: 0,
        });
        const others = Array.from({ length: beside }, (_, i) =>
          written(batcher, { prompt: `other ${i}`, maxTokens: 3 + i, seed: i, stop: [] }),
        );
        const found: number[] = [];
        for await (const { logProbability } of one) if (logProbability) found.push(logProbability.chosen);
        await Promise.all(others);
        await batcher.close();
        return found;
      };
      const alone = await logs(0);
      expect(alone.length).toBeGreaterThan(1);
      for (let beside = 1; beside < most; beside++) expect(await logs(beside)).toEqual(alone);
    },
  );
});

describe('prompts that begin alike', () => {
  let engine: Engine;
  let model: Model;

  beforeAll(async () => {
    engine = await createWasmEngine({ threads: 1 });
    model = tinyModel(257, 5, engine);
  });
  afterAll(() => engine.close());

  const base = Array.from({ length: 600 }, (_, i) => String.fromCharCode(97 + ((i * i) % 23))).join('');
  const prompts = [
    ...[
      `${base}one`,
      `${base}two`,
      base,
      base.slice(0, 255),
      base.slice(0, 511),
      `${base.slice(0, 300)}else`,
    ],
    ...[`other ${base}`, `${base}one more`],
  ];

  async function told(batcher: Batcher, prompt: string): Promise<number[]> {
    const found: number[] = [];
    const asked = { prompt, maxTokens: 6, seed: 2, stop: [] };
    for await (const { logProbability } of batcher.write({ ...request(asked), logProbabilities: 0 })) {
      if (logProbability) found.push(logProbability.chosen);
    }
    return found;
  }

  it('are read once, and what follows has the same bits', async () => {
    const without = new Batcher(model, tokenizer, { prefixBytes: 0 });
    const expected: number[][] = [];
    for (const prompt of prompts) expected.push(await told(without, prompt));
    expect(without.status.cachedTokens).toBe(0);
    await without.close();

    const batcher = new Batcher(model, tokenizer);
    for (const [i, prompt] of prompts.entries()) expect(await told(batcher, prompt)).toEqual(expected[i]);
    // The token that starts a document goes before each: at 256 and 512.
    const known = [0, 512, 512, 0, 256, 256, 0, 512];
    const { cachedTokens, promptTokens } = batcher.status;
    expect(cachedTokens).toBe(known.reduce((sum, tokens) => sum + tokens));
    expect(cachedTokens + promptTokens).toBe(prompts.reduce((sum, prompt) => sum + prompt.length + 1, 0));
    const together = await Promise.all(prompts.map((prompt) => told(batcher, prompt)));
    expect(together).toEqual(expected);
    await batcher.close();
  });

  it('are read again where their states take more bytes than may be kept', async () => {
    const bytes = new Session(model, tokenizer).stateBytes;
    const batcher = new Batcher(model, tokenizer, { prefixBytes: bytes + 4 * 256 });
    for (const prompt of [base, `other ${base}`, base]) await told(batcher, prompt);
    expect(batcher.status.cachedTokens).toBe(0);
    await told(batcher, base.slice(0, 300));
    expect(batcher.status.cachedTokens).toBe(256);
    await batcher.close();
  });
});

describe('Batcher', () => {
  const model = tinyModel(257, 5);
  const endless = { maxTokens: 1_000_000, seed: 1, stop: [], prompt: 'a' };

  it('gives a slot free within a step of who leaves, aborts or never reads', async () => {
    const batcher = new Batcher(model, tokenizer, { slots: 3, queue: 1 });
    const aborter = new AbortController();
    const leaving = batcher.write(request(endless));
    const aborted = batcher.write({ ...request(endless), signal: aborter.signal });
    const unread = batcher.write(request(endless));
    const next = written(batcher, { ...endless, maxTokens: 3 });
    expect(() => batcher.write(request(endless))).toThrow(/1 wait, as many as may/);
    await leaving.next();
    await aborted.next();
    const { writing, reading, waiting } = batcher.status;
    expect([writing + reading, waiting]).toEqual([3, 1]);
    await leaving.return();
    const { steps } = batcher.status;
    expect((await next).finishReason).toBe('length');
    // One to see that it left, at most; three tokens of the next, the first of them from the prompt.
    expect(batcher.status.steps - steps).toBeLessThanOrEqual(4);
    aborter.abort(new Error('enough'));
    await expect(
      (async () => {
        for await (const _ of aborted);
      })(),
    ).rejects.toThrow('enough');
    await unread.return();
    await batcher.close();
    expect(batcher.status).toMatchObject({ writing: 0, reading: 0, waiting: 0 });
  });

  it('tells the log-probability of tokens', async () => {
    const batcher = new Batcher(model, tokenizer);
    const session = new Session(model, tokenizer);
    await session.append('a');
    const all = [...session.logits].map((logit) => Math.exp(logit));
    const sum = all.reduce((a, b) => a + b);
    const output = batcher.write({ ...request({ ...endless, maxTokens: 1 }), logProbabilities: 3 });
    const { value } = await output.next();
    const { id, logProbability } = value as Piece;
    expect(logProbability?.chosen).toBeCloseTo(Math.log(all[id as number] / sum), 9);
    const likeliest = [...all.keys()].sort((a, b) => all[b] - all[a]).slice(0, 3);
    expect(logProbability?.likeliest.map((each) => each.id)).toEqual(likeliest);
    await batcher.close();
  });

  it('takes from the logits of tokens that were chosen before', async () => {
    const batcher = new Batcher(model, tokenizer);
    const ids = async (penalties: Partial<BatchRequest>): Promise<Set<number | undefined>> => {
      const found = new Set<number | undefined>();
      const greedy = { ...request({ ...endless, maxTokens: 60 }), temperature: 0, ...penalties };
      for await (const { id } of batcher.write(greedy)) found.add(id);
      return found;
    };
    expect((await ids({})).size).toBeLessThan(40);
    expect((await ids({ presencePenalty: 100 })).size).toBe(60);
    expect((await ids({ frequencyPenalty: 100 })).size).toBe(60);
    await batcher.close();
  });

  it('a long prompt is read in pieces between steps', async () => {
    const batcher = new Batcher(model, tokenizer);
    const writing = batcher.write(request(endless));
    await writing.next();
    const { steps } = batcher.status;
    const long = written(batcher, { ...endless, prompt: 'x'.repeat(2560), maxTokens: 1 });
    await long;
    expect(batcher.status.steps - steps).toBeGreaterThanOrEqual(10);
    await writing.return();
    await batcher.close();
  });

  it('as many texts are read as end with a step, so that slots do not stay empty', async () => {
    const batcher = new Batcher(model, tokenizer, { slots: 64, queue: 1000 });
    const short = Array.from({ length: 512 }, () =>
      written(batcher, { ...endless, prompt: '', maxTokens: 5 }),
    );
    await Promise.all(short);
    // Of each text a step writes 4 tokens. One text read for each step would leave 4 in a step.
    expect((512 * 4) / batcher.status.steps).toBeGreaterThan(8);
    await batcher.close();
  });

  it('logits that are no numbers end their text alone', async () => {
    // 'b' follows 'a'; what follows 'b' is no number.
    const broken = successorModel(257, new Map([[97, 98]]));
    const memory = broken.memories.find(({ region }) => region.has('table'));
    memory?.write('table', new Float64Array(257).fill(Number.NaN), 98 * 257);
    const batcher = new Batcher(broken, tokenizer);
    const other = written(batcher, { ...endless, prompt: 'c', maxTokens: 5 });
    const found = written(batcher, { ...endless, maxTokens: 5 });
    await expect(found).rejects.toMatchObject({ code: 'diverged' });
    expect((await other).finishReason).toBe('length');
    await batcher.close();
  });

  it('refuses what is not right before anything is read', () => {
    const batcher = new Batcher(model, tokenizer);
    const right = request({ prompt: 'a', maxTokens: 1, seed: 1, stop: [] });
    for (const wrong of [
      { tokens: [] },
      { tokens: [257] },
      { tokens: [Number.NaN] },
      { maxTokens: 0 },
      { maxTokens: Number.POSITIVE_INFINITY },
      { temperature: -1 },
      { stop: [''] },
    ]) {
      expect(() => batcher.write({ ...right, ...wrong })).toThrow(expect.objectContaining({ code: 'usage' }));
    }
    expect(batcher.status).toMatchObject({ waiting: 0 });
  });

  it('keeps the model until it is closed, and writes nothing after that', async () => {
    const own = tinyModel(257, 6);
    const batcher = new Batcher(own, tokenizer);
    const text = written(batcher, { prompt: 'a', maxTokens: 4, seed: 1, stop: [] });
    expect(() => own.free()).toThrow('in use');
    await batcher.close();
    expect((await text).finishReason).toBe('length');
    expect(() => batcher.write(request(endless))).toThrow('closed');
    own.free();
  });
});
