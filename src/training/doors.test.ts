import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { fastEngines } from '../compute/engines/testing/engines.ts';
import { createModel } from '../models/create_model.ts';
import { languageModelConfig } from '../models/xlstm/config.ts';
import type { XlstmLanguageModel } from '../models/xlstm/language_model.ts';
import type { Model } from '../nn/model.ts';
import { Evaluator } from './evaluate.ts';
import type { TrainingBatch } from './objective.ts';
import { Trainer } from './trainer.ts';
import type { TrainerOptions } from './trainer_options.ts';

const VOCAB = 5;
const config = languageModelConfig({ vocabSize: VOCAB, embeddingDim: 8, numBlocks: 1, numHeads: 2 });
const shape = { batchSize: 2, length: 4 };
const good: Required<TrainingBatch> = {
  tokens: [0, 1, 2, 3, 1, 2, 3, 4],
  targets: [1, 2, 3, 4, 2, 3, 4, -1],
  reset: [1, 0, 0, 0, 1, 0, 0, 0],
  continues: true,
};
const changed = (values: ArrayLike<number>, at: number, value: unknown): number[] =>
  Object.assign(Array.from(values), { [at]: value });

const { cases } = await fastEngines();
const engines = [
  { name: 'reference', open: async (): Promise<Engine> => createReferenceEngine() },
  ...cases.map(({ name, open }) => ({ name, open: () => open(1) })),
];

const ID = 'a whole number from 0 to 4';
const wrongBatches: readonly (readonly [what: string, batch: object | null, message: string])[] = [
  ...[5, 50256, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '3', undefined].map(
    (id) =>
      [
        `token ${id}`,
        { ...good, tokens: changed(good.tokens, 6, id) },
        `tokens: position 6: expected ${ID}, found ${typeof id === 'string' ? `"${id}"` : id}`,
      ] as const,
  ),
  ...[5, 65, 1.5, -0.5, Number.NaN, Number.NEGATIVE_INFINITY].map(
    (id) =>
      [
        `target ${id}`,
        { ...good, targets: changed(good.targets, 2, id) },
        `targets: position 2: expected ${ID}, or one below 0 for none, found ${id}`,
      ] as const,
  ),
  ...[2, -1, 0.5, Number.NaN].map(
    (flag) =>
      [
        `reset ${flag}`,
        { ...good, reset: changed(good.reset, 0, flag) },
        `reset: position 0: expected 0 or 1, found ${flag}`,
      ] as const,
  ),
  ...(['tokens', 'targets', 'reset'] as const).flatMap((name) =>
    [0, 4, 7, 9].map(
      (count) =>
        [
          `${count} ${name}`,
          { ...good, [name]: new Array<number>(count).fill(0) },
          `${name} must hold batchSize × length = 8 numbers, found ${count}`,
        ] as const,
    ),
  ),
  ['no tokens', { targets: good.targets }, 'tokens: expected an array of numbers, found undefined'],
  ['no targets', { tokens: good.tokens }, 'targets: expected an array of numbers, found undefined'],
  ['a text', { ...good, tokens: '01231234' }, 'tokens: expected an array of numbers, found "01231234"'],
  ['nothing', null, 'batch: expected arrays by name, found null'],
];

describe.each(engines)('what may not reach the engine: $name', ({ open }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open();
  });
  afterAll(() => engine.close());

  const newModel = (): Model<XlstmLanguageModel> => createModel(engine, config, { seed: 1 });

  it('refuses batches before anything runs, and goes on as if they had not been', async () => {
    const [trainer, untouched] = [newModel(), newModel()].map((model) => new Trainer(model, shape));
    const evaluator = new Evaluator(trainer.model, { lanes: 2, length: 4 });
    await trainer.step(good, 0.01);
    for (const [what, batch, message] of wrongBatches) {
      const wrong = batch as TrainingBatch;
      const error = { code: 'usage', message };
      await expect(trainer.step(wrong, 0.01), what).rejects.toMatchObject(error);
      await expect(trainer.step([good, wrong], 0.01), what).rejects.toMatchObject(error);
      await expect(trainer.computeGradients(wrong), what).rejects.toMatchObject(error);
      await expect(evaluator.runBatches([wrong]), what).rejects.toMatchObject(error);
    }
    await untouched.step(good, 0.01);
    expect(await trainer.step(good, 0.01)).toEqual(await untouched.step(good, 0.01));
    expect(await trainer.model.read()).toEqual(await untouched.model.read());
  });

  it.each([5, -1, 0.5, Number.NaN])('refuses a stream with %s', async (id) => {
    const evaluator = new Evaluator(newModel(), { lanes: 1, length: 4 });
    await expect(evaluator.run([0, 1, id, 2])).rejects.toMatchObject({
      code: 'usage',
      message: `stream: position 2: expected ${ID}, found ${id}`,
    });
  });

  it('takes a missing reset as zeros, also after a batch that had resets', async () => {
    const without = { tokens: good.tokens, targets: good.targets };
    const zeros = { ...without, reset: new Float32Array(8) };
    const carried = { ...shape, carryState: true };
    const [one, two] = [newModel(), newModel()].map((model) => new Trainer(model, carried));
    for (const trainer of [one, two]) await trainer.step(good, 0.01);
    expect(await one.step(without, 0.01)).toEqual(await two.step(zeros, 0.01));
    expect(await one.step(good, 0.01)).not.toEqual(await two.step(without, 0.01));
  });

  it('lets one call work at a time: each is right or refused', async () => {
    const [trainer, calm] = [newModel(), newModel()].map((model) => new Trainer(model, shape));
    const other = { ...good, tokens: Array.from(good.tokens).reverse() };
    const first = trainer.step(good, 0.01);
    const refused = {
      code: 'usage',
      message: expect.stringContaining('the trainer is still at work for step'),
    };
    await expect(trainer.step(other, 0.01)).rejects.toMatchObject(refused);
    await expect(trainer.computeGradients(other)).rejects.toMatchObject(refused);
    expect(await first).toEqual(await calm.step(good, 0.01));
    const second = trainer.step(other, 0.01);
    await expect(trainer.save()).rejects.toMatchObject(refused);
    expect(() => trainer.clearState()).toThrow(expect.objectContaining(refused));
    expect(() => trainer.restore(new Map(), 'nowhere')).toThrow(expect.objectContaining(refused));
    expect(await second).toEqual(await calm.step(other, 0.01));

    const evaluator = new Evaluator(calm.model, { lanes: 1, length: 4 });
    const expected = await evaluator.run([0, 1, 2, 3]);
    const both = [evaluator.run([0, 1, 2, 3]), evaluator.run([4, 4, 4, 4])];
    await expect(both[1]).rejects.toMatchObject({
      code: 'usage',
      message: 'run: the evaluator is still at work for run',
    });
    expect(await both[0]).toEqual(expected);
  });
});

