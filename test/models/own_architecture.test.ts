import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fastEngines } from '../../src/compute/engines/testing/engines.ts';
import { embedding, square, subtract, type Tensor } from '../../src/graph.ts';
import {
  chooseEngine,
  createModel,
  type Engine,
  Evaluator,
  inspect,
  type LanguageModel,
  type LayerState,
  Model,
  type Network,
  type Objective,
  registerArchitecture,
  registerTokenizer,
  type SequenceBatch,
  Session,
  type StreamingDecoder,
  type Tokenizer,
  type TokenizerDescription,
  Trainer,
  XlstmError,
} from '../../src/index.ts';
import {
  CausalConv1d,
  Linear,
  type Pass,
  type Scope,
  type StateShapes,
  smallInit,
  zerosInit,
} from '../../src/nn.ts';
import {
  loadCheckpoint,
  loadTextModel,
  type RunControl,
  type RunResult,
  resumeTraining,
  runTraining,
  saveCheckpoint,
} from '../../src/node.ts';

interface ConvConfig {
  readonly words: number;
  readonly width: number;
}

/** Tokens, a convolution whose state goes from piece to piece, dropout, logits. */
class ConvNet implements LanguageModel {
  readonly vocabSize: number;
  readonly #table: Tensor;
  readonly #conv: CausalConv1d;
  readonly #head: Linear;

  constructor(scope: Scope, { words, width }: ConvConfig) {
    this.vocabSize = words;
    this.#table = scope.parameter('table', [words, width], smallInit(width));
    this.#conv = new CausalConv1d(scope.child('layers.0'), width, 3);
    this.#head = new Linear(scope.child('head'), width, words, { weight: smallInit(width), bias: zerosInit });
  }

  stateShapes(batch: number): StateShapes {
    return { 'layers.0.inputs': this.#conv.stateShape(batch) };
  }

  forward(tokens: Tensor, pass: Pass, state: LayerState): { y: Tensor; state: LayerState } {
    const { y, lastState } = this.#conv.forward(
      embedding(tokens, this.#table),
      pass,
      state['layers.0.inputs'],
    );
    return { y: pass.dropout(y, 0.1), state: { 'layers.0.inputs': lastState } };
  }

  logits(y: Tensor): Tensor {
    return this.#head.forward(y);
  }
}

const convNet = registerArchitecture<ConvConfig, ConvNet>({
  name: 'test-conv-net',
  parseConfig({ words, width = 8 }, source) {
    if (typeof words === 'number' && typeof width === 'number') return { words, width };
    throw new XlstmError('config', `${source}: words, width: expected numbers`);
  },
  formatConfig: (config) => ({ ...config }),
  build: (scope, config) => new ConvNet(scope, config),
  describe: ({ width }) => ({ summary: `one layer, width ${width}`, kinds: { 'layers.0': 'conv' } }),
});

/** A token a word; the words are kept with the model. */
class WordTokenizer implements Tokenizer {
  readonly specials: ReadonlyMap<string, number> = new Map();
  readonly words: readonly string[];

  constructor(words: readonly string[]) {
    this.words = words;
  }

  get vocabSize(): number {
    return this.words.length;
  }

  encode(text: string): Int32Array {
    return Int32Array.from(
      text.split(/\s+/).filter((word) => word),
      (word) => this.words.indexOf(word),
    );
  }

  decode(ids: ArrayLike<number>): string {
    return Array.from(ids, (id) => `${this.words[id]} `).join('');
  }

  decoder(): StreamingDecoder {
    return { push: (id) => this.decode([id]), flush: () => '' };
  }

