import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { fastEngines } from '../compute/engines/testing/engines.ts';
import type { Precision } from '../compute/graph/plan.ts';
import { ByteTokenizer } from '../data/tokenizer.ts';
import { TextModel } from '../generation/text_model.ts';
import { createModel, type NamedConfig } from '../models/create_model.ts';
import type { LanguageModel } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { SequenceRunner } from '../nn/sequence_runner.ts';
import { Random } from '../random.ts';
import { encodeModel, loadModel } from './model_files.ts';

const tokenizer = new ByteTokenizer(Array.from({ length: 16 }, (_, i) => `<${i}>`));
const sizes = { vocabSize: tokenizer.vocabSize, embeddingDim: 64, numHeads: 2, numBlocks: 2 };
const designs: Readonly<Record<string, NamedConfig>> = {
  'xLSTM Large': { architecture: 'xlstm-large', ...sizes },
  'xLSTM[1:1]': { architecture: 'xlstm', ...sizes, slstmAt: [1] },
};

const reference = createReferenceEngine();
const { cases, missing } = await fastEngines('bf16');
if (missing) it.skip(`bf16 on native: not run, ${missing}`, () => {});
const threads = await Promise.all(cases.map(({ open }) => Promise.all([open(1), open(2)])));
const opened = threads.flat();
const able = opened.filter(({ limits }) => !limits.lacks.panelLinear);
const lacking = opened.filter(({ limits }) => limits.lacks.panelLinear);
if (able.length === 0)
  it.skip('bf16 on native: not run, this processor has no products of bfloat16', () => {});

// More than a chunk of the mLSTM, then one token after the other.
const PROMPT = 70;
const STEPS = 20;
const random = new Random(4);
const tokens = Float32Array.from({ length: PROMPT + STEPS }, () => random.integer(sizes.vocabSize));

type Files = Awaited<ReturnType<typeof encodeModel>>;
interface Passes {
  /** Of every position. */
  readonly prefill: ArrayLike<number>;
  readonly decoding: ArrayLike<number>;
  /** Before each step of decoding. */
  readonly states: readonly ArrayLike<number>[];
}

/** Steps of decoding begin with the states given, or each where the one before ended. */
async function passes(
  engine: Engine,
  files: Files,
  precision: Precision,
  given?: Passes['states'],
): Promise<Passes> {
  const { model } = await loadModel({ files }, { engine, kind: 'text', precision });
  using runner = SequenceRunner.of(model, 1, 'all');
  const read = async (from: number, length: number): Promise<ArrayLike<number>> => {
    const { io, run } = runner.executable(length);
    io.write('tokens', tokens.subarray(from, from + length));
    await run();
    return io.read('logits');
  };
  const prefill = await read(0, PROMPT);
  const decoding: number[] = [];
  const states: ArrayLike<number>[] = [];
  for (let t = 0; t < STEPS; t++) {
    if (given) runner.state.writeAll(given[t]);
    states.push(await runner.state.readAll());
    decoding.push(...Array.from(await read(PROMPT + t, 1)));
  }
  return { prefill, decoding, states };
}

/** Of each position, the least first: the root of the mean square of the differences. */
function apart(a: ArrayLike<number>, b: ArrayLike<number>): number[] {
  const { vocabSize } = sizes;
  const squares = new Array<number>(a.length / vocabSize).fill(0);
  for (let i = 0; i < a.length; i++) squares[Math.floor(i / vocabSize)] += (a[i] - b[i]) ** 2;
  return squares.map((sum) => Math.sqrt(sum / vocabSize)).sort((x, y) => x - y);
}
const quartile = (values: readonly number[]): number => values[Math.floor(values.length / 4)];

const files = new Map<string, Files>();
const right = new Map<string, Readonly<Record<Precision, Passes>>>();
beforeAll(async () => {
  for (const [name, config] of Object.entries(designs)) {
    using model = createModel(reference, config, { seed: 3 }) as Model<LanguageModel>;
    const encoded = await encodeModel(new TextModel(model, tokenizer));
    files.set(name, encoded);
    const f32 = await passes(reference, encoded, 'f32');
    right.set(name, { f32, bf16: await passes(reference, encoded, 'bf16') });
  }
});
afterAll(() => Promise.all([...opened, reference].map((engine) => engine.close())));

describe.each(Object.keys(designs))('%s in bf16', (name) => {
  it.each(able)('on $description gives the logits of the reference engine in bf16', async (engine) => {
    const { f32, bf16 } = right.get(name) as Readonly<Record<Precision, Passes>>;
    const found = await passes(engine, files.get(name) as Files, 'bf16', bf16.states);
    for (const part of ['prefill', 'decoding'] as const) {
      const rounding = apart(bf16[part], f32[part]);
      const wrong = apart(found[part], bf16[part]);
      // A number in the middle between two of bfloat16 may become either, where sums in float32 differ; positions after it differ then.
      expect(quartile(wrong), `${part}: the rounding of float32`).toBeLessThan(3e-7);
      expect(wrong.at(-1), part).toBeLessThan(quartile(rounding));
      expect(rounding[0], `${part}: the rounding of bfloat16`).toBeGreaterThan(1e-3);
    }
  });

  it.each(lacking)('is refused by $description, with the reason', async (engine) => {
    await expect(passes(engine, files.get(name) as Files, 'bf16')).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(/^precision bf16: /),
      hint: expect.stringMatching(/precision f32.*avx512_bf16/),
    });
  });

  it.each(threads.filter(([engine]) => able.includes(engine)))(
    'has the same bits on $description and on more threads',
    async (one, two) => {
      const [first, second] = await Promise.all(
        [one, two].map((engine) => passes(engine, files.get(name) as Files, 'bf16')),
      );
      expect(second).toEqual(first);
    },
  );
});
