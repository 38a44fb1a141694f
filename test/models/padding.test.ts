import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/compute/engines/engine.ts';
import { createReferenceEngine } from '../../src/compute/engines/reference/engine.ts';
import { fastEngines } from '../../src/compute/engines/testing/engines.ts';
import { evaluation } from '../../src/compute/evaluation.ts';
import { differentiate } from '../../src/compute/graph/differentiate.ts';
import { multiply, sum } from '../../src/compute/graph/elementwise.ts';
import type { Tensor } from '../../src/compute/graph/tensor.ts';
import {
  type ContestantName,
  contestantNames,
  contestants,
  type Stack,
} from '../../src/models/baselines/contestants.ts';
import { type Network, Pass, type SequenceLayer } from '../../src/nn/layer.ts';
import { Model } from '../../src/nn/model.ts';
import { lastStep, meanOfSteps, reverseSteps, stepMask } from '../../src/nn/padding.ts';
import { Random } from '../../src/random.ts';

const DIM = 8;
const LENGTH = 19;
const lengths = [LENGTH, 7, 1, 12];
const BATCH = lengths.length;

const engines: Engine[] = [];
beforeAll(async () => {
  engines.push(createReferenceEngine());
  for (const { open } of (await fastEngines()).cases) engines.push(await open(2));
});
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

const draw = (count: number, seed: number): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => random.normal());
};

/** Row `row` of values [B, T, D], its steps alone. */
const stepsOf = (values: ArrayLike<number>, row: number, dim = DIM): number[] =>
  Array.from({ length: lengths[row] * dim }, (_, i) => values[row * LENGTH * dim + i]);

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

class Alone implements Network {
  readonly layer: SequenceLayer;
  readonly dim: number;

  constructor({ layer, dim }: Stack) {
    this.layer = layer;
    this.dim = dim;
  }

  stateShapes(batch: number) {
    return this.layer.stateShapes(batch);
  }
}

/** Outputs, last states, and the gradients of the input for a weighted sum over steps. */
async function run(
  model: Model<Alone>,
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  batch: number,
  rows?: number[],
) {
  const { layer, dim } = model.network;
  const length = x.length / batch / DIM;
  const shape = [batch, length, DIM];
  const inputs = {
    x: { shape, values: x },
    w: { shape: [batch, length, dim], values: w },
    ...(rows && { lengths: { shape: [batch, 1], values: rows } }),
  };
  return evaluation(
    model.engine,
    inputs,
    (given: Record<string, Tensor>) => {
      const { y, state } = layer.forward(given.x, new Pass({ lengths: given.lengths }), {});
      const mask = given.lengths && stepMask(given.lengths, length);
      const loss = sum(multiply(mask ? multiply(y, mask) : y, given.w));
      const [dx] = differentiate([loss], [given.x]) as [Tensor];
      return { outputs: { y, dx, ...state } };
    },
    model.memories,
  ).run();
}

const holdsStates: readonly ContestantName[] = [
  'elman',
  'gru',
  'lstm',
  'lstm-block',
  'xlstm[1:0]',
  'xlstm[0:1]',
  'xlstm[1:1]',
];

describe.each(contestantNames)('%s', (name) => {
  it('gives the steps of padded rows what it gives unpadded ones, states and gradients too', async () => {
    for (const engine of engines) {
      using model = Model.create(
        engine,
        (scope) =>
          new Alone(
            contestants[name].stack(scope, {
              embeddingDim: DIM,
              numBlocks: contestants[name].numBlocks,
              numHeads: 2,
              contextLength: 32,
              positions: 32,
              expansion: 1,
            }),
          ),
        5,
      );
      const { dim } = model.network;
      const x = draw(BATCH * LENGTH * DIM, 1);
      const w = draw(BATCH * LENGTH * dim, 2);
      const padded = await run(model, x, w, BATCH, lengths);
      for (const [row, length] of lengths.entries()) {
        const alone = await run(model, stepsOf(x, row), stepsOf(w, row, dim), 1);
        expect(largestDifference(stepsOf(padded.y, row, dim), alone.y)).toBeLessThan(2e-6);
        expect(largestDifference(stepsOf(padded.dx, row), alone.dx)).toBeLessThan(2e-5);
        // No gradient reaches padding.
        const behind = padded.dx.subarray((row * LENGTH + length) * DIM, (row + 1) * LENGTH * DIM);
        expect(behind.every((value) => value === 0)).toBe(true);
        if (!holdsStates.includes(name)) continue;
        for (const state of Object.keys(model.network.stateShapes(1))) {
          const size = alone[state].length;
          const last = padded[state].subarray(row * size, (row + 1) * size);
          expect(largestDifference(last, alone[state]), state).toBeLessThan(2e-6);
        }
      }
    }
  });
});

describe('steps of padded rows', () => {
  const x = draw(BATCH * LENGTH * DIM, 3);
  const shape = [BATCH, LENGTH, DIM];
  const rows = { shape: [BATCH, 1], values: lengths };

  it.each([true, false])('are reversed, and their last and mean are taken (lengths: %s)', async (some) => {
    for (const engine of engines) {
      const found = await evaluation(engine, { x: { shape, values: x }, rows }, (given) => {
        const own = some ? given.rows : undefined;
        return {
          outputs: {
            reversed: reverseSteps(given.x, own),
            last: lastStep(given.x, own),
            mean: meanOfSteps(given.x, own),
            unused: given.rows,
          },
        };
      }).run();
      for (let b = 0; b < BATCH; b++) {
        const length = some ? lengths[b] : LENGTH;
        for (let d = 0; d < DIM; d++) {
          const at = (t: number): number => x[(b * LENGTH + t) * DIM + d];
          let total = 0;
          for (let t = 0; t < LENGTH; t++) {
            if (t < length) total += at(t);
            const expected = at(t < length ? length - 1 - t : t);
            expect(found.reversed[(b * LENGTH + t) * DIM + d]).toBeCloseTo(expected, 6);
          }
          expect(found.last[b * DIM + d]).toBeCloseTo(at(length - 1), 6);
          expect(found.mean[b * DIM + d]).toBeCloseTo(total / length, 5);
        }
      }
    }
  });
});
