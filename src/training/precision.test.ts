import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSafetensors } from '../checkpoints/safetensors.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { createNativeEngine } from '../compute/engines/native/engine.ts';
import { createReferenceEngine, ReferenceEngine } from '../compute/engines/reference/engine.ts';
import { createWasmEngine } from '../compute/engines/wasm/engine.ts';
import type { Precision } from '../compute/graph/plan.ts';
import { encodeCorpus, readCorpus } from '../data/corpus.ts';
import { ByteTokenizer, DOCUMENT } from '../data/tokenizer.ts';
import { createModel, type NamedConfig } from '../models/create_model.ts';
import { readDesign } from '../models/registry.ts';
import { Design } from '../nn/architecture.ts';
import type { LanguageModel } from '../nn/layer.ts';
import { Model } from '../nn/model.ts';
import { Random } from '../random.ts';
import { SequenceModel } from '../sequences/sequence_model.ts';
import { resumeTraining } from './resume.ts';
import { type RunControl, type RunResult, runTraining } from './train_run.ts';
import { Trainer } from './trainer.ts';

const tokenizer = new ByteTokenizer([DOCUMENT]);
const sizes = { vocabSize: tokenizer.vocabSize, embeddingDim: 32, numBlocks: 2, numHeads: 2 };
const config = { architecture: 'xlstm', ...sizes, slstmAt: [1], contextLength: 16 } satisfies NamedConfig;

/** The native engine where it has products of bfloat16; else the one that says what they are. */
async function ableEngine(): Promise<Engine> {
  const native = await createNativeEngine({ threads: 1 }).catch(() => undefined);
  if (native && !native.limits.lacks.gemmBf16) return native;
  await native?.close();
  return createReferenceEngine();
}

let engine: Engine;
let wasm: Engine;
let place: string;
let text: string;
beforeAll(async () => {
  [engine, wasm] = await Promise.all([ableEngine(), createWasmEngine({ threads: 1 })]);
  place = await mkdtemp(join(tmpdir(), 'xlstm-precision-'));
  text = join(place, 'text.txt');
  const words = ['the', 'white', 'whale', 'swims', 'in', 'a', 'wide', 'and', 'restless', 'sea'];
  const random = new Random(1);
  const chosen = Array.from({ length: 6000 }, () => words[random.integer(words.length)]);
  await writeFile(text, chosen.join(' '));
});
afterAll(async () => {
  await Promise.all([engine.close(), wasm.close()]);
  await rm(place, { recursive: true });
});

async function train(
  folder: string,
  precision: Precision | undefined,
  steps: number,
  control: RunControl = {},
): Promise<RunResult> {
  const model = createModel(engine, config, { seed: 5 }) as Model<LanguageModel>;
  const result = await runTraining({
    ...encodeCorpus(tokenizer, await readCorpus([text], '')),
    ...{ model, tokenizer, folder: join(place, folder), source: { data: [text], corpus: '' } },
    options: {
      ...{ steps, batchSize: 4, length: 32, microBatches: 1, learningRate: 0.01, warmupSteps: 4 },
      optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
      ...{ finalFraction: 0.1, clipNorm: 1, order: 'contiguous', seed: 3, precision },
      ...{ evaluateEvery: steps, checkpointEvery: 4 },
    },
    ...control,
  });
  model.free();
  return result;
}

/** How far apart the numbers of two safetensors files are in all, as a share of their size. */
function apart(a: Buffer, b: Buffer): number {
  const [left, right] = [a, b].map((bytes) =>
    [...parseSafetensors(bytes).tensors.values()].flatMap((tensor) => [...tensor.read()]),
  );
  const norm = (x: number[]): number => Math.sqrt(x.reduce((sum, value) => sum + value ** 2, 0));
  return norm(left.map((x, i) => x - right[i])) / norm(left);
}

const file = (folder: string, name: string): Promise<Buffer> =>
  readFile(join(place, folder, 'checkpoint', name));

describe('a run in bf16', () => {
  it('ends with the validation loss of float32 within 0.5 %, and other weights', async () => {
    const f32 = await train('f32', undefined, 80);
    const bf16 = await train('bf16', 'bf16', 80);
    const [exact, rounded] = [f32.validationLoss as number, bf16.validationLoss as number];
    expect(exact).toBeLessThan(1); // ln 257 = 5.5; ten words of 4.7 letters and a space: 0.4
    expect(Math.abs(rounded / exact - 1)).toBeLessThan(0.005);
    expect((await file('bf16', 'model.safetensors')).equals(await file('f32', 'model.safetensors'))).toBe(
      false,
    );
  }, 300_000);

  it('is resumed in bf16, and ends with the bits of one that was left alone', async () => {
    await train('whole', 'bf16', 8);
    const stop = new AbortController();
    await train('parts', 'bf16', 8, {
      signal: stop.signal,
      onStep: ({ step }) => step === 5 && stop.abort(),
    });
    await resumeTraining(engine, join(place, 'parts'));
    for (const name of ['model.safetensors', 'optimizer.safetensors']) {
      const [parts, whole] = await Promise.all(['parts', 'whole'].map((folder) => file(folder, name)));
      // Its weights are float64, those of a checkpoint float32: what is read again rounds otherwise here and there.
      if (engine instanceof ReferenceEngine) expect(apart(parts, whole), name).toBeLessThan(1e-3);
      else expect(parts.equals(whole), name).toBe(true);
    }
    expect(JSON.parse(String(await file('parts', 'training.json'))).options.precision).toBe('bf16');
  });

  it('is not resumed by an engine that cannot, and stays as it was', async () => {
    const before = await file('parts', 'training.json');
    const resumed = resumeTraining(wasm, join(place, 'parts'), { steps: 12 });
    await expect(resumed).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(/^precision bf16: /),
    });
    expect((await file('parts', 'training.json')).equals(before)).toBe(true);
  });
});

const refusal = {
  code: 'engine',
  message: 'precision bf16: WebAssembly has no dot products of bfloat16',
  hint: expect.stringMatching(/precision f32/),
};

describe('refused', () => {
  it('where the engine has no such products, before anything runs', async () => {
    const model = createModel(wasm, config, { seed: 5 });
    expect(() => new Trainer(model, { precision: 'bf16' })).toThrow(expect.objectContaining(refusal));
    const numbers = await SequenceModel.create({ engine: wasm, inputs: 1, outputs: 1, dim: 8, depth: 1 });
    const examples = [{ inputs: [[1], [2]], targets: [[1], [2]] }];
    await expect(numbers.fit(examples, { precision: 'bf16' })).rejects.toMatchObject(refusal);
  });

  it('over small weights, whose products are others', async () => {
    const { architecture, config: parsed } = readDesign(config, 'the test') as Design<LanguageModel>;
    const adapter = { rank: 2, alpha: 4, base: '', source: 'the test' };
    const values = await createModel(engine, config, { seed: 5 }).read();
    const design = new Design(architecture, parsed, 'q8', adapter);
    const model = Model.load(engine, design, values, 'the test', { seed: 9 });
    expect(() => new Trainer(model, { precision: 'bf16' })).toThrow(/precision bf16: the small weights/);
    expect(() => new Trainer(model, { precision: 'bf8' as Precision })).toThrow(/precision.*"f32" or "bf16"/);
  });
});
