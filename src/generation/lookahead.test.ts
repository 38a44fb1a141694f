import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine, Executable } from '../compute/engines/engine.ts';
import { findAdapter, openDevice } from '../compute/engines/webgpu/device.ts';
import { WebgpuEngine } from '../compute/engines/webgpu/engine.ts';
import { hasSoftwareGpu, useSoftwareGpu } from '../compute/engines/webgpu/testing/software_gpu.ts';
import type { Model } from '../nn/model.ts';
import { Grammar } from './grammar/grammar.ts';
import type { SamplingOptions } from './sampling.ts';
import { type GenerateOptions, Session } from './session.ts';
import { AlphabetTokenizer, tinyModel } from './testing/models.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,;:!?-()[]';
const alphabet = new AlphabetTokenizer(LETTERS);

/** The engine, as one whose tokens all are read one by one. */
const withoutDrafts = (engine: Engine): Engine =>
  new Proxy(engine, {
    get(target, name) {
      if (name === 'bind')
        return (...args: Parameters<Engine['bind']>): Executable => {
          const { draft: _, ...executable } = target.bind(...args);
          return executable;
        };
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });

describe.runIf(hasSoftwareGpu)('tokens that a graphics processor draws', { timeout: 120_000 }, () => {
  let engine: WebgpuEngine;
  let drafting: Model;
  let plain: Model;
  /** Times that numbers were read back. */
  let reads = 0;

  beforeAll(async () => {
    await useSoftwareGpu();
    const adapter = await findAdapter();
    const device = await openDevice(adapter);
    const { createBuffer } = device;
    device.createBuffer = (description) => {
      if (description.usage & 1) reads++;
      return createBuffer.call(device, description);
    };
    engine = new WebgpuEngine(device, adapter.description);
    drafting = tinyModel(LETTERS.length, 3, engine);
    plain = tinyModel(LETTERS.length, 3, withoutDrafts(engine));
  }, 120_000);
  afterAll(() => engine?.close());

  const written = async (model: Model, options: GenerateOptions) => {
    using session = new Session(model, alphabet);
    const before = reads;
    const { text, ids, finishReason } = await session.complete('hello', { seed: 5, ...options });
    const times = reads - before;
    return { text, ids, finishReason, logits: session.logits, state: await session.save(), reads: times };
  };

  it.each<[string, SamplingOptions]>([
    ['the likeliest', { temperature: 0 }],
    ['by their probabilities', {}],
    ['at a low temperature', { temperature: 0.05 }],
    ['with min-p', { temperature: 0.1, minP: 0.5 }],
    ['with top-p', { temperature: 0.2, topP: 0.6 }],
    ['with top-p and min-p', { temperature: 0.2, topP: 0.9, minP: 0.3 }],
  ])('are those that are drawn elsewhere, and few times read back: %s', async (_, sampling) => {
    const { reads: many, ...right } = await written(plain, { maxTokens: 50, ...sampling });
    const { reads: few, ...found } = await written(drafting, { maxTokens: 50, ...sampling });
    expect(found).toEqual(right);
    expect(right.ids).toHaveLength(50);
    expect(many).toBeGreaterThan(50);
    // The prompt, then drafts of 2, 4, 8 and 16; one of them may have to be made again.
    expect(few).toBeLessThanOrEqual(9);
  });

  it('are none where they could not be guessed', async () => {
    for (const options of [
      { topK: 5 },
      { repetitionPenalty: 1.3 },
      { grammar: Grammar.regex('[a-z]{30}') },
    ]) {
      const { reads: many, ...right } = await written(plain, { maxTokens: 20, ...options });
      const { reads: same, ...found } = await written(drafting, { maxTokens: 20, ...options });
      expect(found).toEqual(right);
      expect(same).toBe(many);
    }
  });

  it('leave the session behind the text that it gave, wherever the loop ends', async () => {
    for (const end of [1, 5, 17]) {
      const ends = await Promise.all(
        [plain, drafting].map(async (model) => {
          using session = new Session(model, alphabet);
          await session.append('hello');
          let text = '';
          for await (const piece of session.generate({ seed: 9 })) {
            text += piece;
            if (text.length === end) break;
          }
          const { tokensSeen, logits } = session;
          const state = await session.save();
          await session.append('so');
          return { text, tokensSeen, logits, state, after: session.logits };
        }),
      );
      expect(ends[1]).toEqual(ends[0]);
    }
  });

  it('end before a stop string and at a fork, to the same bits', async () => {
    const { text } = await written(plain, { maxTokens: 40 });
    const stop = text.slice(20, 23);
    const { reads: _, ...right } = await written(plain, { stop });
    const { reads: __, ...found } = await written(drafting, { stop });
    expect(found).toEqual(right);

    const forks = await Promise.all(
      [plain, drafting].map(async (model) => {
        using session = new Session(model, alphabet);
        await session.append('hello');
        let [count, whole] = [0, ''];
        const forked: Uint8Array[] = [];
        for await (const piece of session.generate({ seed: 9, maxTokens: 12 })) {
          whole += piece;
          count++;
          if (count % 5 !== 0) continue;
          using fork = await session.fork();
          forked.push(await fork.save());
        }
        return { whole, forked };
      }),
    );
    expect(forks[1]).toEqual(forks[0]);
  });
});
