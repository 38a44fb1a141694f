import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../compute/engines/engine.ts';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { fastEngines } from '../../compute/engines/testing/engines.ts';
import { relativeError } from '../../lab/verification/compare.ts';
import { stateRegion } from '../../nn/inference_programs.ts';
import { Model } from '../../nn/model.ts';
import { Random } from '../../random.ts';
import { languageModelObjective as objective } from '../../training/objective.ts';
import { evaluationProgram } from '../../training/step_programs.ts';
import { type ContestantConfig, type ContestantName, contestantNames, contestants } from './contestants.ts';
import { countParameters, sizedTo } from './sizing.ts';

const VOCAB = 11;
const BATCH = 2;
const LENGTH = 21;

const configOf = (name: ContestantName): ContestantConfig => ({
  ...contestants[name],
  vocabSize: VOCAB,
  embeddingDim: 16,
  numHeads: 2,
  contextLength: 32,
  positions: 32,
  expansion: 1,
});

const modelOf = (engine: Engine, name: ContestantName): Model =>
  Model.create(engine, (scope) => contestants[name].build(scope, configOf(name)), 3);

interface Text {
  readonly tokens: number[];
  readonly targets: number[];
  readonly reset: number[];
}

function text(seed: number): Text {
  const random = new Random(seed);
  const draw = (): number[] => Array.from({ length: BATCH * LENGTH }, () => random.integer(VOCAB));
  const reset = new Array<number>(BATCH * LENGTH).fill(0);
  reset[LENGTH + 8] = 1;
  return { tokens: draw(), targets: draw(), reset };
}

/** Losses [B, T] of a text that is read `size` tokens at a time. */
async function losses(model: Model, { tokens, targets, reset }: Text, size: number): Promise<Float64Array> {
  const state = model.engine.allocate(stateRegion(model.network, BATCH));
  const result = new Float64Array(BATCH * LENGTH);
  for (let from = 0; from < LENGTH; from += size) {
    const length = Math.min(size, LENGTH - from);
    const { engine, network, memories } = model;
    const shape = { batchSize: BATCH, length };
    const program = evaluationProgram({
      network,
      objective,
      shape,
      state: state.region,
      limits: engine.limits,
    });
    const { io, run } = engine.bind(program, [...memories, state]);
    const part = (values: number[]): number[] =>
      [0, 1].flatMap((b) => values.slice(b * LENGTH + from, b * LENGTH + from + length));
    io.write('tokens', part(tokens));
    io.write('targets', part(targets));
    io.write('reset', part(reset));
    await run();
    const loss = await io.read('losses');
    for (let b = 0; b < BATCH; b++) {
      result.set(loss.subarray(b * length, (b + 1) * length), b * LENGTH + from);
    }
  }
  return result;
}

const reference = createReferenceEngine();

describe.each(contestantNames)('%s', (name) => {
  it('reads token by token what it reads at once, and forgets at a reset', async () => {
    const model = modelOf(reference, name);
    const given = text(1);
    const whole = await losses(model, given, LENGTH);
    expect(relativeError(await losses(model, given, 1), whole)).toBeLessThan(1e-9);
    expect(relativeError(await losses(model, given, 6), whole)).toBeLessThan(1e-9);
    // The second sequence with another beginning: the same from the reset on, another before it.
    const other = { ...given, tokens: [...given.tokens] };
    for (let t = LENGTH; t < LENGTH + 8; t++) other.tokens[t] = (given.tokens[t] + 1 + (t % 3)) % VOCAB;
    const changed = await losses(model, other, LENGTH);
    expect(changed.slice(LENGTH + 8)).toEqual(whole.slice(LENGTH + 8));
    expect(relativeError(changed.slice(LENGTH, LENGTH + 8), whole.slice(LENGTH, LENGTH + 8))).toBeGreaterThan(
      1e-4,
    );
  });

  it('meets a budget to within 3 %', () => {
    const cases =
      name === 'xlstm[7:1]'
        ? ([
            [100_000, 64],
            [400_000, 256],
          ] as const)
        : ([
            [20_000, 8],
            [50_000, 8],
            [200_000, 256],
            [1_000_000, 256],
          ] as const);
    for (const [budget, vocabSize] of cases) {
      const { config, parameters } = sizedTo(name, budget, { vocabSize });
      expect(Math.abs(parameters / budget - 1)).toBeLessThanOrEqual(0.03);
      expect(countParameters(name, config)).toBe(parameters);
      expect(config.expansion).toBeGreaterThan(0.65);
      expect(config.expansion).toBeLessThan(1.5);
    }
  });
});

it('says what the nearest size is when none meets the budget', () => {
  expect(() => sizedTo('xlstm[7:1]', 4176, { vocabSize: 256 })).toThrow(
    expect.objectContaining({ code: 'config', message: expect.stringMatching(/nearest has \d+/) }),
  );
});

it.each([0, 3, 900, 1e9, 1e300, Number.POSITIVE_INFINITY, Number.NaN])(
  'names the range of sizes where the budget is %d, at once',
  (budget) => {
    expect(() => sizedTo('transformer', budget, { vocabSize: 256 })).toThrow(
      expect.objectContaining({
        code: 'config',
        message: expect.stringMatching(/^transformer: no size has .* go from \d+ to 100000000$/),
      }),
    );
  },
);

describe('a window that the text outgrows', () => {
  it('slides: a Transformer sees the last tokens, and goes on', async () => {
    const build = (contextLength: number) =>
      Model.create(
        reference,
        (scope) =>
          contestants.transformer.build(scope, { ...configOf('transformer'), numBlocks: 1, contextLength }),
        3,
      );
    const given = text(2);
    const narrow = await losses(build(5), given, LENGTH);
    expect(relativeError(await losses(build(5), given, 1), narrow)).toBeLessThan(1e-9);
    const other = { ...given, tokens: [...given.tokens] };
    other.tokens[0] = (given.tokens[0] + 1) % VOCAB;
    const changed = await losses(build(5), other, LENGTH);
    expect(changed.slice(5, LENGTH)).toEqual(narrow.slice(5, LENGTH));
    expect(changed[4]).not.toBe(narrow[4]);
  });
});

const { cases, missing } = await fastEngines();

describe.each(cases)('contestants on $name', { timeout: 120_000 }, ({ open }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open(2);
  });
  afterAll(() => engine.close());

  it.each(contestantNames)(
    '%s gives what the reference engine gives, at once and token by token',
    async (name) => {
      const given = text(4);
      const right = await losses(modelOf(reference, name), given, LENGTH);
      const model = modelOf(engine, name);
      expect(relativeError(await losses(model, given, LENGTH), right)).toBeLessThan(1e-4);
      expect(relativeError(await losses(model, given, 1), right)).toBeLessThan(1e-4);
    },
  );
});
if (missing) it.skip(`contestants on native: not run, ${missing}`, () => {});