  toJSON(): TokenizerDescription {
    return { type: 'test-words', words: this.words };
  }
}

registerTokenizer({
  type: 'test-words',
  parse({ words }, source) {
    if (Array.isArray(words)) return new WordTokenizer(words);
    throw new XlstmError('config', `${source}: words: expected a list`);
  },
});

class Nameless extends WordTokenizer {
  override toJSON(): TokenizerDescription {
    return { type: 'test-nameless' };
  }
}

const tokenizer = new WordTokenizer(['the', 'whale', 'sea', 'swims', 'sleeps', 'in']);
const nameless = new Nameless(tokenizer.words);
const config = { architecture: convNet, words: tokenizer.vocabSize, width: 12 };
const text = 'the whale swims in the sea the whale sleeps in the sea '.repeat(20);
const ids = tokenizer.encode(text);

const { cases, missing } = await fastEngines();
const one = (name: string) => cases.filter((found) => found.name.startsWith(name)).slice(-1);
const engines = [
  { name: 'reference', bits: false, open: async () => (await chooseEngine('reference')).engine },
  ...[...one('wasm'), ...one('native')].map(({ name, open }) => ({ name, bits: true, open: () => open(2) })),
];
if (missing) it.skip(`an own architecture on native: not run, ${missing}`, () => {});

describe.each(engines)('an architecture and a tokenizer of one’s own: $name', ({ bits, open }) => {
  let engine: Engine;
  let place: string;
  beforeAll(async () => {
    engine = await open();
    place = await mkdtemp(join(tmpdir(), 'xlstm-own-'));
    await writeFile(join(place, 'text.txt'), text);
  });
  afterAll(async () => {
    await engine.close();
    await rm(place, { recursive: true });
  });

  const train = (
    folder: string,
    control: RunControl & { readonly model?: Model; readonly tokenizer?: Tokenizer } = {},
  ): Promise<RunResult> =>
    runTraining({
      model: createModel(engine, config, { seed: 5 }),
      tokenizer,
      folder: join(place, folder),
      train: ids.slice(0, Math.floor(0.9 * ids.length)),
      validation: ids.slice(Math.floor(0.9 * ids.length)),
      source: { data: [join(place, 'text.txt')], corpus: '' },
      options: {
        ...{ steps: 12, batchSize: 2, length: 8, microBatches: 2, learningRate: 0.03, warmupSteps: 2 },
        optimizer: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
        ...{ finalFraction: 0.1, clipNorm: 1 },
        ...{ order: 'contiguous', seed: 3, evaluateEvery: 6, checkpointEvery: 4 },
      },
      ...control,
    });

  const written = async (model: Model): Promise<string> => {
    const session = new Session(model, tokenizer);
    await session.append('the whale');
    let all = '';
    for await (const piece of session.generate({ maxTokens: 12, seed: 2 })) all += piece;
    return all;
  };

  it('are created, saved, loaded and the same', async () => {
    const model = createModel(engine, config, { seed: 5 });
    expect(model.network).toBeInstanceOf(ConvNet);
    const path = join(place, 'saved');
    await saveCheckpoint(path, { model, tokenizer });
    const json = async (name: string) => JSON.parse(await readFile(join(path, name), 'utf8'));
    expect(await json('config.json')).toEqual({ architecture: 'test-conv-net', words: 6, width: 12 });
    expect(await json('tokenizer.json')).toEqual({ type: 'test-words', words: tokenizer.words });

    const loaded = await loadTextModel(engine, path);
    expect(loaded.model.network).toBeInstanceOf(ConvNet);
    expect(loaded.tokenizer).toEqual(tokenizer);
    expect(await written(loaded.model)).toBe(await written(model));
    const [was, is] = [await model.read(), await loaded.model.read()];
    expect([...is.keys()]).toEqual([...was.keys()]);
    for (const [name, { values }] of was)
      expect(Float32Array.from(is.get(name)!.values)).toEqual(Float32Array.from(values));
    expect(loaded.model.design).toEqual(model.design);
    expect(inspect(loaded.model.design!)).toMatchObject({
      architecture: 'test-conv-net',
      parameters: 6 * 12 + 12 * 3 + 12 + 12 * 6 + 6,
      stateBytes: 4 * 2 * 12,
      layers: expect.arrayContaining([{ name: 'layers.0', kind: 'conv', parameters: 48, stateBytes: 96 }]),
      decoding: { flopsPerToken: expect.any(Number) },
    });
  });

  it('are trained by a run, which stops, goes on, and ends where one that was left alone does', async () => {
    const losses: number[] = [];
    await train('whole', { onStep: ({ loss }) => losses.push(loss) });
    expect(losses[11]).toBeLessThan(0.9 * losses[0]);
    const stop = new AbortController();
    const first = await train('parts', {
      signal: stop.signal,
      onStep: ({ step }) => step === 5 && stop.abort(),
    });
    expect(first).toMatchObject({ steps: 5, interrupted: true });
    expect(await resumeTraining(engine, join(place, 'parts'))).toMatchObject({
      steps: 12,
      interrupted: false,
    });

    const models = await Promise.all(
      ['whole', 'parts'].map((run) => loadTextModel(engine, join(place, run))),
    );
    for (const name of ['model.safetensors', 'optimizer.safetensors']) {
      const [a, b] = await Promise.all(
        ['whole', 'parts'].map((run) => readFile(join(place, run, 'checkpoint', name))),
      );
      // A checkpoint holds float32, which is what the fast engines compute in.
      if (bits) expect(b.equals(a), name).toBe(true);
      else expect(b.length).toBe(a.length);
    }
    const [whole, parts] = await Promise.all(
      models.map(async ({ model }) => (await new Evaluator(model, { lanes: 1, length: 16 }).run(ids)).loss),
    );
    expect(parts).toBeCloseTo(whole, 5);
    expect(await written(models[1].model)).toBe(await written(models[0].model));
  });

  it('do not begin a run where they could not be loaded again', async () => {
    const model = Model.create(engine, (scope) => new ConvNet(scope, { words: 6, width: 4 }), 1);
    await expect(train('refused', { model })).rejects.toThrow(/made by a function/);
    await expect(train('refused', { tokenizer: nameless })).rejects.toThrow(/type "test-nameless"/);
    expect(await readdir(place)).not.toContain('refused');
  });
});

/** y = w x: no tokens, no vocabulary, no state. */
class Line implements Network {
  readonly #linear: Linear;

