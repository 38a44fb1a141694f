import { checkNames, checkOption, checkWhole } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import { TirexNetwork } from '../models/tirex/network.ts';
import { Tirex2Network } from '../models/tirex2/network.ts';
import { modelFingerprint } from '../nn/fingerprint.ts';
import { stateRegion } from '../nn/inference_programs.ts';
import type { Network } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { OneCall } from '../nn/one_call.ts';
import { embeddingsOf } from './embedding.ts';
import type { Forecast, TargetForecast } from './forecast.ts';
import { ForecastStream, type StreamOptions } from './forecast_stream.ts';
import { atLevels, checkLevels, type LevelRows } from './levels.ts';
import type { NetworkForecaster, NetworkForecastOptions } from './network_forecaster.ts';
import { type PatchModel, patchModel } from './patch_model.ts';
import {
  asSeries,
  type ForecastSeries,
  rowsOf,
  type SeriesRows,
  sampleRows,
  UNNAMED_TARGET,
  type VariateValues,
} from './series.ts';
import { StreamBatcher } from './stream_batcher.ts';
import { decodeStream, patchesSaid, type SavedStreamOptions, type StreamSizes } from './stream_file.ts';
import { TirexForecaster } from './tirex_forecaster.ts';
import { Tirex2Forecaster } from './tirex2_forecaster.ts';

/** What is asked of a forecast. */
export interface ForecastOptions extends NetworkForecastOptions {
  /** Steps to forecast. */
  readonly horizon: number;
  /**
   * The quantiles, ascending numbers between 0 and 1. Those that the model does not give are between two that it does by a
   * straight line, or beyond the outermost ones as these. Default: those that it gives.
   */
  readonly levels?: readonly number[];
}

/** What is said of one series beside its values. */
export interface OneForecastOptions extends ForecastOptions {
  /** As in ForecastSeries. */
  readonly past?: Readonly<Record<string, VariateValues>>;
  /** As in ForecastSeries. */
  readonly known?: Readonly<Record<string, VariateValues>>;
}

/** A model that forecasts series of numbers which it has never seen. */
export class Forecaster implements Disposable {
  /** The network with its numbers. */
  readonly model: Model<Network>;
  readonly #network: NetworkForecaster;
  readonly #calls: OneCall;
  #streams: StreamBatcher | undefined;

  /** Around a model, which is freed with it. Throws a usage error for one that does not forecast. */
  constructor(model: Model<Network>) {
    this.model = model;
    this.#network = networkForecaster(model);
    this.#calls = new OneCall('the forecaster', model.use);
  }

  /** Whether the model forecasts series of numbers. */
  static fits(model: Model<Network>): boolean {
    return model.network instanceof TirexNetwork || model.network instanceof Tirex2Network;
  }

  /** The quantiles that the model itself gives, ascending. */
  get levels(): readonly number[] {
    return this.#network.levels;
  }

  /** Steps at the end of a series that the model looks at. */
  get contextLength(): number {
    return this.#network.contextLength;
  }

  /** Steps that the model was made to forecast at most; a longer horizon is forecast with a warning. */
  get testedHorizon(): number {
    return this.#network.testedHorizon;
  }

  /** Whether covariates, and other targets of the same series, tell the model something. */
  get takesCovariates(): boolean {
    return this.#network.takesCovariates;
  }

