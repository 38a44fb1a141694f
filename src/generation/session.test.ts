import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSafetensors, writeSafetensors } from '../checkpoints/safetensors.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { fastEngines } from '../compute/engines/testing/engines.ts';
import { ByteTokenizer, DOCUMENT, type Tokenizer } from '../data/tokenizer.ts';
import { Random } from '../random.ts';
import { Session } from './session.ts';
import { AlphabetTokenizer, collect, successorModel, tinyModel } from './testing/models.ts';

const alphabet = new AlphabetTokenizer('abcdefg');
const model = tinyModel(7, 3);
const newSession = (): Session => new Session(model, alphabet);

const someTokens = (count: number, seed = 1): number[] => {
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.integer(7));
};

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i])));

async function reading(tokens: readonly number[], session = newSession()): Promise<Session> {
  await session.append(tokens);
  return session;
}

describe('Session.append', () => {
  it('gives the same logits however the tokens are divided', { timeout: 60_000 }, async () => {
    const tokens = someTokens(330);
    const whole = await reading(tokens);
    expect(whole.tokensSeen).toBe(330);
    expect(largestDifference(whole.logits, new Float64Array(7))).toBeGreaterThan(0.01);
    const single = newSession();
    for (const id of tokens) await single.append([id]);
    expect(largestDifference(single.logits, whole.logits)).toBeLessThan(1e-9);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 12 }), async (lengths) => {
        const session = newSession();
        let at = 0;
        for (const length of [...lengths, 330]) {
          const piece = tokens.slice(at, at + length);
          if (piece.length > 0) await session.append(piece);
          at += length;
        }
        expect(session.tokensSeen).toBe(330);
        expect(largestDifference(session.logits, whole.logits)).toBeLessThan(1e-9);
      }),
      { numRuns: 6 },
    );
  });

  it('moves the state past every token once', async () => {
    const counting = successorModel(7, new Map());
    const session = new Session(counting, alphabet);
    await session.append(someTokens(300));
    await session.append('abc');
    const { tensors, metadata } = parseSafetensors(await session.save());
    expect([...(tensors.get('state.count')?.read() ?? [])]).toEqual([303]);
    expect(metadata.tokens_seen).toBe('303');
  });

  it('reads text through the tokenizer, after the token that starts a document if there is one', async () => {
    const text = await reading(Array.from(alphabet.encode('facade')));
    const session = newSession();
    await session.append('facade');
    expect(session.logits).toEqual(text.logits);

    const bytes = tinyModel(257, 3);
    const started = new Session(bytes, new ByteTokenizer([DOCUMENT]));
    await started.append('ab');
    await started.append('c');
    const byHand = await reading([256, 97, 98, 99], new Session(bytes, new ByteTokenizer([DOCUMENT])));
    expect(started.tokensSeen).toBe(4);
    expect(largestDifference(started.logits, byHand.logits)).toBeLessThan(1e-9);
  });

  it('refuses an empty prompt and tokens that the model does not know', async () => {
    const session = newSession();
    const empty = { code: 'usage', message: 'a prompt must hold at least one token, found none' };
    await expect(session.append('')).rejects.toMatchObject(empty);
    await expect(session.append([])).rejects.toMatchObject(empty);
    await expect(session.generate().next()).rejects.toMatchObject(empty);
    await expect(session.append([1, 7])).rejects.toMatchObject({
      code: 'usage',
      message: 'prompt: position 1: expected a whole number from 0 to 6, found 7',
    });
    expect(session.tokensSeen).toBe(0);
    await session.append('a');
    expect(session.tokensSeen).toBe(1);
  });

  it.each([7, 50256, -1, 0.5, Number.NaN])('refuses a tokenizer that gives %s', async (id) => {
    const encode = (): Int32Array => [0, id] as unknown as Int32Array;
    const tokenizer: Tokenizer = Object.assign(Object.create(alphabet), { encode });
    const session = new Session(model, tokenizer);
    await expect(session.append('ab')).rejects.toMatchObject({
      code: 'usage',
      message: `prompt: position 1: expected a whole number from 0 to 6, found ${id}`,
    });
    expect(session.tokensSeen).toBe(0);
  });

  it('refuses a tokenizer with more tokens than the model', () => {
    expect(() => new Session(model, new ByteTokenizer())).toThrow(
      'the tokenizer makes 256 tokens, the model knows 7',
    );
  });

  it('tells the bytes of its state', () => {
    // mLSTM, 2 heads of 32: c, n, m, convolution; sLSTM: 4 states, convolution; each fills whole rows of 16 numbers.
    expect(newSession().stateBytes).toBe(4 * (2 * 32 * 32 + 2 * 32 + 16 + 3 * 64 + 4 * 16 + 3 * 16));
  });
});

describe('Session.fork', () => {
  it('makes an independent copy', async () => {
    const session = await reading(someTokens(20));
    const fork = await session.fork();
    expect(fork.logits).toEqual(session.logits);
    await fork.append([1, 2, 3]);
    const straight = await reading([...someTokens(20), 4, 4]);
    await session.append([4, 4]);
    expect(largestDifference(session.logits, straight.logits)).toBeLessThan(1e-9);
    const other = await reading([...someTokens(20), 1, 2, 3]);
    expect(largestDifference(fork.logits, other.logits)).toBeLessThan(1e-9);
    expect([session.tokensSeen, fork.tokensSeen]).toEqual([22, 23]);
  });
});

