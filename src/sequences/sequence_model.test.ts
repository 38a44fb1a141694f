import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadCheckpoint, saveCheckpoint } from '../checkpoints/checkpoint_folder.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { fastEngines } from '../compute/engines/testing/engines.ts';
import type { XlstmError } from '../errors.ts';
import { stackNames } from '../models/baselines/contestants.ts';
import { createModel } from '../models/create_model.ts';
import { Random } from '../random.ts';
import type { SequenceExample } from './examples.ts';
import { SequenceModel, type SequenceModelOptions } from './sequence_model.ts';

const engines: Engine[] = [];
let engine: Engine;
beforeAll(async () => {
  const { cases } = await fastEngines();
  for (const { open } of cases) engines.push(await open(1));
  engines.push(createReferenceEngine());
  engine = engines[engines.length - 2];
});
afterAll(() => Promise.all(engines.map((each) => each.close())));

const create = (options: SequenceModelOptions): Promise<SequenceModel> =>
  SequenceModel.create({ engine, dim: 16, heads: 2, ...options });

/** Three noisy waves far from 0 in different units; the target is what the first will be next. */
function sensors(count: number, length: number, seed: number): SequenceExample[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => {
    const phase = random.uniform() * 6;
    const at = (t: number): number => 1000 + 50 * Math.sin(phase + t / 3);
    return {
      inputs: Array.from({ length }, (_, t) => [at(t), 0.01 * Math.cos(phase + t / 3), random.normal()]),
      targets: Array.from({ length }, (_, t) => at(t + 1)),
    };
  });
}

/** Rows of different length; the class is that of the larger of two waves. */
function activities(count: number, seed: number): SequenceExample[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => {
    const fast = random.uniform() < 0.5;
    const length = 6 + random.integer(20);
    const phase = random.uniform() * 6;
    const inputs = Array.from(
      { length },
      (_, t) => Math.sin(phase + t * (fast ? 1.5 : 0.3)) + 0.1 * random.normal(),
    );
    return { inputs, targets: fast ? 'run' : 'walk' };
  });
}

const meanOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe('a model of sequences', () => {
  it('learns values in the units of the data, and streams what it predicts', async () => {
    using model = await create({ inputs: 3, outputs: 1 });
    const { epochs } = await model.fit(sensors(64, 24, 1), { epochs: 12, learningRate: 5e-3, batchSize: 16 });
    expect(epochs).toHaveLength(12);
    expect(epochs[11].loss).toBeLessThan(epochs[0].loss / 10);
    const [test] = sensors(1, 24, 9);
    const predictions = await model.predict(test.inputs);
    const errors = predictions.map(({ value }, t) => Math.abs(value - (test.targets as number[])[t]));
    expect(meanOf(errors.slice(4))).toBeLessThan(10);
    using stream = model.stream();
    for (const [t, { value }] of predictions.entries()) {
      const step = await stream.push((test.inputs as number[][])[t]);
      expect(Math.abs(step.value - value)).toBeLessThan(0.01);
    }
    expect(stream.steps).toBe(24);
  });

  it('learns quantiles, which ascend and hold their share of targets', async () => {
    const random = new Random(4);
    const draw = (count: number): SequenceExample[] =>
      Array.from({ length: count }, () => ({
        inputs: Array.from({ length: 20 }, () => random.normal()),
        targets: Array.from({ length: 20 }, () => 5 + 2 * random.normal()),
      }));
    using model = await create({
      inputs: 1,
      outputs: 1,
      quantiles: [0.1, 0.5, 0.9],
      blocks: 'lstm',
      depth: 1,
    });
    await model.fit(draw(100), { epochs: 8, learningRate: 1e-2 });
    const test = draw(50);
    const predictions = (await model.predictAll(test.map(({ inputs }) => inputs))).flat();
    const targets = test.flatMap((example) => example.targets as number[]);
    for (const { q10, q50, q90, value } of predictions) {
      expect(q10).toBeLessThanOrEqual(q50);
      expect(q50).toBeLessThanOrEqual(q90);
      expect(value).toBe(q50);
    }
    const inside = meanOf(targets.map((y, i) => (y > predictions[i].q10 && y < predictions[i].q90 ? 1 : 0)));
    expect(inside).toBeGreaterThan(0.7);
    expect(inside).toBeLessThan(0.9);
  });

  it.each(['last', 'mean'] as const)(
    'classifies sequences of different length, pool %s, in both directions',
    async (pool) => {
      using model = await create({
        inputs: 1,
        classes: ['walk', 'run'],
        pool,
        bidirectional: true,
        blocks: 'xLSTM[1:0]',
        depth: 1,
      });
      const { best } = await model.fit(activities(160, 1), {
        epochs: 12,
        learningRate: 1e-2,
        validation: activities(40, 2),
        patience: 12,
      });
      expect(best.validationLoss).toBeLessThan(0.35);
      const test = activities(60, 3);
      const results = await model.predictAll(test.map(({ inputs }) => inputs));
      const right = test.filter(({ targets }, i) => results[i][0].label === targets).length;
      expect(right / test.length).toBeGreaterThan(0.85);
      expect(Object.values(results[0][0].probabilities).reduce((a, b) => a + b)).toBeCloseTo(1, 6);
    },
  );

  it('ends as it was after its best epoch', async () => {
    using model = await create({ inputs: 3, outputs: 1, depth: 1, blocks: 'gru' });
    const validation = sensors(8, 12, 2);
    const losses: number[] = [];
    const { best, stoppedEarly, epochs } = await model.fit(sensors(8, 12, 1), {
      epochs: 200,
      learningRate: 0.05,
      validation,
      patience: 3,
      onEpoch: ({ validationLoss }) => losses.push(validationLoss as number),
    });
    expect(stoppedEarly).toBe(true);
    expect(best.validationLoss).toBe(Math.min(...losses));
    expect(epochs.length - best.epoch).toBe(3);
    const results = await model.predictAll(validation.map(({ inputs }) => inputs));
    const squares = validation.flatMap(({ targets }, i) =>
      results[i].map(({ value }, t) => (value - (targets as number[])[t]) ** 2),
    );
    // The loss is in units of the targets' variance in the examples.
    const { values } = (await model.model.read()).get('output_scaler.scale') as { values: ArrayLike<number> };
    expect(meanOf(squares) / values[0] ** 2).toBeCloseTo(best.validationLoss as number, 4);
  });

  it('has blocks by default for every depth', async () => {
    for (const [depth, blocks] of [
      [1, 'xLSTM[1:0]'],
      [2, 'xLSTM[1:1]'],
      [3, 'xLSTM[1:0]'],
    ] as const) {
      using model = await create({ inputs: 1, depth });
      expect(model.config.blocks).toBe(blocks);
    }
  });

  it('gives the vectors of its last layer where it has no head', async () => {
    using model = await create({ inputs: 2, pool: 'mean' });
    const [{ values }] = await model.predict([
      [1, 2],
      [3, 4],
    ]);
    expect(values).toHaveLength(16);
  });

  it('trains the same on every engine', async () => {
    const losses: number[] = [];
    for (const each of engines) {
      using model = await create({ engine: each, inputs: 3, outputs: 1, bidirectional: true });
      const examples = sensors(6, 8, 1);
      examples[2] = { inputs: (examples[2].inputs as number[][]).slice(0, 3), targets: [1000, null, 1010] };
      const { epochs } = await model.fit(examples, { epochs: 3, batchSize: 4 });
      losses.push(epochs[2].loss);
    }
    for (const loss of losses) expect(loss).toBeCloseTo(losses[losses.length - 1], 4);
  });

  it.each([...stackNames, 'xLSTM[1:1]', 'xLSTM[0:1]'])('is made of %s', async (blocks) => {
    using model = await create({ inputs: 3, outputs: 2, blocks });
    const examples = sensors(4, 10, 1).map(({ inputs, targets }) => ({
      inputs,
      targets: (targets as number[]).map((value) => [value, -value]),
    }));
    const { epochs } = await model.fit(examples, { epochs: 2 });
    expect(epochs[1].loss).toBeLessThan(epochs[0].loss);
    using stream = model.stream();
    const whole = await model.predict(examples[0].inputs);
    for (const [t, step] of (examples[0].inputs as number[][]).entries()) {
      const { values } = await stream.push(step);
      expect(values[0]).toBeCloseTo(whole[t].values[0], 1);
    }
  });
});

describe('files', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xlstm-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each<Partial<SequenceModelOptions>>([
    { outputs: 1, quantiles: [0.1, 0.5] },
    { classes: ['a', 'b'], pool: 'mean', bidirectional: true, blocks: 'gru' },
  ])('bring back the same model: %o', async (options) => {
    const path = join(folder, options.blocks ?? 'xlstm');
    using model = await create({ inputs: 3, ...options });
    const examples = sensors(4, 10, 1).map(({ inputs, targets }, i) => ({
      inputs,
      targets: options.classes ? options.classes[i % 2] : targets,
    }));
    await model.fit(examples, { epochs: 1 });
    await saveCheckpoint(path, { model: model.model });
    using loaded = SequenceModel.of((await loadCheckpoint(engine, path)).model);
    expect(loaded.config).toEqual(model.config);
    expect(await loaded.predict(examples[0].inputs)).toEqual(await model.predict(examples[0].inputs));
    // A second fit goes on in the units of the first.
    const scale = (await loaded.model.read()).get('input_scaler.scale');
    await loaded.fit(
      sensors(4, 10, 2).map(({ inputs }, i) => ({ ...examples[i], inputs })),
      { epochs: 1 },
    );
    expect((await loaded.model.read()).get('input_scaler.scale')).toEqual(scale);
  });

  it('of another architecture are refused', async () => {
    using text = createModel(engine, { vocabSize: 11, embeddingDim: 16 });
    expect(() => SequenceModel.of(text)).toThrow('a model of sequences of numbers');
  });
});

