import { env, InferenceSession, Tensor } from 'onnxruntime-web';
import { afterAll, describe, expect, it } from 'vitest';
import { ReferenceEngine } from '../compute/engines/reference/engine.ts';
import { add, dropout } from '../compute/graph/elementwise.ts';
import { embedding } from '../compute/graph/embedding.ts';
import { linearScan } from '../compute/graph/linear_scan.ts';
import { defineOp } from '../compute/graph/op.ts';
import { recurrent } from '../compute/graph/recurrent.ts';
import { createNode, leaf, type Tensor as Symbolic } from '../compute/graph/tensor.ts';
import { concat, constant, reshape } from '../compute/graph/views.ts';
import { Region, sizeOf } from '../compute/program/region.ts';
import { stackNames } from '../models/baselines/contestants.ts';
import { createModel } from '../models/create_model.ts';
import { architectureNames } from '../models/registry.ts';
import { sequenceArchitecture } from '../models/sequence/architecture.ts';
import type { SequenceOptions } from '../models/sequence/config.ts';
import type { LanguageModelOptions } from '../models/xlstm/config.ts';
import { normalInit } from '../nn/init.ts';
import type { LanguageModel, LayerState, Network } from '../nn/layer.ts';
import { Model } from '../nn/model.ts';
import type { Scope } from '../nn/parameters.ts';
import { SequenceRunner } from '../nn/sequence_runner.ts';
import { Random } from '../random.ts';
import type { Prediction } from '../sequences/prediction.ts';
import { SequenceModel } from '../sequences/sequence_model.ts';
import { exportOnnx } from './export_onnx.ts';

env.wasm.numThreads = 1;
env.logLevel = 'error';
const engine = new ReferenceEngine();
const STEPS = 24;
const TOLERANCE = 1e-4;
const sessions: InferenceSession[] = [];

afterAll(async () => {
  for (const session of sessions) await session.release();
});

async function load(bytes: Uint8Array): Promise<InferenceSession> {
  const session = await InferenceSession.create(bytes);
  sessions.push(session);
  return session;
}

const between = (random: Random, count: number, low: number, high: number): number[] =>
  Array.from({ length: count }, () => low + (high - low) * random.uniform());

/** Moves every parameter away from its initial value: no bias is 0, no scale 1. */
async function disturb(model: Model<Network>): Promise<void> {
  const random = new Random(7);
  const moved = new Map(
    [...(await model.read())].map(([name, { shape, values }]) => {
      const noise = between(random, values.length, -0.3, 0.3);
      return [name, { shape, values: Array.from(values, (value, i) => value + noise[i]) }];
    }),
  );
  model.write(moved, 'noise');
}

async function sequenceModel(options: Partial<SequenceOptions>): Promise<SequenceModel> {
  const model = await SequenceModel.create({ inputs: 3, outputs: 2, dim: 8, heads: 2, engine, ...options });
  await disturb(model.model);
  return model;
}

const floats = (values: ArrayLike<number>, shape: readonly number[]): Tensor =>
  new Tensor('float32', Float32Array.from(values), shape);

/** Zeros for the inputs of a step form that begin with `state.` */
function zeroStates(session: InferenceSession, network: Network): Record<string, Tensor> {
  const states = Object.entries(network.stateShapes(1)).map(([name, shape]) => {
    expect(session.inputNames).toContain(`state.${name}`);
    return [`state.${name}`, floats(new Array(sizeOf(shape)).fill(0), shape)];
  });
  return Object.fromEntries(states);
}

/** Runs a step form over inputs, its states carried on: the results of all steps and the last states. */
async function runSteps(
  session: InferenceSession,
  states: Record<string, Tensor>,
  steps: readonly Record<string, Tensor>[],
  output: string,
): Promise<{ results: number[][]; states: Record<string, Tensor> }> {
  const results: number[][] = [];
  let carried = states;
  for (const step of steps) {
    const after = await session.run({ ...step, ...carried });
    results.push(Array.from(after[output].data as Float32Array));
    carried = Object.fromEntries(
      Object.keys(carried).map((name) => [name, after[name.replace('state.', 'next.')] as Tensor]),
    );
  }
  return { results, states: carried };
}

function expectClose(found: readonly (readonly number[])[], expected: readonly (readonly number[])[]): void {
  expect(found.map((row) => row.length)).toEqual(expected.map((row) => row.length));
  const differences = found.flatMap((row, t) => row.map((value, i) => Math.abs(value - expected[t][i])));
  expect(differences.every((difference) => difference < TOLERANCE)).toBe(true);
  // Something has to come out that depends on the step.
  expect(new Set(expected.flat().map((value) => value.toFixed(3))).size).toBeGreaterThan(1);
}

