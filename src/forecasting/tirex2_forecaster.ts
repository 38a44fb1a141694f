import { XlstmError } from '../errors.ts';
import type { Tirex2Network } from '../models/tirex2/network.ts';
import type { Model } from '../nn/model.ts';
import { quote } from '../quote.ts';
import type { HiddenReader } from './embedding.ts';
import type { LevelRows } from './levels.ts';
import type { NetworkForecaster, NetworkForecastOptions } from './network_forecaster.ts';
import type { SeriesRows } from './series.ts';
import { Tirex2NetworkRunner } from './tirex2_network_runner.ts';
import { hiddenOf, runPass } from './tirex2_passes.ts';
import { differencesOf, hasTrend, lastObserved, summed, widened } from './tirex2_trend.ts';

/** Forecasts by TiRex-2: the targets of a series together, with covariates. */
export class Tirex2Forecaster implements NetworkForecaster {
  readonly takesCovariates = true;
  readonly ways = ['signFlip', 'differencing', 'padContext'] as const;
  readonly levels: readonly number[];
  readonly contextLength: number;
  readonly testedHorizon: number;
  readonly #runner: Tirex2NetworkRunner;

  constructor(model: Model<Tirex2Network>) {
    const { quantiles, contextLength, futureLength } = model.network.config;
    this.levels = quantiles;
    this.contextLength = contextLength;
    this.testedHorizon = futureLength;
    this.#runner = new Tirex2NetworkRunner(model);
  }

  /** The variates of a sample are read together. */
  get reader(): HiddenReader {
    const { patchSize } = this.#runner.config;
    return { patchSize, hidden: (samples) => hiddenOf(this.#runner, samples) };
  }

  async forecast(
    series: readonly SeriesRows[],
    horizon: number,
    options: NetworkForecastOptions,
  ): Promise<LevelRows[][]> {
    const { config } = this.#runner;
    const { signFlip = config.signFlip, differencing = config.differencing, padContext = true } = options;
    const forecast = (of: readonly SeriesRows[]): Promise<LevelRows[][]> =>
      this.#once(of, horizon, padContext, differencing);
    if (!signFlip) return forecast(series);
    const partners = partnersOf(this.levels);
    const found = await forecast(series);
    const flipped = await forecast(series.map(negated));
    return found.map((targets, i) =>
      targets.map((rows, v) =>
        rows.map((row, q) => row.map((value, h) => (value - flipped[i][v][partners[q]][h]) / 2)),
      ),
    );
  }

  free(): void {
    this.#runner.free();
  }

  async #once(
    series: readonly SeriesRows[],
    horizon: number,
    padContext: boolean,
    differencing: boolean,
  ): Promise<LevelRows[][]> {
    const trends = series.map(({ targets }) => targets.map((row) => differencing && hasTrend(row)));
    const read = series.map((each, i) => ({
      ...each,
      targets: each.targets.map((row, v) => (trends[i][v] ? differencesOf(row) : row)),
    }));
    const raw = await runPass(this.#runner, read, { horizon, padContext });
    return raw.map((targets, i) =>
      targets.map((rows, v) =>
        trends[i][v] ? summed(rows, lastObserved(series[i].targets[v])) : widened(rows),
      ),
    );
  }
}

const negated = ({ targets, past, known }: SeriesRows): SeriesRows => {
  const negate = (row: Float64Array): Float64Array => row.map((value) => -value);
  return { targets: targets.map(negate), past: past.map(negate), known: known.map(negate) };
};

/** The place of 1 − q for each level q. */
function partnersOf(levels: readonly number[]): readonly number[] {
  return levels.map((level) => {
    const at = levels.findIndex((other) => Math.abs(1 - level - other) < 1e-6);
    if (at >= 0) return at;
    throw new XlstmError(
      'usage',
      `signFlip: expected quantiles of which each has its partner, found ${quote(levels)}, without ${1 - level}`,
      'Forecast without signFlip.',
    );
  });
}
