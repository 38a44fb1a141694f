import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSafetensors } from '../checkpoints/safetensors.ts';
import { createWasmEngine } from '../compute/engines/wasm/engine.ts';
import { ByteTokenizer, DOCUMENT } from '../data/tokenizer.ts';
import { Session } from './session.ts';
import { AlphabetTokenizer, collect, successorModel, tinyModel } from './testing/models.ts';

const letters = new AlphabetTokenizer('ab');
const model = tinyModel(2, 5);

async function started(prompt = 'abba'): Promise<Session> {
  const session = new Session(model, letters);
  await session.append(prompt);
  return session;
}

/** A session that has read this text has these logits. */
async function expectRead(session: Session, text: string): Promise<void> {
  const fresh = await started(text);
  expect(session.tokensSeen).toBe(text.length);
  expect(session.logits[0]).toBeCloseTo(fresh.logits[0], 9);
  expect(session.logits[1]).toBeCloseTo(fresh.logits[1], 9);
}

/** A model that goes through the bytes of a text, each different, from the first to the last and around. */
function recitation(text: string, specials: readonly string[] = []): Session {
  const tokenizer = new ByteTokenizer(specials);
  const ids = [...tokenizer.encode(text), ...tokenizer.specials.values()];
  const successors = new Map(ids.map((id, i) => [id, ids[(i + 1) % ids.length]]));
  return new Session(successorModel(tokenizer.vocabSize, successors), tokenizer);
}

