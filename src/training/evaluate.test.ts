import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { fastEngines } from '../compute/engines/testing/engines.ts';
import { createModel } from '../models/create_model.ts';
import { languageModelConfig } from '../models/xlstm/config.ts';
import type { XlstmLanguageModel } from '../models/xlstm/language_model.ts';
import { inferenceProgram, stateRegion } from '../nn/inference_programs.ts';
import type { Model } from '../nn/model.ts';
import { Random } from '../random.ts';
import { Evaluator } from './evaluate.ts';

const VOCAB = 6;
const START = 2;
const config = languageModelConfig({
  vocabSize: VOCAB,
  embeddingDim: 16,
  numBlocks: 2,
  numHeads: 2,
  slstmAt: [1],
});
const random = new Random(9);
const stream = Array.from({ length: 38 }, () => random.integer(VOCAB));

/** Token by token, each lane by itself: −ln p(next) of all that came since the lane or the document began. */
async function plainLoop(
  model: Model,
  lanes: number,
  documentStart?: number,
): Promise<{ losses: number[]; loss: number }> {
  const { engine, network, memories } = model;
  const state = engine.allocate(stateRegion(network, 1));
  const program = inferenceProgram(network, state.region, 1, 1, 'last', engine.limits);
  const executable = engine.bind(program, [...memories, state]);
  const pairs = stream.slice(1).map((next, i) => [stream[i], next]);
  const laneLength = Math.ceil(pairs.length / lanes);
  const losses: number[] = [];
  for (const [i, [token, next]] of pairs.entries()) {
    if (i % laneLength === 0 || token === documentStart) state.clear();
    executable.io.write('tokens', [token]);
    await executable.run();
    const logits = Array.from(await executable.io.read('logits'));
    const largest = Math.max(...logits);
    const total = logits.reduce((part, logit) => part + Math.exp(logit - largest), 0);
    losses.push(Math.log(total) + largest - logits[next]);
  }
  return { losses, loss: losses.reduce((sum, each) => sum + each, 0) / losses.length };
}

const { cases } = await fastEngines();
const engines = [
  { name: 'reference', tolerance: 1e-10, open: async (): Promise<Engine> => createReferenceEngine() },
  ...cases.map(({ name, open }) => ({ name, tolerance: 1e-5, open: () => open(1) })),
];

describe.each(engines)('Evaluator.run against a plain loop: $name', ({ open, tolerance }) => {
  let model: Model<XlstmLanguageModel>;
  beforeAll(async () => {
    model = createModel(await open(), config, { seed: 4 });
    // Far from uniform, so that a mix-up of tokens, lanes or states shows.
    const tensors = await model.read();
    for (const name of ['lm_head.weight', 'token_embedding.weight']) {
      const tensor = tensors.get(name);
      if (tensor) tensors.set(name, { ...tensor, values: Array.from(tensor.values, (x) => 4 * x) });
    }
    model.write(tensors, 'the test');
  });
  afterAll(() => model.engine.close());

  // 37 predictions: lanes that divide them, do not, leave the last one short, or leave lanes with none at all.
  it.each([1, 2, 3, 5, 8, 16, 37, 40])('%d lanes', async (lanes) => {
    for (const documentStart of [undefined, START]) {
      const { loss, losses } = await plainLoop(model, lanes, documentStart);
      expect(Math.abs(loss - Math.log(VOCAB))).toBeGreaterThan(0.01);
      for (const length of [1, 4, 64]) {
        const found = await new Evaluator(model, { lanes, length, documentStart }).run(stream);
        expect(found.targets).toBe(losses.length);
        expect(Math.abs(found.loss - loss), `length ${length}`).toBeLessThan(tolerance * 10);
      }
    }
  });

  it.each([1, 3, 40])('log-probabilities of tokens, whose mean is the loss: %d lanes', async (lanes) => {
    const { losses } = await plainLoop(model, lanes, START);
    for (const length of [1, 4, 64]) {
      const evaluator = new Evaluator(model, { lanes, length, documentStart: START });
      const found = await evaluator.logProbabilities(stream);
      expect(found.length).toBe(losses.length);
      for (const [i, loss] of losses.entries())
        expect(Math.abs(found[i] + loss)).toBeLessThan(tolerance * 20);
      const mean = found.reduce((sum, each) => sum + each, 0) / found.length;
      expect(mean).toBeCloseTo(-(await evaluator.run(stream)).loss, 12);
    }
  });
});
