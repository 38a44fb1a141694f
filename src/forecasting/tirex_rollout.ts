import type { TirexNetworkRunner } from './tirex_network_runner.ts';
import { lastValues, type Values } from './tirex_scale.ts';

/** Windows that run together at least, where there are as many. */
const WINDOWS = 32;

/** Forecasts of a batch of series. */
export interface Rollout {
  /** [B, H, Q], in the units of the series. */
  readonly quantiles: Float64Array;
  /** What the network gave, in scaled units: [B, Q, n·P], H rounded up to whole patches. */
  readonly unscaled: Float64Array;
}

/**
 * Forecasts by TiRex: passes over the last C values, each giving `patchesPerPass` patches, which are missing values for the
 * next pass. No forecast is read by the model, so passes need not wait for each other. Scales are those of the values left in the window, so that
 * `patchesPerPass` changes all but the first patch.
 */
export async function rollOut(
  runner: TirexNetworkRunner,
  series: readonly Values[],
  horizon: number,
  patchesPerPass: number,
): Promise<Rollout> {
  const { patchSize, contextLength, quantiles: levels } = runner.config;
  const count = levels.length;
  const patches = Math.ceil(horizon / patchSize);
  const steps = patches * patchSize;
  const unscaled = new Float64Array(series.length * count * steps);
  const quantiles = new Float64Array(series.length * horizon * count);
  for (const passes of together(patches, patchesPerPass, series.length)) {
    const [{ taken }] = passes;
    const windows = passes.flatMap(({ done }) =>
      series.map((values) => lastFollowedByMissing(values, done * patchSize, contextLength)),
    );
    const { values, scales } = await runner.run(windows, { patches: taken });
    for (const [row, { mean, scale }] of scales.entries()) {
      const { done } = passes[Math.floor(row / series.length)];
      const b = row % series.length;
      for (let i = 0; i < taken; i++) {
        for (let q = 0; q < count; q++) {
          for (let p = 0; p < patchSize; p++) {
            const value = values[((row * taken + i) * count + q) * patchSize + p];
            const step = (done + i) * patchSize + p;
            unscaled[(b * count + q) * steps + step] = value;
            if (step < horizon) quantiles[(b * horizon + step) * count + q] = value * scale + mean;
          }
        }
      }
    }
  }
  return { quantiles, unscaled };
}

/** A pass of the rollout: so many patches after those that passes before it give. */
interface RolloutPass {
  readonly done: number;
  readonly taken: number;
}

/** The passes in groups that run as one batch: as many windows as a run takes, and all of a group take as many patches. */
function* together(
  patches: number,
  patchesPerPass: number,
  series: number,
): Generator<readonly [RolloutPass, ...RolloutPass[]]> {
  const most = Math.max(1, Math.floor(WINDOWS / series));
  for (let done = 0; done < patches; ) {
    const taken = Math.min(patchesPerPass, patches - done);
    const count = Math.min(most, Math.floor((patches - done) / taken));
    const [first, ...others] = Array.from({ length: count }, (_, i) => ({ done: done + i * taken, taken }));
    yield [first, ...others];
    done += count * taken;
  }
}

/** The last `length` of the values and `missing` behind them. */
function lastFollowedByMissing(values: Values, missing: number, length: number): Float64Array {
  const window = new Float64Array(length).fill(Number.NaN);
  const kept = Math.max(0, length - missing);
  window.set(lastValues(values, kept));
  return window;
}
