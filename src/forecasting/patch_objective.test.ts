import { afterAll, describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { createModel } from '../models/create_model.ts';
import type { Model } from '../nn/model.ts';
import { Random } from '../random.ts';
import { Evaluator } from '../training/evaluate.ts';
import { Trainer } from '../training/trainer.ts';
import { type PatchNetwork, patchObjective } from './patch_objective.ts';

const engine = createReferenceEngine();
afterAll(() => engine.close());

const sizes = {
  patchSize: 2,
  contextLength: 8,
  quantiles: [0.2, 0.5, 0.9],
  patchHiddenDim: 5,
  embeddingDim: 8,
  numHeads: 2,
};
const tirex = { architecture: 'tirex', ...sizes, numBlocks: 2 };
const tirex2 = {
  ...{ architecture: 'tirex2', ...sizes, futureLength: 4, blocks: ['mlstm', 'slstm'] },
  ...{ outputHiddenFactor: 1, numSlstmHeads: 2, numVariateHeads: 2 },
};

const LENGTH = 3;

describe('gradients', () => {
  it.each([
    ['of TiRex', tirex, 2, undefined],
    ['of TiRex-2, one variate', tirex2, 2, undefined],
    ['of TiRex-2, targets alone', tirex2, 2, { targets: 2, past: 0, known: 0 }],
    ['of TiRex-2, all kinds of variates', tirex2, 8, { targets: 2, past: 1, known: 1 }],
    [
      'of TiRex-2 as it may be',
      { ...tirex2, qkNorm: false, outNormEps: null },
      3,
      { targets: 1, past: 1, known: 1 },
    ],
  ] as const)('%s are those of central differences', async (_, config, rows, layout) => {
    const model = createModel(engine, config as { architecture: 'tirex' }) as unknown as Model<PatchNetwork>;
    const random = new Random(3);
    const parameters = new Map(
      [...(await model.read())].map(([name, { shape, values }]) => [
        name,
        { shape, values: Float64Array.from(values, (value) => value / 2 + 0.3 * random.normal()) },
      ]),
    );
    const trainer = new Trainer(model, {
      batchSize: rows,
      length: LENGTH,
      objective: patchObjective(layout),
    });
    const numbers = (count: number): Float64Array =>
      Float64Array.from({ length: count }, () => random.normal());
    const batch = {
      tokens: numbers(rows * LENGTH * 4),
      next: numbers(rows * LENGTH * 2),
      counts: Float64Array.from({ length: rows * LENGTH * 2 }, (_, i) => Number(i % 5 > 0)),
    };
    const evaluator = new Evaluator(model, {
      ...{ lanes: rows, length: LENGTH, objective: patchObjective(layout), carryState: false },
    });
    const lossAt = async (): Promise<number> => {
      model.write(parameters, 'test');
      return (await evaluator.runBatches([batch])).loss;
    };
    const loss = await lossAt();
    expect((await trainer.computeGradients(batch)).loss).toBeCloseTo(loss, 12);
    const gradients = new Map<string, ArrayLike<number>>();
    for (const memory of trainer.gradients) {
      for (const { name } of memory.region.entries) gradients.set(name, await memory.read(name));
    }
    const step = 1e-5;
    let largest = 0;
    for (const [name, { values }] of parameters) {
      if (!gradients.has(name)) throw new Error(`no gradient of ${name}`);
      const chosen = [
        0,
        values.length - 1,
        ...Array.from({ length: 1 }, () => random.integer(values.length)),
      ];
      for (const i of chosen) {
        const before = values[i];
        values[i] = before + step;
        const above = await lossAt();
        values[i] = before - step;
        const below = await lossAt();
        values[i] = before;
        const gradient = (gradients.get(name) as ArrayLike<number>)[i];
        largest = Math.max(largest, Math.abs(gradient));
        expect(gradient, `${name} ${i}`).toBeCloseTo((above - below) / (2 * step), 7);
      }
    }
    expect(largest).toBeGreaterThan(1e-3);
    evaluator.free();
    trainer.free();
    model.free();
  });
});

it('trains: quantiles of a wave come nearer', async () => {
  const model = createModel(engine, tirex2 as { architecture: 'tirex2' }) as unknown as Model<PatchNetwork>;
  const trainer = new Trainer(model, { batchSize: 2, length: LENGTH, objective: patchObjective() });
  const value = (row: number, t: number): number => Math.sin(t + row);
  const rows = [0, 1];
  const patches = rows.flatMap((row) =>
    Array.from({ length: LENGTH }, (_, j) => [value(row, 2 * j), value(row, 2 * j + 1)]),
  );
  const next = rows.flatMap((row) => Array.from({ length: 2 * LENGTH }, (_, t) => value(row, t + 2)));
  const batch = {
    tokens: patches.flatMap((patch) => [...patch, 1, 1]),
    next,
    counts: next.map(() => 1),
  };
  const losses: number[] = [];
  for (let i = 0; i < 80; i++) losses.push((await trainer.step(batch, 1e-2)).loss);
  expect(losses[79]).toBeLessThan(losses[0] / 3);
  trainer.free();
  model.free();
});