/** The numbers of `y` for a prediction: quantiles lie with the first one's outputs first. */
function numbersOf({ values, quantiles }: Prediction): number[] {
  if (quantiles.length === 0) return [...values];
  return quantiles[0].flatMap((_, q) => quantiles.map((output) => output[q]));
}

const rowsOf = (data: ArrayLike<number>, width: number): number[][] =>
  Array.from({ length: data.length / width }, (_, t) =>
    Array.from({ length: width }, (_, i) => data[t * width + i]),
  );

async function checkSequenceModel(options: Partial<SequenceOptions>): Promise<void> {
  using model = await sequenceModel(options);
  const random = new Random(3);
  const x = Array.from({ length: STEPS }, () => between(random, 3, -2, 2));
  const predicted = (await model.predict(x)).map(numbersOf);

  const sequence = await load(await exportOnnx(model, { form: 'sequence' }));
  expect(sequence.inputNames).toEqual(['x']);
  const whole = await sequence.run({ x: floats(x.flat(), [1, STEPS, 3]) });
  expectClose(rowsOf(whole.y.data as Float32Array, predicted[0].length), predicted);
  if (options.pool === 'mean') return;

  using stream = model.stream();
  const streamed: number[][] = [];
  for (const row of x) streamed.push(numbersOf(await stream.push(row)));
  const step = await load(await exportOnnx(model));
  const inputs = x.map((row) => ({ x: floats(row, [1, 1, 3]) }));
  const run = await runSteps(step, zeroStates(step, model.model.network), inputs, 'y');
  expectClose(run.results, streamed);
  for (const [name, { data }] of Object.entries(run.states)) {
    const other = whole[name.replace('state.', 'next.')].data as Float32Array;
    expect(Array.from(data as Float32Array, (v, i) => Math.abs(v - other[i]) < TOLERANCE)).not.toContain(
      false,
    );
  }
}

describe('a sequence model in ONNX', () => {
  it.each(['xLSTM[1:1]', 'xLSTM[1:0]', 'xLSTM[0:1]', ...stackNames])(
    '%s says what ours says, step by step and at once',
    (blocks) => checkSequenceModel({ blocks, window: 16 }),
  );

  it.each<[string, Partial<SequenceOptions>]>([
    ['ascending quantiles', { outputs: 2, quantiles: [0.1, 0.5, 0.9] }],
    ['probabilities', { outputs: 0, classes: ['a', 'b', 'c'] }],
    ['features', { outputs: 0 }],
    ['the last step', { pool: 'last', blocks: 'lstm' }],
    ['the mean of the steps', { pool: 'mean', blocks: 'gru' }],
    ['probabilities of the mean', { pool: 'mean', outputs: 0, classes: ['a', 'b'] }],
  ])('gives %s', (_, options) => checkSequenceModel(options));

  it('takes several sequences at once', async () => {
    using model = await sequenceModel({});
    const random = new Random(5);
    const rows = [0, 1].map(() => Array.from({ length: STEPS }, () => between(random, 3, -2, 2)));
    const session = await load(await exportOnnx(model, { form: 'sequence', batch: 2 }));
    const { y } = await session.run({ x: floats(rows.flat(2), [2, STEPS, 3]) });
    const expected = (await model.predictAll(rows)).flat().map(numbersOf);
    expectClose(rowsOf(y.data as Float32Array, 2), expected);
  });
});

async function checkLanguageModel(model: Model<LanguageModel>): Promise<void> {
  await disturb(model);
  const random = new Random(11);
  const tokens = between(random, STEPS, 0, model.network.vocabSize).map(Math.floor);
  const runner = SequenceRunner.of(model, 1, 'all');
  const { io, run } = runner.executable(STEPS);
  io.write('tokens', tokens);
  await run();
  const expected = rowsOf(await io.read('logits'), model.network.vocabSize);
  runner.free();

  const ids = (numbers: readonly number[]): Tensor =>
    new Tensor('int64', BigInt64Array.from(numbers, BigInt), [1, numbers.length]);
  const sequence = await load(await exportOnnx(model, { form: 'sequence' }));
  const { logits } = await sequence.run({ tokens: ids(tokens) });
  expectClose(rowsOf(logits.data as Float32Array, model.network.vocabSize), expected);

  const step = await load(await exportOnnx(model));
  const inputs = tokens.map((token) => ({ tokens: ids([token]) }));
  const { results } = await runSteps(step, zeroStates(step, model.network), inputs, 'logits');
  expectClose(results, expected);
}

describe('a language model in ONNX', () => {
  it.each(
    architectureNames().filter((name) => ![sequenceArchitecture.name, 'tirex', 'tirex2'].includes(name)),
  )('%s says what ours says', async (architecture) => {
    const config = {
      architecture,
      vocabSize: 11,
      embeddingDim: 8,
      numBlocks: 2,
      numHeads: 2,
      ...(architecture !== 'xlstm-large' && { contextLength: 16 }),
      ...(architecture === 'xlstm' && { slstmAt: [1], tieWeights: true }),
    };
    using model = createModel(engine, config) as Model<LanguageModel>;
    await checkLanguageModel(model);
  });
});