describe('generate', () => {
  it('takes the likeliest token at temperature 0, as a loop by hand', async () => {
    const session = await started();
    const byHand = await started();
    let wanted = '';
    for (let i = 0; i < 30; i++) {
      const [a, b] = byHand.logits;
      const id = b > a ? 1 : 0;
      wanted += letters.decode([id]);
      await byHand.append([id]);
    }
    expect(await collect(session.generate({ temperature: 0, maxTokens: 30 }))).toBe(wanted);
    await expectRead(session, `abba${wanted}`);
  });

  it('gives the same text for the same seed', async () => {
    const texts = [];
    for (const seed of [1, 1, 2])
      texts.push(await collect((await started()).generate({ seed, maxTokens: 40 })));
    expect(texts[1]).toBe(texts[0]);
    expect(texts[2]).not.toBe(texts[0]);
  });

  it('refuses wrong options at once', async () => {
    const session = await started();
    const usage = (message: string) => expect.objectContaining({ code: 'usage', message });
    expect(() => session.generate({ maxTokens: 0 })).toThrow(
      usage('maxTokens: expected a whole number of at least 1, found 0'),
    );
    expect(() => session.generate({ topP: 2 })).toThrow(
      usage('topP: expected a number above 0 and at most 1, found 2'),
    );
    expect(() => session.generate({ stop: '' })).toThrow(
      usage('stop: expected texts that are not empty, found ""'),
    );
  });

  it('stops before any stop string, which may span tokens, and has read what it gave out', {
    timeout: 60_000,
  }, async () => {
    const anyStop = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 2, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyStop, { minLength: 1, maxLength: 2 }),
        fc.nat(1000),
        async (stop, seed) => {
          const options = { seed, maxTokens: 60 };
          const all = await collect((await started()).generate(options));
          const ends = stop
            .map((text) => all.indexOf(text) + text.length)
            .filter((end, i) => end >= stop[i].length);
          const end = Math.min(...ends);
          const starts = stop
            .filter((text) => all.slice(0, end).endsWith(text))
            .map((text) => end - text.length);
          const wanted = ends.length > 0 ? all.slice(0, Math.min(...starts)) : all;

          const session = await started();
          let text = '';
          for await (const piece of session.generate({ ...options, stop })) {
            text += piece;
            expect(session.tokensSeen).toBe(4 + text.length);
          }
          expect(text).toBe(wanted);
          await expectRead(session, `abba${wanted}`);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('has read what it gave out when the loop is left', { timeout: 60_000 }, async () => {
    const anyStop = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 2, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyStop, { maxLength: 2 }),
        fc.nat(1000),
        fc.integer({ min: 1, max: 12 }),
        async (stop, seed, pieces) => {
          const session = await started();
          let text = '';
          let left = pieces;
          for await (const piece of session.generate({ seed, maxTokens: 60, stop })) {
            text += piece;
            if (--left === 0) break;
          }
          await expectRead(session, `abba${text}`);
          await session.append('b');
          await expectRead(session, `abba${text}b`);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('gives whole characters of several bytes', async () => {
    const text = 'aé€😀';
    const session = recitation(text);
    await session.append('a');
    const pieces: string[] = [];
    for await (const piece of session.generate({ temperature: 0, maxTokens: 19 })) pieces.push(piece);
    expect(pieces).toEqual(['é', '€', '😀', 'a', 'é', '€', '😀']);
    // Nine more tokens end after two of the three bytes of €.
    expect(await collect(session.generate({ temperature: 0, maxTokens: 5 }))).toBe('aé\uFFFD');
    expect(session.tokensSeen).toBe(25);
  });

  it('stops before a character of several bytes', async () => {
    const session = recitation('aé€😀b');
    await session.append('a');
    expect(await collect(session.generate({ temperature: 0, stop: ['x', '😀b'] }))).toBe('é€');
    expect(session.tokensSeen).toBe(6);
    const { tensors } = parseSafetensors(await session.save());
    expect(tensors.get('state.count')?.read()[0]).toBe(6);
    expect(await collect(session.generate({ temperature: 0, maxTokens: 5 }))).toBe('😀b');
  });

  it('lets out at the end what only looked like a stop string', async () => {
    const session = recitation('abcdé');
    await session.append('a');
    expect(await collect(session.generate({ temperature: 0, maxTokens: 3, stop: 'cdx' }))).toBe('bcd');
    expect(session.tokensSeen).toBe(4);
    expect(await collect(session.generate({ temperature: 0, maxTokens: 1, stop: 'éx' }))).toBe('\uFFFD');
    expect(session.tokensSeen).toBe(5);
  });

  it('ends where the model starts another document; a session that has read nothing starts one', async () => {
    const whale = recitation('whale', [DOCUMENT]);
    expect(await collect(whale.generate({ temperature: 0 }))).toBe('whale');
    expect(whale.tokensSeen).toBe(6);
  });

  it.each([
    [{ maxTokens: 3 }, 'hal', 'length', 3],
    [{ stop: 'le' }, 'ha', 'stop', 4],
    [{ maxTokens: 3, stop: 'al' }, 'h', 'stop', 3],
    [{ stop: 'x' }, 'hale', 'document', 4],
  ] as const)(
    'complete gives the text, why it ended and its tokens: %j',
    async (options, text, finishReason, completionTokens) => {
      const whale = recitation('whale', [DOCUMENT]);
      expect(await whale.complete('w', { temperature: 0, ...options })).toEqual({
        text,
        ids: [...new TextEncoder().encode('hale')].slice(0, completionTokens),
        finishReason,
        usage: { promptTokens: 2, completionTokens },
      });
      // The document's start, the prompt, what was given out.
      expect(whale.tokensSeen).toBe(2 + text.length);
    },
  );

  it('complete goes on without a prompt, and reads none where its options are wrong', async () => {
    const whale = recitation('whale', [DOCUMENT]);
    await expect(whale.complete('w', { maxTokens: 0 })).rejects.toThrow('maxTokens');
    expect(whale.tokensSeen).toBe(0);
    expect(await whale.complete(undefined, { temperature: 0, maxTokens: 2 })).toEqual({
      text: 'wh',
      ids: [119, 104],
      finishReason: 'length',
      usage: { promptTokens: 0, completionTokens: 2 },
    });
  });

  it('complete tells ln p of the tokens, before any option of sampling', async () => {
    const [a, b] = (await started()).logits;
    const session = await started();
    const { ids, logProbabilities } = await session.complete(undefined, {
      maxTokens: 20,
      seed: 3,
      temperature: 2,
      logProbabilities: 1,
    });
    expect(logProbabilities).toHaveLength(20);
    const sum = Math.log(Math.exp(a) + Math.exp(b));
    expect(logProbabilities?.[0].chosen).toBeCloseTo([a, b][ids[0]] - sum, 12);
    for (const { chosen, likeliest } of logProbabilities ?? []) {
      expect(likeliest).toHaveLength(1);
      expect(likeliest[0].logProbability).toBeGreaterThanOrEqual(chosen);
    }
    await expect(session.complete(undefined, { logProbabilities: 3 })).rejects.toThrow(
      'logProbabilities: expected a whole number from 0 to 2, found 3',
    );
  });

  it('stops with the reason of its signal, in a state as after a break', async () => {
    const controller = new AbortController();
    const session = await started();
    let text = '';
    const loop = async (): Promise<void> => {
      for await (const piece of session.generate({ seed: 3, signal: controller.signal, stop: 'abababab' })) {
        text += piece;
        if (text.length >= 5) controller.abort(new Error('enough'));
      }
    };
    await expect(loop()).rejects.toThrow('enough');
    await expectRead(session, `abba${text}`);
  });

  it('leaves room for timers, so that they can abort it', async () => {
    const session = await started();
    const signal = AbortSignal.timeout(30);
    await expect(collect(session.generate({ seed: 1, signal }))).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    expect(session.tokensSeen).toBeGreaterThan(4);
  });

  it('keeps its memory however long the text', { timeout: 60_000 }, async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const used = async (): Promise<number> => {
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, 50)); // buffers are freed on another thread
      collectGarbage();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const engine = await createWasmEngine({ threads: 1 });
    const session = new Session(tinyModel(256, 5, engine), new ByteTokenizer());
    await session.append('Call me Ishmael.');
    let tokens = 0;
    let before = 0;
    for await (const _ of session.generate({
      seed: 1,
      repetitionPenalty: 1.1,
      stop: ['never this', '\n\n\n'],
    })) {
      tokens = session.tokensSeen;
      if (before === 0 && tokens >= 2000) before = await used();
      if (tokens >= 6000) break;
    }
    // Keeping the logits of each token would take 4 MB.
    expect((await used()) - before).toBeLessThan(500_000);
    await engine.close();
  });
});
