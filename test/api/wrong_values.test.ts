import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as graph from '../../src/graph.ts';
import * as library from '../../src/index.ts';
import * as nn from '../../src/nn.ts';
import { MetricsFile, type RunOptions, runTraining } from '../../src/node.ts';

/** What callers from JavaScript may pass in place of a number, an option or an array. None of it may do something. */
const notNumbers: readonly unknown[] = [Number.NaN, undefined, null, '3', {}, true];
const engine = (await library.chooseEngine('reference')).engine;
const tokenizer = new library.ByteTokenizer();
const config = library.languageModelConfig({
  vocabSize: tokenizer.vocabSize,
  embeddingDim: 8,
  numBlocks: 1,
  numHeads: 2,
});
const model = library.Model.create(engine, (scope) => new library.XlstmLanguageModel(scope, config), 1);
const shape = { batchSize: 1, length: 4 };
const batch = { tokens: [0, 1, 2, 3], targets: [1, 2, 3, 4] };

/** Every foreseen code but `internal`, which is the library's own fault. */
const FORESEEN = ['usage', 'config', 'data', 'checkpoint', 'engine', 'shape'];
async function refusal(call: () => unknown): Promise<library.XlstmError> {
  try {
    const value = await call();
    throw new Error(`accepted: ${String(value)}`);
  } catch (error) {
    expect(error).toBeInstanceOf(library.XlstmError);
    expect(FORESEEN).toContain((error as library.XlstmError).code);
    return error as library.XlstmError;
  }
}

type Build = Parameters<typeof graph.evaluation>[2];
const trace = (build: Build, sizes: readonly number[] = [1, 4, 8]) => {
  const x = { shape: sizes, values: new Float32Array(sizes.reduce((a, b) => a * b)) };
  return graph.evaluation(engine, { x }, build);
};

/** One argument each, which is never the value given. */
const doors: readonly (readonly [
  name: string,
  call: (wrong: never) => unknown,
  values?: readonly unknown[],
])[] = [
  [
    'batch.continues',
    (continues) => new library.Trainer(model, shape).step({ ...batch, continues }),
    [0, 1, null, 'no'],
  ],
  [
    'Trainer objective',
    (objective) => new library.Trainer(model, { ...shape, objective }),
    [null, 3, {}, 'x', Number.NaN],
  ],
  [
    'ByteTokenizer specials',
    (names) => new library.ByteTokenizer(names),
    [3, 'x', [3], [Number.NaN], [''], ['a', 'a']],
  ],
  ['encode', (text) => tokenizer.encode(text), [3, null, undefined, Number.NaN, ['x']]],
  ['encodeDocuments', (text) => library.encodeDocuments(tokenizer, [text]), [3, null, {}]],
  [
    'Evaluator objective',
    (objective) => new library.Evaluator(model, { lanes: 1, length: 4, objective }),
    [null, 3, {}, 'x', Number.NaN],
  ],
  [
    'Evaluator.run options',
    (options) => new library.Evaluator(model, { lanes: 1, length: 4 }).run([1, 2, 3], options),
    [null, 3, { abort: 1 }],
  ],
  [
    'Evaluator.runBatches options',
    (options) => new library.Evaluator(model, { lanes: 1, length: 4 }).runBatches([batch], options),
    [null, 3, { abort: 1 }],
  ],
  [
    'Session tokenizer',
    (wrong) => new library.Session(model, wrong),
    [{}, 3, { vocabSize: 1.5 }, { vocabSize: '3' }],
  ],
  [
    'generate options',
    async (options) => {
      const session = new library.Session(model, tokenizer);
      await session.append('a');
      return session.generate(options);
    },
    [null, 3, { temprature: 0 }, { max_tokens: 3 }],
  ],
  [
    'Session.append',
    (prompt) => new library.Session(model, tokenizer).append(prompt),
    [Number.NaN, undefined, null, 3, {}, true],
  ],
  [
    'Session.restore',
    (bytes) => new library.Session(model, tokenizer).restore(bytes),
    [...notNumbers, [1, 2]],
  ],
  [
    'complete options',
    (options) => new library.Session(model, tokenizer).complete('a', options),
    [null, 3, { maxToken: 1 }],
  ],
  ...(['stop', 'signal', 'onToken', 'grammar'] as const).map(
    (name) =>
      [
        `complete ${name}`,
        (wrong: never) =>
          new library.Session(model, tokenizer).complete('a', { maxTokens: 1, [name]: wrong }),
        [null, 3, {}, [4]],
      ] as const,
  ),
  ['Sampler options', (options) => new library.Sampler(8, options), [null, 3, { temprature: 0 }]],
  ['chooseEngine options', (options) => library.chooseEngine('reference', options), [null, 3, { thread: 2 }]],
  [
    'chooseEngine threads',
    (threads) => library.chooseEngine('wasm', { threads }),
    [null, 0, 1.5, '2', Number.NaN],
  ],
  ['Random.integer', (bound) => new library.Random(1).integer(bound), [...notNumbers, 0, -1, 0.5, 2 ** 33]],
  [
    'Random.permutation',
    (count) => new library.Random(1).permutation(count),
    [...notNumbers, -1, 0.5, 2 ** 33],
  ],
  [
    'evaluation values',
    (values) => graph.evaluation(engine, { x: { shape: [3], values } }, ({ x }) => ({ outputs: { y: x } })),
    [[1], [1, 2, 3, 4], 'abc', [1, 2, '3'], [1, 2, undefined], null, new Array(3)],
  ],
  [
    'evaluation shape',
    (size) =>
      graph.evaluation(engine, { x: { shape: [size], values: [1] } }, ({ x }) => ({ outputs: { y: x } })),
    [...notNumbers, 0, -1, 0.5],
  ],
  ['zeros', (size) => graph.zeros([size]), [...notNumbers, 0, -1, 0.5, 2 ** 60, 1e308]],
  ['constant', (value) => graph.constant([value], [1]), notNumbers],
  [
    'an operand',
    (operand) => trace(({ x }) => ({ outputs: { y: graph.add(x, operand) } })),
    [Number.NaN, undefined, null, '3', {}],
  ],
  [
    'differentiate seeds',
    (seeds) =>
      trace(({ x }) => ({ outputs: { y: graph.differentiate([graph.sum(x)], [x], seeds)[0] ?? x } })),
    [[], [graph.zeros([2])], [graph.zeros([1]), graph.zeros([1])]],
  ],
  ...(['exponentialForget', 'cutRecurrent'] as const).map(
    (name) =>
      [
        `recurrent ${name}`,
        (wrong: never) => {
          const [wx, r] = [graph.zeros([1, 4, 32]), graph.zeros([2, 16, 4])];
          const options = {
            cell: 'slstm',
            heads: 2,
            exponentialForget: false,
            recurrentClip: 0,
            cutRecurrent: false,
          } as const;
          return graph.recurrent(wx, r, undefined, undefined, {}, { ...options, [name]: wrong });
        },
        [Number.NaN, undefined, null, 'no', 1],
      ] as const,
  ),
  [
    'shape of a state',
    (size) => {
      const build = (scope: nn.Scope) =>
        Object.assign(new library.XlstmLanguageModel(scope, config), { stateShapes: () => ({ x: [size] }) });
      return new library.Trainer(library.Model.create(engine, build, 1), { ...shape, carryState: true });
    },
    [...notNumbers, 0, -1, 0.5, 2 ** 60],
  ],
  [
    'a parameter declared twice',
    (name) =>
      library.Model.create(
        engine,
        (scope) => {
          for (let i = 0; i < 2; i++) scope.parameter(name, [2], nn.zerosInit);
          return { stateShapes: () => ({}) };
        },
        1,
      ),
    ['w'],
  ],
  [
    'writeSafetensors shape',
    (size) => library.writeSafetensors(new Map([['a', { shape: [size], data: new Float32Array(1) }]])),
    [...notNumbers, 0, 2, -1],
  ],
];