it.each<[string, Partial<LanguageModelOptions>]>([
  ['an exponential forget gate', { slstm: { forgetGate: 'exponential' } }],
  ['the LSTM cell in its blocks', { slstm: { function: 'lstm' } }],
  ['no convolution', { slstm: { conv1dKernelSize: 0 } }],
  ['wide blocks and biases', { mlstm: { qkvProjBlocksize: 16 }, bias: true }],
])('an xLSTM with %s says what ours says', async (_, options) => {
  const sizes = { vocabSize: 11, embeddingDim: 8, numBlocks: 2, contextLength: 16, slstmAt: [1] };
  using model = createModel(engine, { ...sizes, ...options });
  await checkLanguageModel(model);
});

it('an sLSTM whose first input gate is all but closed says what ours says', async () => {
  using model = Model.create(
    engine,
    (scope): LanguageModel => {
      const table = scope.child('own').parameter('weight', [11, 11], normalInit(1));
      const r = scope.parameter('r', [1, 44, 11], normalInit(0.3));
      const cell = {
        cell: 'slstm',
        heads: 1,
        exponentialForget: false,
        recurrentClip: 0,
        cutRecurrent: false,
      } as const;
      return {
        vocabSize: 11,
        stateShapes: (batch) => Object.fromEntries(['y', 'c', 'n', 'm'].map((name) => [name, [batch, 11]])),
        forward(tokens, _, state) {
          const x = embedding(tokens, table);
          const made = recurrent(concat([add(x, -150), x, x, x]), r, undefined, undefined, state, cell);
          return { y: made.y, state: made.state as LayerState };
        },
        logits: (y) => y,
      };
    },
    1,
  );
  await checkLanguageModel(model);
});

/** A network of a user's own: what `logits` makes of one-hot vectors. */
const ownModel = (logits: (x: Symbolic, scope: Scope) => Symbolic): Model<LanguageModel> =>
  Model.create(
    engine,
    (scope) => {
      const table = scope.child('own').parameter('weight', [4, 4], normalInit(1));
      return {
        vocabSize: 4,
        stateShapes: () => ({}),
        forward: (tokens) => ({ y: embedding(tokens, table), state: {} }),
        logits: (y) => logits(y, scope),
      };
    },
    1,
  );

const usage = (message: RegExp) =>
  expect.objectContaining({ code: 'usage', message: expect.stringMatching(message) });

describe('exportOnnx refuses', () => {
  const ownOp = defineOp({ name: 'mySort', inputs: ['x'], outputs: ['y'] });

  it.each<[string, (x: Symbolic) => Symbolic, RegExp]>([
    [
      'an operation that it does not know',
      (x) => createNode(ownOp, { x }, { y: x.shape }).y,
      /operation mySort in the layer that has "own.weight" has no translation.*not known/,
    ],
    ['random numbers', (x) => dropout(x, 0.5, constant([1]), 0), /elementwise.* random numbers/],
    [
      'several steps at once',
      (x) => linearScan(reshape(x, [1, 2, 2]), reshape(x, [1, 2, 2])).lastState,
      /linearScan in the layer that has "own.weight" .* 2 steps/,
    ],
    [
      'memory that is none of the model',
      (x) => add(x, leaf(new Region('elsewhere'), 'mine', [4])),
      /reads "mine", which is neither/,
    ],
  ])('%s', async (_, logits, message) => {
    using model = ownModel(logits);
    await expect(exportOnnx(model)).rejects.toEqual(usage(message));
  });

  it.each<[Partial<SequenceOptions>, RegExp]>([
    [{ bidirectional: true }, /"backward"/],
    [{ pool: 'mean' }, /mean over all steps/],
  ])('a step of %o', async (options, message) => {
    using model = await sequenceModel(options);
    await expect(exportOnnx(model)).rejects.toEqual(usage(message));
  });

  it('what is no sequence model and no language model', async () => {
    using model = Model.create(engine, () => ({ stateShapes: () => ({}) }), 1);
    await expect(exportOnnx(model)).rejects.toEqual(usage(/found another network/));
  });

  it('options that are not right', async () => {
    using model = await sequenceModel({});
    await expect(exportOnnx(model, { form: 'steps' as never })).rejects.toEqual(usage(/form/));
    await expect(exportOnnx(model, { batch: 0 })).rejects.toEqual(usage(/batch/));
    await expect(exportOnnx(model, { opset: 9 } as never)).rejects.toEqual(usage(/opset/));
  });
});