describe('what is wrong is said before anything is learned', () => {
  const good = {
    inputs: [
      [1, 2],
      [3, 4],
    ],
    targets: [1, 2],
  };
  it.each([
    [
      'a row of another width',
      [good, { inputs: [[1, 2], [3]], targets: [1, 2] }],
      'example 1: inputs, step 1: expected 2 numbers, found 1',
    ],
    [
      'text among numbers',
      [
        {
          inputs: [
            [1, 'x'],
            [3, 4],
          ],
          targets: [1, 2],
        },
      ],
      'example 0: inputs, step 0, column 1: expected a finite number, found "x"',
    ],
    [
      'NaN',
      [
        {
          inputs: [
            [1, 2],
            [3, Number.NaN],
          ],
          targets: [1, 2],
        },
      ],
      'step 1, column 1: expected a finite number',
    ],
    [
      'beyond float32',
      [
        {
          inputs: [
            [1, 2],
            [3, 1e300],
          ],
          targets: [1, 2],
        },
      ],
      'step 1, column 1: expected a finite number',
    ],
    ['no steps', [{ inputs: [], targets: [] }], 'at least one step'],
    [
      'too few targets',
      [
        {
          inputs: [
            [1, 2],
            [3, 4],
          ],
          targets: [1],
        },
      ],
      'one for each of the 2 steps, found 1',
    ],
    ['no examples', [], 'at least one example'],
    [
      'a constant target',
      [
        {
          inputs: [
            [1, 2],
            [3, 4],
          ],
          targets: [7, 7],
        },
      ],
      'all are 7',
    ],
    [
      'no targets',
      [
        {
          inputs: [
            [1, 2],
            [3, 4],
          ],
          targets: [null, null],
        },
      ],
      'every target is missing',
    ],
    ['no iterable', 5, 'expected an iterable'],
    ['no example', [null], 'example 0: expected { inputs, targets }'],
  ])('%s', async (_, examples, message) => {
    using model = await create({ inputs: 2, outputs: 1 });
    const before = await model.model.read();
    const error = (await model.fit(examples as never).catch((e: unknown) => e)) as XlstmError;
    expect(error.message).toContain(message);
    expect(error.code).toBe('data');
    for (const [name, { values }] of await model.model.read())
      expect(values).toEqual(before.get(name)?.values);
  });

  it('a class that is none of the model’s', async () => {
    using model = await create({ inputs: 1, classes: ['a', 'b'], pool: 'last' });
    await expect(model.fit([{ inputs: [1], targets: 'c' }])).rejects.toThrow(
      'expected one of "a", "b", found "c"',
    );
  });

  it.each([
    [{ inputs: 0 }, 'inputs'],
    [{ inputs: 1, output: 3 }, 'no option "output"'],
    [{ inputs: 1, outputs: 1, quantiles: [0.9, 0.1] }, 'quantiles'],
    [{ inputs: 1, quantiles: [0.5] }, 'quantiles'],
    [{ inputs: 1, classes: ['a'] }, 'classes'],
    [{ inputs: 1, outputs: 1, classes: ['a', 'b'] }, 'classes'],
    [{ inputs: 1, pool: 'first' }, 'pool'],
    [{ inputs: 1, blocks: 'lstmx' }, 'blocks'],
    [{ inputs: 1, dropout: 1 }, 'dropout'],
    [{ inputs: 1, heads: 3 }, 'divisor'],
    [{ inputs: 1, depth: 3, blocks: 'xLSTM[1:1]' }, 'groups of 2'],
  ])('%o', async (options, message) => {
    const error = (await create(options as never).catch((e: unknown) => e)) as XlstmError;
    expect(error.name).toBe('XlstmError');
    expect(error.message).toContain(message);
  });

  it('refuse widths that their heads do not fit, when they are made', async () => {
    const made = (blocks: string): Promise<SequenceModel> =>
      SequenceModel.create({ engine, inputs: 1, outputs: 1, blocks, dim: 30, heads: 4 });
    for (const blocks of ['transformer', 'gpt', 'retnet', 'linear-attention', 'xLSTM[0:1]']) {
      await expect(made(blocks), blocks).rejects.toThrow(/multiple|divi/);
    }
    (await made('mamba')).free();
  });

  it('streams of models that need a sequence’s end', async () => {
    using both = await create({ inputs: 1, outputs: 1, bidirectional: true });
    expect(() => both.stream()).toThrow('from their end');
    using mean = await create({ inputs: 1, outputs: 1, pool: 'mean' });
    expect(() => mean.stream()).toThrow('mean');
  });

  it('an abort ends training with its reason', async () => {
    using model = await create({ inputs: 3, outputs: 1 });
    const controller = new AbortController();
    const done = model.fit(sensors(8, 8, 1), {
      epochs: 1000,
      signal: controller.signal,
      onEpoch: ({ epoch }) => epoch === 2 && controller.abort(new Error('enough')),
    });
    await expect(done).rejects.toThrow('enough');
    expect(await model.predict(sensors(1, 4, 2)[0].inputs)).toHaveLength(4);
  });
});
