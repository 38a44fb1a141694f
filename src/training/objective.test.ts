import { describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { multiply, square, subtract } from '../compute/graph/elementwise.ts';
import type { Tensor } from '../compute/graph/tensor.ts';
import { normalInit, zerosInit } from '../nn/init.ts';
import type { Network } from '../nn/layer.ts';
import { Linear } from '../nn/linear.ts';
import { Model } from '../nn/model.ts';
import type { Scope } from '../nn/parameters.ts';
import { Random } from '../random.ts';
import { Evaluator } from './evaluate.ts';
import type { Objective, SequenceBatch } from './objective.ts';
import { Trainer } from './trainer.ts';

const FEATURES = 3;

/** y = w · x + b at each position: a network without tokens and without a state. */
class Line implements Network {
  readonly #linear: Linear;

  constructor(scope: Scope) {
    this.#linear = new Linear(scope, FEATURES, 1, { weight: normalInit(0.1), bias: zerosInit });
  }

  stateShapes(): Record<string, never> {
    return {};
  }

  forward(x: Tensor): Tensor {
    return this.#linear.forward(x);
  }
}

interface RegressionBatch extends SequenceBatch {
  readonly features: ArrayLike<number>;
  readonly targets: ArrayLike<number>;
  /** 1 where the target counts. */
  readonly mask: ArrayLike<number>;
}

/** Mean squared error on features of real values. */
const regression: Objective<Line, RegressionBatch> = {
  inputs: (_, { batchSize, length }) => ({
    features: { shape: [batchSize, length, FEATURES], range: 'finite' },
    targets: { shape: [batchSize, length, 1], range: 'finite' },
    mask: { shape: [batchSize, length, 1], range: 'flags' },
  }),
  count: ({ mask }) => Array.from(mask).reduce((sum, one) => sum + one, 0),
  losses: (network, { features, targets, mask }, _, state) => ({
    losses: multiply(mask, square(subtract(network.forward(features), targets))),
    state,
  }),
};

const SHAPE = { batchSize: 2, length: 4 };

function batch(random: Random): RegressionBatch {
  const features = Array.from({ length: 8 * FEATURES }, () => random.normal());
  const targets = Array.from({ length: 8 }, (_, i) => {
    const [a, b, c] = features.slice(i * FEATURES);
    return 2 * a - b + 0.5 * c + 1;
  });
  const mask = [1, 1, 1, 0, 1, 1, 1, 0];
  // What does not count may be anything.
  return { features, targets: targets.map((y, i) => (mask[i] ? y : 1e3)), mask };
}

describe('an objective of one’s own', () => {
  const model = Model.create(createReferenceEngine(), (scope) => new Line(scope), 1);
  const trainer = new Trainer(model, { ...SHAPE, objective: regression, optimizer: { weightDecay: 0 } });
  const evaluator = new Evaluator(model, { lanes: 2, length: 4, objective: regression });

  it('trains and measures: the mean is over what counts', async () => {
    const random = new Random(2);
    const first = batch(random);
    const before = await model.read();
    const [w] = [before.get('weight')?.values as ArrayLike<number>];
    const errors = Array.from(first.targets, (y, i) => {
      const x = Array.from(first.features).slice(i * FEATURES, (i + 1) * FEATURES);
      return first.mask[i] * (x.reduce((sum, value, j) => sum + w[j] * value, 0) - y) ** 2;
    });
    const expected = errors.reduce((a, b) => a + b) / 6;
    expect((await evaluator.runBatches([first])).loss).toBeCloseTo(expected, 12);
    expect((await trainer.step(first, 0)).loss).toBeCloseTo(expected, 12);
    for (let i = 0; i < 300; i++) await trainer.step([batch(random), batch(random)], 0.02);
    const { loss, targets } = await evaluator.runBatches([batch(random), batch(random)]);
    expect(targets).toBe(12);
    expect(loss).toBeLessThan(1e-3);
    const found = (await model.read()).get('weight')?.values as ArrayLike<number>;
    [2, -1, 0.5].forEach((value, i) => {
      expect(found[i]).toBeCloseTo(value, 1);
    });
  });

  it.each([
    ['features', [1, 2], 'features must hold batchSize × length × 3 = 24 numbers, found 2'],
    [
      'features',
      new Array<number>(24).fill(Number.NaN),
      'features: position 0: expected a finite number, found NaN',
    ],
    ['mask', new Array<number>(8).fill(0.5), 'mask: position 0: expected 0 or 1, found 0.5'],
    ['targets', undefined, 'targets: expected an array of numbers, found undefined'],
  ])('checks its inputs: %s', async (name, values, message) => {
    const wrong = { ...batch(new Random(1)), [name]: values } as RegressionBatch;
    await expect(trainer.step(wrong, 0)).rejects.toMatchObject({ code: 'usage', message });
    await expect(evaluator.runBatches([wrong])).rejects.toMatchObject({ code: 'usage', message });
  });

  it('is needed where the network is no language model, and must depend on parameters', async () => {
    expect(() => new Trainer(model as unknown as Model, SHAPE)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringMatching(/^objective: /) }),
    );
    const constant: typeof regression = {
      ...regression,
      losses: (_, { targets }, __, state) => ({ losses: square(targets), state }),
    };
    const lost = new Trainer(model, { ...SHAPE, objective: constant });
    await expect(lost.step(batch(new Random(1)))).rejects.toMatchObject({
      code: 'usage',
      message: 'the loss depends on no parameter of the model',
    });
  });
});
