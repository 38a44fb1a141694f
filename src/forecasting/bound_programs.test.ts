import { afterAll, beforeEach, expect, it } from 'vitest';
import type { Engine, Executable } from '../compute/engines/engine.ts';
import { createReferenceEngine } from '../compute/engines/reference/engine.ts';
import { readDesign } from '../models/registry.ts';
import type { TirexNetwork } from '../models/tirex/network.ts';
import { Model } from '../nn/model.ts';
import { Forecaster } from './forecaster.ts';
import { TirexNetworkRunner } from './tirex_network_runner.ts';

const plain = createReferenceEngine();
afterAll(() => plain.close());

const bound = new Set<Executable>();
beforeEach(() => bound.clear());

/** The reference engine, which tells what is bound and was not freed. */
const engine = new Proxy(plain, {
  get(target, name) {
    if (name !== 'bind') {
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    }
    return (...args: Parameters<Engine['bind']>) => {
      const executable = target.bind(...args);
      bound.add(executable);
      const { free } = executable;
      executable.free = () => {
        bound.delete(executable);
        free.call(executable);
      };
      return executable;
    };
  },
});

const SIZES = {
  ...{ patchSize: 4, contextLength: 16, patchHiddenDim: 8, embeddingDim: 8, numHeads: 2 },
  quantiles: [0.1, 0.5, 0.9],
};
const configs = {
  tirex: { architecture: 'tirex', ...SIZES, numBlocks: 1 },
  tirex2: {
    ...{ architecture: 'tirex2', ...SIZES, futureLength: 8, blocks: ['mlstm', 'slstm'] },
    ...{ outputHiddenFactor: 1, numSlstmHeads: 2, numVariateHeads: 2 },
  },
};
const series = (count: number): number[][] =>
  Array.from({ length: count }, (_, i) => Array.from({ length: 20 }, (_, t) => (t * (i + 3)) % 7));

it.each(Object.entries(configs))('forecasts of all kinds keep few Programs: %s', async (_, config) => {
  const forecaster = new Forecaster(Model.create(engine, readDesign(config, 'test'), 1));
  for (let round = 1; round <= 24; round++) {
    await forecaster.forecastAll(series((5 * round) % 37 || 1), { horizon: 1 + ((4 * round) % 61) });
    await forecaster.embed(series(round));
    expect(bound.size).toBeLessThanOrEqual(16);
  }
  forecaster.free();
  expect(bound.size).toBe(0);
});

it('so do passes of many lengths', async () => {
  const model = Model.create(engine, readDesign(configs.tirex, 'test'), 1) as unknown as Model<TirexNetwork>;
  const runner = new TirexNetworkRunner(model);
  for (let patches = 1; patches <= 24; patches++) await runner.run(series(1), { patches });
  expect(bound.size).toBe(16);
  runner.free();
  expect(bound.size).toBe(0);
  model.free();
});
