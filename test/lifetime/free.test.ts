import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../src/compute/engines/engine.ts';
import { createReferenceEngine } from '../../src/compute/engines/reference/engine.ts';
import { fastEngines } from '../../src/compute/engines/testing/engines.ts';
import { createWasmEngine } from '../../src/compute/engines/wasm/engine.ts';
import { WasmHeap } from '../../src/compute/engines/wasm/heap.ts';
import { ByteTokenizer } from '../../src/data/tokenizer.ts';
import { Session } from '../../src/generation/session.ts';
import { createModel } from '../../src/models/create_model.ts';
import { languageModelConfig } from '../../src/models/xlstm/config.ts';
import type { XlstmLanguageModel } from '../../src/models/xlstm/language_model.ts';
import type { Model } from '../../src/nn/model.ts';
import { Evaluator } from '../../src/training/evaluate.ts';
import { Trainer } from '../../src/training/trainer.ts';

const tokenizer = new ByteTokenizer();
const config = languageModelConfig({
  vocabSize: tokenizer.vocabSize,
  embeddingDim: 8,
  numBlocks: 1,
  numHeads: 2,
});
const shape = { batchSize: 1, length: 4 };
const batch = { tokens: [0, 1, 2, 3], targets: [1, 2, 3, 4] };
const stream = [1, 2, 3, 4, 5];

const newModel = (engine: Engine): Model<XlstmLanguageModel> => createModel(engine, config, { seed: 1 });

const { cases } = await fastEngines();
const engines = [
  { name: 'reference', open: async (): Promise<Engine> => createReferenceEngine() },
  ...cases.map(({ name, open }) => ({ name, open: () => open(1) })),
];
const opened: Engine[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((engine) => engine.close()));
});

const refusal = (message: string) => expect.objectContaining({ code: 'usage', message });

/** An owner of memory and its calls by name. */
interface Owner {
  free(): void;
  readonly calls: Readonly<Record<string, () => unknown>>;
}

const owners: Readonly<Record<string, (model: Model<XlstmLanguageModel>) => Owner>> = {
  'the trainer': (model) => {
    const trainer = new Trainer(model, { ...shape, carryState: true });
    const calls = {
      step: () => trainer.step(batch),
      computeGradients: () => trainer.computeGradients(batch),
      applyUpdate: () => trainer.applyUpdate(),
      clearState: () => trainer.clearState(),
      save: () => trainer.save(),
      restore: () => trainer.restore(new Map(), 'a file'),
      executable: () => trainer.executable,
    };
    return { free: () => trainer.free(), calls };
  },
  'the evaluator': (model) => {
    const evaluator = new Evaluator(model, { lanes: 1, length: 4 });
    const calls = { run: () => evaluator.run(stream), runBatches: () => evaluator.runBatches([batch]) };
    return { free: () => evaluator.free(), calls };
  },
  'the session': (model) => {
    const session = new Session(model, tokenizer);
    const calls = {
      append: () => session.append('ab'),
      generate: () => session.generate({ maxTokens: 2 }).next(),
      fork: () => session.fork(),
      save: () => session.save(),
      restore: () => session.restore(new Uint8Array(8)),
    };
    return { free: () => session.free(), calls };
  },
};

describe.each(engines)('free: $name', ({ open }) => {
  const start = async (): Promise<Model<XlstmLanguageModel>> => {
    const engine = await open();
    opened.push(engine);
    return newModel(engine);
  };
  const outcome = async (call: () => unknown): Promise<unknown> => {
    try {
      return await call();
    } catch (error) {
      return error;
    }
  };

  it.each(Object.keys(owners))('%s: calls after it are refused, a second one does nothing', async (who) => {
    const owner = owners[who](await start());
    await Object.values(owner.calls)[0]();
    owner.free();
    owner.free();
    for (const [name, call] of Object.entries(owner.calls)) {
      expect(await outcome(call), name).toEqual(refusal(`${name}: ${who} was freed`));
    }
  });

  it.each(Object.keys(owners))('%s: every call after the model is freed is refused', async (who) => {
    const model = await start();
    const owner = owners[who](model);
    await Object.values(owner.calls)[0]();
    model.free();
    for (const [name, call] of Object.entries(owner.calls)) {
      expect(await outcome(call), name).toEqual(refusal(`${name}: the model was freed`));
    }
    owner.free();
    expect(() => owners[who](model)).toThrow(refusal(`${who}: the model was freed`));
  });

  it.each(Object.keys(owners))('%s: refused while a call is at work, for the model too', async (who) => {
    const model = await start();
    const owner = owners[who](model);
    const [name, call] = Object.entries(owner.calls)[0];
    const working = call();
    expect(() => owner.free()).toThrow(refusal(`free: ${who} is still at work for ${name}`));
    expect(() => model.free()).toThrow(refusal('free: the model is in use by a call at work'));
    await working;
    await call();
    owner.free();
    model.free();
  });

  it('a model: calls after it are refused, a second one does nothing', async () => {
    const model = await start();
    const tensors = await model.read();
    const reading = model.read();
    expect(() => model.free()).toThrow(refusal('free: the model is in use by a call at work'));
    await reading;
    model.free();
    model.free();
    await expect(model.read()).rejects.toEqual(refusal('read: the model was freed'));
    expect(() => model.write(tensors, 'a file')).toThrow(refusal('write: the model was freed'));
  });

  it('a session in a loop over generate is not freed', async () => {
    const session = new Session(await start(), tokenizer);
    await session.append('a');
    const loop = session.generate({ seed: 1 });
    let text = await loop.next();
    while (!text.done && text.value === '') text = await loop.next();
    expect(() => session.free()).toThrow(refusal('free: a loop over generate is not at its end'));
    await loop.return('length');
    session.free();
  });
});

it('300 models, trained, measured and read from, leave the heap of WebAssembly as it was', {
  timeout: 60_000,
}, async () => {
  const allocate = vi.spyOn(WasmHeap.prototype, 'allocate');
  const free = vi.spyOn(WasmHeap.prototype, 'free');
  const engine = await createWasmEngine({ threads: 1 });
  opened.push(engine);
  const use = async (): Promise<void> => {
    using model = newModel(engine);
    using trainer = new Trainer(model, { ...shape, carryState: true });
    await trainer.step(batch);
    await trainer.step([batch, batch]);
    using evaluator = new Evaluator(model, { lanes: 1, length: 4 });
    await evaluator.run(stream);
    using session = new Session(model, tokenizer);
    await session.append('abc');
  };
  await use(); // The engine keeps a workspace.
  const [heap] = allocate.mock.contexts as WasmHeap[];
  const before = heap.size;
  for (let i = 0; i < 300; i++) {
    allocate.mockClear();
    free.mockClear();
    await use();
    const pieces = allocate.mock.results.map(({ value }, k) => [value, allocate.mock.calls[k][0]]);
    expect(pieces.length).toBeGreaterThan(10);
    const byAddress = (list: readonly (readonly number[])[]): string[] => list.map(String).sort();
    expect(byAddress(free.mock.calls)).toEqual(byAddress(pieces));
  }
  expect(heap.size).toBe(before);
});
