import type { TirexNetworkRunner } from './tirex_network_runner.ts';
import type { Values } from './tirex_scale.ts';

/** Forecasts of a batch of series. */
export interface Rollout {
  /** [B, H, Q], in the units of the series. */
  readonly quantiles: Float64Array;
  /** What the network gave, in scaled units: [B, Q, n·P], H rounded up to whole patches. */
  readonly unscaled: Float64Array;
}

/**
 * Forecasts by TiRex: passes over the last C values, each giving `patchesPerPass` patches, which are missing values for the
 * next pass. No forecast is read by the model. Scales are those of the values left in the window, so that
 * `patchesPerPass` changes all but the first patch.
 */
export async function rollOut(
  runner: TirexNetworkRunner,
  series: readonly Values[],
  horizon: number,
  patchesPerPass: number,
): Promise<Rollout> {
  const { patchSize, quantiles: levels } = runner.config;
  const count = levels.length;
  const patches = Math.ceil(horizon / patchSize);
  const steps = patches * patchSize;
  const unscaled = new Float64Array(series.length * count * steps);
  const quantiles = new Float64Array(series.length * horizon * count);
  for (let done = 0; done < patches; ) {
    const taken = Math.min(patchesPerPass, patches - done);
    const windows = series.map((values) => followedByMissing(values, done * patchSize));
    const { values, scales } = await runner.run(windows, { patches: taken });
    for (const [b, { mean, scale }] of scales.entries()) {
      for (let i = 0; i < taken; i++) {
        for (let q = 0; q < count; q++) {
          for (let p = 0; p < patchSize; p++) {
            const value = values[((b * taken + i) * count + q) * patchSize + p];
            const step = (done + i) * patchSize + p;
            unscaled[(b * count + q) * steps + step] = value;
            if (step < horizon) quantiles[(b * horizon + step) * count + q] = value * scale + mean;
          }
        }
      }
    }
    done += taken;
  }
  return { quantiles, unscaled };
}

function followedByMissing(values: Values, count: number): Values {
  if (count === 0) return values;
  const longer = new Float64Array(values.length + count).fill(Number.NaN);
  longer.set(Array.from(values));
  return longer;
}