  constructor(scope: Scope) {
    this.#linear = new Linear(scope.child('line'), 1, 1, { weight: zerosInit });
  }

  stateShapes(): StateShapes {
    return {};
  }

  forward(x: Tensor): Tensor {
    return this.#linear.forward(x);
  }
}

const line = registerArchitecture({
  name: 'test-line',
  parseConfig: () => ({}),
  formatConfig: () => ({}),
  build: (scope) => new Line(scope),
});

interface Points extends SequenceBatch {
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
}

const squares: Objective<Line, Points> = {
  inputs: (_, { batchSize, length }) => ({
    x: { shape: [batchSize, length, 1], range: 'finite' },
    y: { shape: [batchSize, length, 1], range: 'finite' },
  }),
  count: ({ y }) => y.length,
  losses: (network, { x, y }, _, state) => ({ losses: square(subtract(network.forward(x), y)), state }),
};

describe('a network without a vocabulary', () => {
  let engine: Engine;
  let place: string;
  beforeAll(async () => {
    ({ engine } = await chooseEngine('reference'));
    place = await mkdtemp(join(tmpdir(), 'xlstm-line-'));
  });
  afterAll(() => rm(place, { recursive: true }));

  it('is trained, saved, loaded, inspected and trained on; what takes texts refuses it', async () => {
    const model = createModel(engine, { architecture: line });
    const shape = { batchSize: 1, length: 4, objective: squares };
    const points = { x: [1, 2, 3, 4], y: [2, 4, 6, 8] };
    const trainer = new Trainer(model, shape);
    for (let i = 0; i < 100; i++) await trainer.step(points, 0.05);
    const path = join(place, 'line');
    await saveCheckpoint(path, { model });
    expect((await readdir(path)).sort()).toEqual(['config.json', 'model.safetensors']);

    const { model: loaded, tokenizer } = await loadCheckpoint(engine, path);
    expect(tokenizer).toBe(undefined);
    const [weight] = (await loaded.read()).get('line.weight')!.values as Float64Array;
    expect(weight).toBeCloseTo(2, 1);
    const { loss } = await new Trainer(loaded as Model<Line>, shape).step(points);
    expect(loss).toBeCloseTo((await trainer.step(points)).loss, 6);

    const facts = inspect(loaded.design!);
    expect(facts).toMatchObject({ architecture: 'test-line', parameters: 1, stateBytes: 0 });
    expect(facts).not.toHaveProperty('decoding');
    await expect(loadTextModel(engine, path)).rejects.toMatchObject({
      code: 'checkpoint',
      message: `${path}: expected a language model, found a model that takes no tokens: test-line`,
    });
  });

  it('what could not be loaded again is not saved', async () => {
    const path = join(place, 'refused');
    const made = Model.create(engine, (scope) => new ConvNet(scope, { words: 6, width: 4 }), 1);
    await expect(saveCheckpoint(path, { model: made })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('made by a function'),
      hint: expect.stringContaining('createModel'),
    });
    const model = createModel(engine, config);
    const refusal = {
      code: 'usage',
      message: expect.stringContaining('type "test-nameless"'),
      hint: expect.stringContaining('registerTokenizer'),
    };
    await expect(saveCheckpoint(path, { model, tokenizer: nameless })).rejects.toMatchObject(refusal);
    const huge = new WordTokenizer(Array.from({ length: 70 }, (_, i) => String(i).repeat(2 ** 20)));
    await expect(saveCheckpoint(path, { model, tokenizer: huge })).rejects.toThrow(
      /tokenizer\.json: expected at most 67108864 bytes, found/,
    );
    expect(await readdir(place)).toEqual(['line']);
  });

  it('a checkpoint of one that is not registered says so', async () => {
    const path = join(place, 'unknown');
    await mkdir(path);
    await saveCheckpoint(path, { model: createModel(engine, config), tokenizer });
    await writeFile(join(path, 'tokenizer.json'), '{"type": "test-other"}');
    await expect(loadCheckpoint(engine, path)).rejects.toMatchObject({
      message: expect.stringMatching(
        /tokenizer\.json: expected .* byte, test-words; found \{"type":"test-other"\}/,
      ),
      hint: expect.stringContaining('registerTokenizer'),
    });
    await writeFile(join(path, 'config.json'), '{"architecture": "test-gone"}');
    await expect(loadCheckpoint(engine, path)).rejects.toMatchObject({
      message: expect.stringMatching(/config\.json: architecture: .*found "test-gone"/),
      hint: expect.stringContaining('registerArchitecture'),
    });
  });
});