describe('options', () => {
  const engine = createReferenceEngine();
  const model = createModel(engine, config, { seed: 1 });
  const notNumbers = [Number.NaN, Number.POSITIVE_INFINITY, null, '1', -1];

  it('has defaults for all else', async () => {
    const { loss, gradientNorm } = await new Trainer(model, shape).step(good);
    expect(loss).toBeCloseTo(Math.log(VOCAB), 0);
    expect(gradientNorm).toBeGreaterThan(0);
    for (const { values } of (await model.read()).values())
      expect(Array.from(values).every(Number.isFinite)).toBe(true);
  });

  const wrongOptions: readonly (readonly [string, unknown])[] = [
    ...['batchSize', 'length'].flatMap((name) =>
      [...notNumbers, 0, 1.5].map((value) => [name, value] as const),
    ),
    ...[...notNumbers, 0.5].map((value) => ['seed', value] as const),
    ...[...notNumbers, 1e39].map((value) => ['clipNorm', value] as const),
    ['carryState', 1],
    ['schedule', 0.1],
    ['optimizer', 3],
    ['learningRate', 0.1],
    ['beta1', 0.9],
  ];
  it.each(wrongOptions)('Trainer refuses %s: %s', (name, value) => {
    const options = { ...shape, [name]: value } as unknown as TrainerOptions;
    expect(() => new Trainer(model, options)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(name) }),
    );
  });

  const wrongOptimizers: readonly (readonly [string, unknown])[] = [
    ...['beta1', 'beta2', 'epsilon', 'weightDecay'].flatMap((name) =>
      notNumbers.map((value) => [name, value] as const),
    ),
    // What float32 makes of them is out of range.
    ['beta1', 0.999999999],
    ['epsilon', 1e-50],
    ['epsilon', 1e39],
    ['weightDecay', 1e39],
    ['beta1', 1],
    ['beta2', 1],
    ['epsilon', 0],
    ['momentum', 0.9],
  ];
  it.each(wrongOptimizers)('Trainer refuses optimizer.%s: %s', (name, value) => {
    const options = { ...shape, optimizer: { [name]: value } } as unknown as TrainerOptions;
    expect(() => new Trainer(model, options)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(name) }),
    );
  });

  it.each([...notNumbers, 1e39])('step and applyUpdate refuse a learning rate of %s', async (rate) => {
    const trainer = new Trainer(model, shape);
    const error = {
      code: 'usage',
      message: expect.stringMatching(/^learningRate: expected a finite number/),
    };
    await expect(trainer.step(good, rate as number)).rejects.toMatchObject(error);
    await trainer.computeGradients(good);
    await expect(trainer.applyUpdate(rate as number)).rejects.toMatchObject(error);
    const scheduled = new Trainer(model, { ...shape, schedule: () => rate as number });
    await expect(scheduled.step(good)).rejects.toMatchObject(error);
  });

  it.each([
    ['lanes', 0],
    ['lanes', undefined],
    ['length', 2.5],
    ['documentStart', -1],
    ['lane', 2],
  ])('Evaluator refuses %s: %s', (name, value) => {
    const options = { lanes: 1, length: 4, [name]: value as number };
    expect(() => new Evaluator(model, options)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(name) }),
    );
  });

  it('says what there is too little of', async () => {
    const evaluator = new Evaluator(model, { lanes: 2, length: 4 });
    for (const stream of [[], [1]])
      await expect(evaluator.run(stream)).rejects.toMatchObject({ code: 'data' });
    const masked = { ...good, targets: new Array<number>(8).fill(-1) };
    await expect(evaluator.runBatches([masked])).rejects.toMatchObject({ code: 'data' });
    const trainer = new Trainer(model, shape);
    await expect(trainer.step(masked)).rejects.toMatchObject({ code: 'data' });
    await expect(trainer.step([])).rejects.toMatchObject({ code: 'usage' });
    await expect(trainer.applyUpdate()).rejects.toMatchObject({ code: 'usage' });
  });
});