  /**
   * What comes after a series: a row of numbers, or one with covariates, times, or several targets that are forecast
   * together. Rejects with a usage error for an option, and with a data error that names variate and step for values that are not
   * right: infinite ones, fewer than three that are not missing, a variate that ends too early.
   */
  async forecast(series: VariateValues | ForecastSeries, options: OneForecastOptions): Promise<Forecast> {
    checkNames('forecast', options, [...this.#names, 'past', 'known']);
    const { past, known, ...others } = options;
    const given = asSeries(series, 'series');
    for (const [name, value] of Object.entries({ past, known })) {
      const twice = value !== undefined && given[name as 'past' | 'known'] !== undefined;
      checkOption(!twice, name, 'none beside those of the series', value);
    }
    const whole = { ...given, past: past ?? given.past, known: known ?? given.known };
    const [forecast] = await this.#forecast([whole], others, () => 'series');
    return forecast;
  }

  /** The same for many series, each by itself, of any lengths, computed together. */
  async forecastAll(
    series: Iterable<VariateValues | ForecastSeries>,
    options: ForecastOptions,
  ): Promise<Forecast[]> {
    checkNames('forecastAll', options, this.#names);
    const where = (i: number): string => `series ${i}`;
    const all = Array.from(series, (each, i) => asSeries(each, where(i)));
    checkOption(all.length > 0, 'series', 'at least one', 'none');
    return this.#forecast(all, options, where);
  }

  /**
   * Vectors of samples, for classification, regression and search: of each block and variate the mean over its tokens, of length 1; all
   * numbers of a vector together have mean 0 and variance 1. A sample is a row of numbers, or several that belong together.
   *
   * @param options `augmented`: the vectors of the differences before them, and statistics of eighths of the samples behind
   *   them, which are standardised over the samples of the call. Default: false.
   */
  async embed(
    samples: Iterable<VariateValues | readonly VariateValues[]>,
    options: { readonly augmented?: boolean } = {},
  ): Promise<Float64Array[]> {
    checkNames('embed', options, ['augmented']);
    const rows = Array.from(samples, (sample, i) => sampleRows(sample, `sample ${i}`));
    checkOption(rows.length > 0, 'samples', 'at least one', 'none');
    return this.#calls.run('embed', () =>
      embeddingsOf(this.#network.reader, rows, options.augmented ?? false),
    );
  }

  /**
   * A series that comes reading by reading and may go on for ever: its state has a constant size, and so has the cost of a
   * reading. Streams that read at the same time are computed together. Throws a usage error for an option that is not right.
   */
  stream(options: StreamOptions): ForecastStream {
    this.#calls.check('stream');
    const patches = patchModel(this.model.network) as PatchModel;
    this.#streams ??= new StreamBatcher(this.model, patches);
    return new ForecastStream(this.model, patches, this.#streams, options);
  }

  /**
   * A stream that goes on where a saved one was, to the bit. Rejects with a checkpoint error, in which `source` names the file, for
   * a damaged one and for that of another model.
   */
  async restoreStream(bytes: Uint8Array, source = 'the saved stream'): Promise<ForecastStream> {
    this.#calls.check('restoreStream');
    const { network } = this.model;
    const { patchSize, contextLength } = patchModel(network) as PatchModel;
    const sizesOf = ({ horizon, targets = [UNNAMED_TARGET], past }: SavedStreamOptions): StreamSizes => ({
      region: stateRegion(network, targets.length + past.length),
      patchSize,
      contextPatches: Math.ceil(contextLength / patchSize),
      variates: targets.length + past.length,
      targets: targets.length,
      steps: patchesSaid(horizon, patchSize) * patchSize,
    });
    const saved = decodeStream(bytes, await modelFingerprint(this.model), sizesOf, source);
    const { targets, ...options } = saved.options;
    try {
      const stream = this.stream({ ...options, ...(targets && { targets }) });
      stream.adopt(saved);
      return stream;
    } catch (error) {
      if (!(error instanceof XlstmError)) throw error;
      throw new XlstmError('checkpoint', `${source}: ${error.message}`, error.hint);
    }
  }

  /** Gives all memory back, that of the model too; streams are to be freed before. */
  free(): void {
    this.#calls.free(() => {
      this.model.free();
      this.#network.free();
      this.#streams?.free();
    });
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }

  get #names(): readonly string[] {
    return ['horizon', 'levels', ...this.#network.ways];
  }

  #forecast(
    series: readonly ForecastSeries[],
    { horizon, levels = this.levels, ...ways }: ForecastOptions,
    where: (i: number) => string,
  ): Promise<Forecast[]> {
    return this.#calls.run('forecast', async () => {
      checkWhole('horizon', horizon, 1, MOST_STEPS);
      checkLevels(levels);
      for (const [name, value] of Object.entries(ways))
        checkOption(value === undefined || typeof value === 'boolean', name, 'true or false', value);
      const rows = series.map((each, i) => this.#rows(each, horizon, where(i)));
      const found = await this.#network.forecast(rows, horizon, ways);
      return series.map((each, i) => {
        const names = Object.keys(each.targets);
        const targets = Object.fromEntries(
          names.map((name, v) => [name, this.#targetForecast(found[i][v], levels)]),
        );
        const { [names[0]]: first } = targets;
        const times = each.times?.following(horizon);
        return { ...first, levels: [...levels], targets, times, warnings: this.#warnings(horizon, levels) };
      });
    });
  }

  #rows(series: ForecastSeries, horizon: number, where: string): SeriesRows {
    const rows = rowsOf(series, horizon, where);
    const has = rows.past.length + rows.known.length > 0;
    checkOption(
      !has || this.takesCovariates,
      `${where}: past, known`,
      'none: this model reads each variate by itself (TiRex-2 takes covariates)',
      'some',
    );
    return rows;
  }

  #targetForecast(rows: LevelRows, levels: readonly number[]): TargetForecast {
    const [median] = atLevels(rows, this.levels, [0.5]);
    return { quantiles: atLevels(rows, this.levels, levels), median };
  }

  #warnings(horizon: number, levels: readonly number[]): string[] {
    const warnings: string[] = [];
    const [least, most] = [this.levels[0], this.levels[this.levels.length - 1]];
    if (horizon > this.testedHorizon) {
      warnings.push(
        `The horizon of ${horizon} steps is beyond the ${this.testedHorizon} that the model was made for: it goes on, with bands that were not tested there.`,
      );
    }
    if (levels[0] < least || levels[levels.length - 1] > most) {
      warnings.push(
        `The model gives quantiles from ${least} to ${most}: levels beyond them are those of these two, and bands too narrow for them.`,
      );
    }
    return warnings;
  }
}

/** More would take more memory than any use is worth. */
const MOST_STEPS = 2 ** 16;

function networkForecaster(model: Model<Network>): NetworkForecaster {
  const { network } = model;
  if (network instanceof TirexNetwork) return new TirexForecaster(model as Model<TirexNetwork>);
  if (network instanceof Tirex2Network) return new Tirex2Forecaster(model as Model<Tirex2Network>);
  const found = model.design?.describe().summary ?? 'another network';
  throw new XlstmError('usage', `model: expected a forecaster, such as TiRex, found ${found}`);
}
