import type { TirexNetwork } from '../models/tirex/network.ts';
import type { Model } from '../nn/model.ts';
import type { HiddenReader } from './embedding.ts';
import type { LevelRows } from './levels.ts';
import type { NetworkForecaster } from './network_forecaster.ts';
import type { SeriesRows } from './series.ts';
import { TirexNetworkRunner } from './tirex_network_runner.ts';
import { rollOut } from './tirex_rollout.ts';

/** Patches that a pass gives: as the official package has it, each pass scales what is left in its window anew. */
const PATCHES_PER_PASS = 1;

/** Forecasts by TiRex: each target by itself. */
export class TirexForecaster implements NetworkForecaster {
  readonly takesCovariates = false;
  readonly ways = [];
  readonly levels: readonly number[];
  readonly contextLength: number;
  /** The window holds nothing but missing values after as many steps. */
  readonly testedHorizon: number;
  readonly #runner: TirexNetworkRunner;

  constructor(model: Model<TirexNetwork>) {
    const { quantiles, contextLength } = model.network.config;
    this.levels = quantiles;
    this.contextLength = contextLength;
    this.testedHorizon = contextLength;
    this.#runner = new TirexNetworkRunner(model);
  }

  get reader(): HiddenReader {
    return this.#runner;
  }

  async forecast(series: readonly SeriesRows[], horizon: number): Promise<LevelRows[][]> {
    const targets = series.flatMap((each) => each.targets);
    const count = this.levels.length;
    const { quantiles } = await rollOut(this.#runner, targets, horizon, PATCHES_PER_PASS);
    let at = 0;
    return series.map((each) =>
      each.targets.map(() => {
        const from = at++ * horizon;
        return this.levels.map((_, q) =>
          Float64Array.from({ length: horizon }, (_, h) => quantiles[(from + h) * count + q]),
        );
      }),
    );
  }

  free(): void {
    this.#runner.free();
  }
}