describe('wrong values at the doors of the library', () => {
  it.each(doors.map(([name, call, values]) => ({ name, call, values })))(
    '$name',
    async ({ name, call, values = notNumbers }) => {
      for (const value of values) {
        const { message } = await refusal(() => call(value as never)).catch((error: Error) => {
          throw new Error(`${name}: ${String(value)}: ${error.message}`);
        });
        expect(message).not.toBe('');
      }
    },
  );

  it('memory that the reference engine cannot get is said so', async () => {
    const huge = new graph.Region('huge');
    huge.add('x', [2 ** 40]);
    expect(await refusal(() => engine.allocate(huge))).toMatchObject({
      code: 'engine',
      message: expect.stringMatching(/^no memory for huge: [\d,]+ bytes were refused$/),
    });
  });
});

describe('a run', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xlstm-api-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const optimizer = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };
  const options: RunOptions = {
    steps: 2,
    batchSize: 1,
    length: 4,
    microBatches: 1,
    learningRate: 1e-3,
    warmupSteps: 1,
    finalFraction: 0.1,
    optimizer,
    clipNorm: 1,
    order: 'contiguous',
    seed: 1,
    evaluateEvery: 10,
    checkpointEvery: 10,
  };
  const texts = { train: new Int32Array(40), validation: new Int32Array(10) };

  // What cannot be read again from training.json could never be resumed.
  it.each([...Object.keys(options), ...Object.keys(optimizer)])(
    'refuses a wrong %s before it makes its folder',
    async (name) => {
      for (const wrong of [...notNumbers, -1, Number.POSITIVE_INFINITY]) {
        const parts = { model, tokenizer, ...texts, folder: join(folder, 'run'), source: {} };
        const changed = name in options ? { [name]: wrong } : { optimizer: { ...optimizer, [name]: wrong } };
        const run = () => runTraining({ ...parts, options: { ...options, ...changed } as RunOptions });
        expect(await refusal(run), String(wrong)).toMatchObject({
          code: 'usage',
          message: expect.stringContaining(name),
        });
      }
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it('refuses a line of metrics that it could not read again', async () => {
    const file = new MetricsFile(join(folder, 'metrics.jsonl'));
    for (const wrong of [{}, null, 3, { step: -1 }, { step: 1, losses: [1] }, { step: Number.NaN }])
      expect(await refusal(() => file.append(wrong as never))).toMatchObject({ code: 'usage' });
    file.append({ step: 1, loss: Number.NaN });
    file.close();
    expect(await refusal(() => file.append({ step: 2 }))).toMatchObject({ code: 'usage' });
  });
});
