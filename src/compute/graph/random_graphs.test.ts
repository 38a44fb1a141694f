import fc from 'fast-check';
import { expect, it } from 'vitest';
import { relativeError } from '../../lab/verification/compare.ts';
import type { Engine } from '../engines/engine.ts';
import { createReferenceEngine } from '../engines/reference/engine.ts';
import { evaluation } from '../evaluation.ts';
import { differentiate, reachable } from './differentiate.ts';
import { describeAgreement } from './testing/agreement.ts';
import { operationNames, type Recipe, randomGraph } from './testing/random_graph.ts';

const TOLERANCE = 1e-4;
const GRAPHS = 60;
const SEED = 20240507;

const step = fc.tuple(fc.nat(1000), fc.nat(255), fc.nat(255), fc.nat(255));

const recipes: fc.Arbitrary<Recipe> = fc.record({
  batch: fc.integer({ min: 1, max: 3 }),
  length: fc.oneof(
    fc.integer({ min: 1, max: 9 }),
    fc.integer({ min: 10, max: 70 }),
    fc.integer({ min: 150, max: 260 }),
  ),
  width: fc.integer({ min: 1, max: 40 }),
  seed: fc.nat(),
  steps: fc.array(step, { minLength: 1, maxLength: 14 }),
});

type Results = Record<string, Float32Array | Float64Array>;

interface Plan {
  /** Every array of the graph is an output: nothing is fused over, computed again or kept in memory used before. */
  readonly everything: boolean;
}

/** The outputs of a graph and the gradients of its loss. */
async function compute(
  engine: Engine,
  recipe: Recipe,
  { everything }: Plan = { everything: false },
): Promise<Results> {
  const graph = randomGraph(recipe);
  let named: string[] = [];
  const { run } = evaluation(engine, graph.inputs, (leaves) => {
    const { outputs, loss } = graph.build(leaves);
    const gradients = differentiate(
      [loss],
      graph.differentiable.map((name) => leaves[name]),
    );
    graph.differentiable.forEach((name, i) => {
      const gradient = gradients[i];
      if (gradient) outputs[`d${name}`] = gradient;
    });
    named = Object.keys(outputs);
    if (!everything) return { outputs };
    const arrays = reachable(Object.values(outputs)).flatMap((node) => Object.values(node.outputs));
    return { outputs: { ...outputs, ...Object.fromEntries(arrays.map((t, i) => [`array${i}`, t])) } };
  });
  const results = await run();
  return Object.fromEntries(named.map((name) => [name, results[name]]));
}

const reference = createReferenceEngine();
function checkRandomGraphs(check: (recipe: Recipe) => Promise<void>, numRuns = GRAPHS): Promise<void> {
  return fc.assert(fc.asyncProperty(recipes, check), { seed: SEED, numRuns });
}

const expected = await describeAgreement<Recipe>({
  title: 'random graphs',
  compute: (engine, recipe) => compute(engine, recipe),
  tolerance: TOLERANCE,
  timeoutMs: 300_000,
  tests: (agree, every) => {
    it('give what the reference engine gives, forward and backward, on 1 and 3 threads', () =>
      checkRandomGraphs(agree, GRAPHS / every));
  },
});

it('fusing, computing again and sharing memory change nothing', { timeout: 300_000 }, () =>
  checkRandomGraphs(async (recipe) => {
    const planned = await expected(recipe);
    const plain = await compute(reference, recipe, { everything: true });
    for (const [name, values] of Object.entries(plain)) {
      expect(relativeError(planned[name], values), name).toBeLessThan(1e-12);
    }
  }),
);

it('random graphs use every operation', () => {
  const used = fc
    .sample(recipes, { seed: SEED, numRuns: GRAPHS })
    .flatMap((recipe) => randomGraph(recipe).used);
  expect([...new Set(used)].sort()).toEqual([...operationNames].sort());
});