describe('Session.save and restore', () => {
  it('continues as if it had not stopped', async () => {
    const session = await reading(someTokens(40));
    const restored = newSession();
    await restored.append([5]);
    await restored.restore(await session.save());
    expect(restored.tokensSeen).toBe(40);
    expect(restored.logits).toEqual(session.logits);
    await session.append([1, 2]);
    await restored.append([1, 2]);
    expect(restored.logits).toEqual(session.logits);
    expect(await restored.save()).toEqual(await session.save());
    const options = { maxTokens: 60, seed: 8, repetitionPenalty: 1.5, repetitionWindow: 20 };
    expect(await collect(restored.generate(options))).toBe(await collect(session.generate(options)));
  });

  it('takes a session that has read nothing', async () => {
    const session = await reading([1]);
    await session.restore(await newSession().save());
    expect(session.tokensSeen).toBe(0);
    expect(largestDifference((await reading([2], session)).logits, (await reading([2])).logits)).toBe(0);
  });

  it('refuses what is not a session of this model, and stays as it was', async () => {
    const session = await reading([1, 2, 3]);
    const before = session.logits;
    const saved = await session.save();
    const refuses = (bytes: Uint8Array, message: RegExp): Promise<void> =>
      expect(session.restore(bytes, 'chat.session')).rejects.toMatchObject({
        code: 'checkpoint',
        message: expect.stringMatching(message),
      });
    const other = new Session(tinyModel(7, 4), alphabet);
    await refuses(
      await other.save(),
      /^chat.session: the session was saved from another model: expected fingerprint/,
    );
    await refuses(saved.subarray(0, 300), /^chat.session: expected a header of/);
    await refuses(saved.subarray(0, saved.length - 4), /^chat.session: tensor/);
    await refuses(writeSafetensors(new Map()), /expected a saved session .*, found a file without a format/);

    const { tensors, metadata } = parseSafetensors(saved);
    const changed = (
      change: (all: Map<string, { shape: readonly number[]; data: Float32Array }>) => void,
    ) => {
      const all = new Map([...tensors].map(([name, t]) => [name, { shape: t.shape, data: t.read() }]));
      change(all);
      return all;
    };
    const without = changed((all) => all.delete('state.blocks.0.n'));
    await refuses(writeSafetensors(without, metadata), /expected a tensor "state.blocks.0.n", found none/);
    const wrongShape = changed((all) => all.set('logits', { shape: [6], data: new Float32Array(6) }));
    await refuses(
      writeSafetensors(wrongShape, metadata),
      /"logits": expected F32 or F64 of shape \[7\], found F32 of \[6\]/,
    );
    const wrongToken = changed((all) => all.get('recent')?.data.fill(9));
    await refuses(writeSafetensors(wrongToken, metadata), /recent: expected token ids below 7, found 9/);
    await refuses(
      writeSafetensors(
        changed(() => {}),
        { ...metadata, tokens_seen: '-1' },
      ),
      /tokens_seen: expected/,
    );
    expect(session.logits).toEqual(before);
    expect(session.tokensSeen).toBe(3);
  });
});

describe('calls that overlap', () => {
  it('are refused', async () => {
    const session = newSession();
    const first = session.append(someTokens(5));
    const busy = { code: 'usage', message: 'fork: the session is still at work for append' };
    await expect(session.fork()).rejects.toMatchObject(busy);
    await first;
    const message = 'append: a loop over generate is not at its end';
    for await (const piece of session.generate({ maxTokens: 5, seed: 1 })) {
      expect(piece).toHaveLength(1);
      await expect(session.append('a')).rejects.toMatchObject({ code: 'usage', message });
      expect((await session.fork()).logits).toEqual(session.logits);
    }
    await session.append('a');
    expect(session.tokensSeen).toBe(11);
  });
});

const { cases } = await fastEngines();
for (const { name, open } of cases) {
  describe(`sessions on ${name}`, () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await open(2);
    });
    afterAll(() => engine.close());

    it('agree with the reference engine and go on exactly from save and fork', async () => {
      const fast = tinyModel(7, 3, engine);
      const tokens = someTokens(100);
      const reference = await reading(tokens);
      const session = await reading(tokens, new Session(fast, alphabet));
      expect(largestDifference(session.logits, reference.logits)).toBeLessThan(1e-4);
      const pieces = new Session(fast, alphabet);
      for (const [from, to] of [
        [0, 1],
        [1, 70],
        [70, 100],
      ])
        await pieces.append(tokens.slice(from, to));
      expect(largestDifference(pieces.logits, reference.logits)).toBeLessThan(1e-4);

      const fork = await session.fork();
      const restored = new Session(fast, alphabet);
      await restored.restore(await session.save());
      expect(restored.logits).toEqual(session.logits);
      const options = { maxTokens: 50, seed: 2 };
      const text = await collect(session.generate(options));
      expect(text).toHaveLength(50);
      expect(await collect(fork.generate(options))).toBe(text);
      expect(await collect(restored.generate(options))).toBe(text);
      expect(fork.logits).toEqual(session.logits);
      expect(restored.logits).toEqual(session.logits);
    });

    it('restores what the reference engine saved', async () => {
      const session = new Session(tinyModel(7, 3, engine), alphabet);
      const reference = await reading(someTokens(30));
      await session.restore(await reference.save());
      await session.append([1]);
      await reference.append([1]);
      expect(largestDifference(session.logits, reference.logits)).toBeLessThan(1e-4);
    });
  });
}
