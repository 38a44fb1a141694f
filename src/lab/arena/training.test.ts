import { describe, expect, it } from 'vitest';
import { createWasmEngine } from '../../compute/engines/wasm/engine.ts';
import { contestants } from '../../models/baselines/contestants.ts';
import { sizedTo } from '../../models/baselines/sizing.ts';
import { Model } from '../../nn/model.ts';
import { Random } from '../../random.ts';
import { taskBatch } from '../tasks/batch.ts';
import { evenPairs } from '../tasks/regular.ts';
import { TaskEvaluator } from './task_score.ts';
import { train } from './training.ts';

const settings = {
  steps: 2000,
  batchSize: 32,
  learningRate: 1e-2,
  warmup: 0.02,
  finalFraction: 0.01,
  weightDecay: 0.1,
  clipNorm: 1,
  beta1: 0.9,
  beta2: 0.99,
  curriculum: 0,
};

describe('training of a cell', () => {
  it('ends early when the task is solved, also at lengths it has not seen', async () => {
    const engine = await createWasmEngine({ threads: 1 });
    const { config } = sizedTo('gru', 8000, { vocabSize: 3 });
    const model = Model.create(engine, (scope) => contestants.gru.build(scope, config), 1);
    const random = new Random(1);
    const evaluator = new TaskEvaluator(model, evenPairs, 16);
    const fractions: number[] = [];
    const result = await train(
      model,
      {
        settings,
        seed: 1,
        length: 40,
        seconds: 1e6,
        nextBatch: () => taskBatch(evenPairs, random, 32, 3, 40, 40),
        chanceLoss: Math.LN2,
        check: async () => (await evaluator.run(5, 128)).scaledAccuracy,
      },
      ({ fraction }) => fractions.push(fraction),
    );
    expect(result.diverged).toBeUndefined();
    expect(result.steps).toBeLessThan(1000);
    expect(result.curve.at(-1)?.step).toBe(result.steps);
    expect(result.curve.at(-1)?.loss).toBeLessThan(0.05);
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b));
    const { scaledAccuracy, accuracy } = await evaluator.run(6, 512);
    expect(scaledAccuracy).toBeGreaterThan(0.99);
    expect(accuracy.map(({ length }) => length)).toEqual([40, 64, 96, 128, 160, 192, 224, 256]);
    expect(accuracy.every(({ count }) => count === 64)).toBe(true);
    await engine.close();
  });

  it('goes on where the end of the learning rate loses what a check found', async () => {
    const engine = await createWasmEngine({ threads: 1 });
    const { config } = sizedTo('gru', 3000, { vocabSize: 3 });
    const model = Model.create(engine, (scope) => contestants.gru.build(scope, config), 1);
    const random = new Random(1);
    const answers = [1, 0.5, 1, 1];
    const asked: number[] = [];
    const { steps } = await train(
      model,
      {
        settings: { ...settings, steps: 400 },
        seed: 1,
        length: 40,
        seconds: 1e6,
        nextBatch: () => taskBatch(evenPairs, random, 32, 3, 40, 40),
        chanceLoss: Math.LN2,
        check: async () => {
          asked.push(answers[asked.length]);
          return asked[asked.length - 1];
        },
      },
      () => {},
    );
    expect(asked).toEqual(answers);
    expect(steps).toBeLessThan(400);
    await engine.close();
  });

  it('stops when its time is over', async () => {
    const engine = await createWasmEngine({ threads: 1 });
    const { config } = sizedTo('gru', 3000, { vocabSize: 3 });
    const model = Model.create(engine, (scope) => contestants.gru.build(scope, config), 1);
    const random = new Random(1);
    const result = await train(
      model,
      {
        settings: { ...settings, steps: 1e6 },
        seed: 1,
        length: 40,
        seconds: 0.3,
        nextBatch: () => taskBatch(evenPairs, random, 32, 3, 40, 40),
        chanceLoss: Math.LN2,
      },
      () => {},
    );
    expect(result.steps).toBeLessThan(1e5);
    expect(result.curve.length).toBeLessThan(160);
    expect(result.curve.length).toBeGreaterThan(0);
    expect(result.tokens).toBe(result.steps * 32 * 40);
    await engine.close();
  });
});
