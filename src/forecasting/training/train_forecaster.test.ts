import { afterAll, expect, it } from 'vitest';
import { chooseEngine } from '../../compute/engines/choose.ts';
import { createModel } from '../../models/create_model.ts';
import type { TirexNetwork } from '../../models/tirex/network.ts';
import type { Model } from '../../nn/model.ts';
import { Forecaster } from '../forecaster.ts';
import { trainForecaster } from './train_forecaster.ts';

const { engine } = await chooseEngine('wasm', { threads: 1 });
afterAll(() => engine.close());

const small = (): Model<TirexNetwork> =>
  createModel(engine, {
    ...{ architecture: 'tirex', patchSize: 8, contextLength: 32, patchHiddenDim: 32, embeddingDim: 16 },
    ...{ numHeads: 2, numBlocks: 1, quantiles: [0.1, 0.5, 0.9] },
  }) as Model<TirexNetwork>;

it('learns the season of its own series, the same for the same seed', async () => {
  const form = [0, 3, 1, 5];
  const series = [Float64Array.from({ length: 200 }, (_, t) => form[t % 4])];
  const losses: number[][] = [];
  for (let run = 0; run < 2; run++) {
    const model = small();
    const found: number[] = [];
    const options = { series, steps: 220, batchSize: 16, learningRate: 1e-2, seed: 4 };
    expect(await trainForecaster(model, { ...options, onStep: ({ loss }) => found.push(loss) })).toBe(220);
    losses.push(found);
    using forecaster = new Forecaster(model);
    const { median } = await forecaster.forecast(series[0], { horizon: 4 });
    for (const [h, value] of median.entries()) expect(Math.abs(value - form[h])).toBeLessThan(1);
  }
  expect(losses[1]).toEqual(losses[0]);
  const mean = (part: number[]): number => part.reduce((sum, loss) => sum + loss, 0) / part.length;
  expect(mean(losses[0].slice(-20))).toBeLessThan(0.8 * mean(losses[0].slice(0, 20)));
});

it('ends after the step at work when it is asked to', async () => {
  using model = small();
  const stop = new AbortController();
  const steps = await trainForecaster(model, {
    ...{ steps: 100, batchSize: 2, signal: stop.signal },
    onStep: ({ step }) => step === 3 && stop.abort(),
  });
  expect(steps).toBe(3);
  await expect(trainForecaster(model, { steps: 0 })).rejects.toThrow(/steps: expected a whole number/);
  await expect(trainForecaster(model, { rate: 1 } as never)).rejects.toThrow(/there is no option "rate"/);
});
