import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { fastEngines } from '../compute/engines/testing/engines.ts';
import { evaluation } from '../compute/evaluation.ts';
import { differentiate } from '../compute/graph/differentiate.ts';
import { dropout, sum } from '../compute/graph/elementwise.ts';
import type { Tensor } from '../compute/graph/tensor.ts';
import { type ActivationName, activationNames, activations } from './activation.ts';

/** The error function, by its series: exact to rounding for the small arguments of this test. */
function erf(x: number): number {
  let [term, total] = [x, x];
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));
/** Klambauer et al. 2017, to ten digits. */
const [SCALE, ALPHA] = [1.0507009874, 1.6732632423];

const formulas: Readonly<Record<ActivationName, (x: number) => number>> = {
  gelu: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  relu: (x) => Math.max(0, x),
  'relu^2': (x) => (x > 0 ? x * x : 0),
  sigmoid: logistic,
  swish: (x) => x * logistic(x),
  selu: (x) => SCALE * (x > 0 ? x : ALPHA * Math.expm1(x)),
};

const POINTS = [-3, -1.5, -1, -0.25, -0.01, 0.01, 0.5, 1, 2.25, 3];
/** Where an exponential taken of the wrong branch would overflow. */
const FAR = [-200, -95, 95, 200];

const { cases } = await fastEngines();
const engines = [
  { name: 'reference', tolerance: 1e-8, open: async (): Promise<Engine> => createReferenceEngine() },
  ...cases.map(({ name, open }) => ({ name, tolerance: 1e-5, open: () => open(1) })),
];

describe.each(engines)('$name', ({ open, tolerance }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open();
  });
  afterAll(() => engine.close());

  const valuesAndSlopes = (name: ActivationName, points: readonly number[]) =>
    evaluation(engine, { x: { shape: [1, points.length], values: points } }, ({ x }) => {
      const y = activations[name](x);
      const [slope] = differentiate([sum(y)], [x]);
      return { outputs: { y, slope: slope as Tensor } };
    }).run();

  it.each(activationNames)('%s and its slope are those of the formula', async (name) => {
    const { y, slope } = await valuesAndSlopes(name, POINTS);
    const f = formulas[name];
    for (const [i, x] of POINTS.entries()) {
      expect(Math.abs(y[i] - f(x)), `${x}`).toBeLessThan(tolerance * (1 + Math.abs(f(x))));
      const difference = (f(x + 1e-5) - f(x - 1e-5)) / 2e-5;
      expect(Math.abs(slope[i] - difference), `slope at ${x}`).toBeLessThan(1e-5 + 10 * tolerance);
    }
  });

  it.each(activationNames)('%s stays finite far out, and so does its slope', async (name) => {
    const { y, slope } = await valuesAndSlopes(name, FAR);
    for (const [i, x] of FAR.entries()) {
      const expected = name === 'gelu' ? Math.max(0, x) : formulas[name](x);
      expect(Math.abs(y[i] - expected), `${x}`).toBeLessThan(1e-4 * (1 + Math.abs(expected)));
      expect(Number.isFinite(slope[i]), `slope at ${x}`).toBe(true);
    }
  });

  it.each([0.1, 0.5, 0.8])(
    'dropout of %d drops its share, scales the rest, and so does its gradient',
    async (rate) => {
      const size = 20_000;
      const values = Float64Array.from({ length: size }, (_, i) => 1 + (i % 7));
      const run = (seed: number, salt: number) =>
        evaluation(
          engine,
          { x: { shape: [100, 200], values }, seed: { shape: [1], values: [seed] } },
          (inputs) => {
            const y = dropout(inputs.x, rate, inputs.seed, salt);
            const [slope] = differentiate([sum(y)], [inputs.x]);
            return { outputs: { y, slope: slope as Tensor } };
          },
        ).run();
      const { y, slope } = await run(5, 3);
      const kept = 1 / (1 - rate);
      let dropped = 0;
      for (let i = 0; i < size; i++) {
        if (y[i] === 0) dropped++;
        const expected = y[i] === 0 ? 0 : kept;
        if (Math.abs(slope[i] - expected) > 1e-5 || Math.abs(y[i] - expected * values[i]) > 1e-4) {
          expect({ at: i, y: y[i], slope: slope[i] }).toEqual({ y: expected * values[i], slope: expected });
        }
      }
      expect(Math.abs(dropped / size - rate)).toBeLessThan(5 * Math.sqrt((rate * (1 - rate)) / size));
      expect((await run(5, 3)).y).toEqual(y);
      // Another step and another place in the model drop others: independent ones, so that they agree by chance alone.
      const chance = rate ** 2 + (1 - rate) ** 2;
      for (const other of [await run(6, 3), await run(5, 4)]) {
        const same = Array.from(y).reduce(
          (count, value, i) => count + ((value === 0) === (other.y[i] === 0) ? 1 : 0),
          0,
        );
        expect(Math.abs(same / size - chance)).toBeLessThan(5 * Math.sqrt((chance * (1 - chance)) / size));
      }
    },
  );
});
