import { checkNames, checkNumber, checkOption, checkWhole } from '../checks.ts';
import type { Memory } from '../compute/engines/engine.ts';
import { XlstmError } from '../errors.ts';
import { modelFingerprint } from '../nn/fingerprint.ts';
import type { Network } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { OneCall } from '../nn/one_call.ts';
import { quote } from '../quote.ts';
import { AnomalyThreshold } from './anomaly.ts';
import type { TargetForecast } from './forecast.ts';
import { atLevels, checkLevels, type LevelRows } from './levels.ts';
import type { PatchModel } from './patch_model.ts';
import { PatchWindow } from './patch_window.ts';
import { LEAST_OBSERVED, readRow, UNNAMED_TARGET, type VariateValues } from './series.ts';
import type { StreamBatcher } from './stream_batcher.ts';
import { encodeStream, patchesSaid, type SavedStream, type SavedStreamOptions } from './stream_file.ts';
import { writePatches } from './tirex_scale.ts';
import type { RowScale } from './tirex2_scale.ts';
import { differencesOf, lastObserved } from './tirex2_trend.ts';

/** What a stream is to tell. */
export interface StreamOptions {
  /** Steps that are forecast after each reading. */
  readonly horizon: number;
  /** The quantiles, as in ForecastOptions. Default: those that the model gives. */
  readonly levels?: readonly number[];
  /** What is forecast, by name. Default: one target, whose readings are numbers. */
  readonly targets?: readonly string[];
  /** What is read beside the targets. Default: nothing. */
  readonly past?: readonly string[];
  /** Values before the first reading: a row of numbers, or one for each name. Default: none. */
  readonly history?: VariateValues | Readonly<Record<string, VariateValues>>;
  /**
   * Readings after which the scale is taken anew, from the last ones, as many as the model's context has: that reading costs
   * as much as a whole forecast. Default: the model's context. Infinity: never, once the context is full.
   */
  readonly renewAfter?: number;
  /** The share of readings that are told as anomalies in the long run. Default: 0.01. */
  readonly anomalyRate?: number;
}

/** A number, or null where one is missing; where targets have names, one for each name. What is left out is missing. */
export type StreamReading = number | null | Readonly<Record<string, number | null>>;

/** What is forecast after a reading; what it has of its own is that of the first target. */
export interface StreamForecast extends TargetForecast {
  /** Those that were asked for. */
  readonly levels: readonly number[];
  /** Of each target by its name. */
  readonly targets: Readonly<Record<string, TargetForecast>>;
  /** Whether something could be forecast: not before the first patch is full and three of its values are there. Else all is NaN. */
  readonly isReady: boolean;
  /** Readings since the model was asked: it is after each patch, and in between the rest of what it said is given. */
  readonly age: number;
  /** Whether the reading is far from what was forecast of it, of any target. */
  readonly anomaly: boolean;
  /** How far: above 1 it is an anomaly. Undefined where the reading is missing or nothing was forecast of it. */
  readonly score: number | undefined;
}

/** What the model said at the end of a patch, of a target: rows of at least the horizon and a patch. */
interface Said {
  readonly quantiles: LevelRows;
  readonly median: Float64Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/** How a variate is read until the scale is taken anew. */
interface Reading {
  readonly scale: RowScale;
  readonly hasTrend: boolean;
}

/**
 * A series that comes reading by reading. The model reads a patch when it is full, from the state that it had before, and forecasts
 * from a copy of that state: the cost of a reading does not depend on how many there were. Unlike a forecast of the whole series
 * so far, scale and trend are those of the time when they were last taken (after 1, 2, 4 … patches until the context is full, then
 * by `renewAfter`), patches begin where the stream began, and the model remembers what is older than its context.
 */
export class ForecastStream implements Disposable {
  readonly #model: Model<Network>;
  readonly #patches: PatchModel;
  readonly #batcher: StreamBatcher;
  readonly #calls: OneCall;
  readonly #state: Memory;
  readonly #window: PatchWindow;
  readonly #horizon: number;
  readonly #levels: readonly number[];
  readonly #targets: readonly string[];
  readonly #names: readonly string[];
  readonly #named: boolean;
  readonly #contextPatches: number;
  readonly #renewPatches: number;
  readonly #thresholds: readonly AnomalyThreshold[];
  readonly #options: SavedStreamOptions;
  #history: readonly Float64Array[] | undefined;
  #readings: readonly Reading[] = [];
  /** The value before the patch that is being filled, of each variate. */
  #before: number[] = [];
  #lastObserved: number[] = [];
  #said: readonly Said[] = [];
  #renewed = 0;
  #age = 0;

  /** @internal `Forecaster.stream` and `Forecaster.restoreStream` make them. */
  constructor(model: Model<Network>, patches: PatchModel, batcher: StreamBatcher, options: StreamOptions) {
    checkNames('stream', options, [
      ...['horizon', 'levels', 'targets', 'past', 'history', 'renewAfter', 'anomalyRate'],
    ]);
    const { horizon, levels = patches.levels, targets, past = [], history } = options;
    const { renewAfter = patches.contextLength, anomalyRate = 0.01 } = options;
    checkWhole('horizon', horizon, 1, 2 ** 16);
    checkLevels(levels);
    checkVariateNames('targets', targets ?? [UNNAMED_TARGET], 1);
    checkVariateNames('targets, past', [...(targets ?? [UNNAMED_TARGET]), ...past], 1);
    checkNumber(
      'renewAfter',
      renewAfter === Infinity ? 1 : renewAfter,
      'a number of readings',
      (n) => n >= 1,
    );
    checkNumber('anomalyRate', anomalyRate, 'a number between 0 and 1', (rate) => rate > 0 && rate < 1);
    const isAlone = (targets ?? []).length <= 1 && past.length === 0;
    checkOption(
      isAlone || patches.takesCovariates,
      'targets, past',
      'one target alone: this model reads each variate by itself',
      'several',
    );
    this.#options = { horizon, levels: [...levels], targets, past, renewAfter, anomalyRate };
    this.#model = model;
    this.#patches = patches;
    this.#batcher = batcher;
    this.#calls = new OneCall('the stream', model.use);
    this.#horizon = horizon;
    this.#levels = [...levels];
    this.#targets = targets ?? [UNNAMED_TARGET];
    this.#names = [...this.#targets, ...past];
    this.#named = targets !== undefined || past.length > 0;
    const { patchSize } = patches;
    this.#contextPatches = Math.ceil(patches.contextLength / patchSize);
    this.#renewPatches = Math.ceil(renewAfter / patchSize);
    this.#window = new PatchWindow(this.#names.length, patchSize, this.#contextPatches);
    const outer = patches.levels[patches.levels.length - 1];
    this.#thresholds = this.#targets.map(() => new AnomalyThreshold(anomalyRate, outer));
    this.#history = history === undefined ? undefined : this.#historyRows(history);
    this.#state = batcher.allocate(this.#names.length);
  }

  /** Bytes of the state, whatever the length of the series. */
  get stateBytes(): number {
    return this.#state.region.bytes;
  }

  /** Takes a reading and forecasts what comes after it. Rejects with a data error for one that is not right. */
  push(reading: StreamReading): Promise<StreamForecast> {
    return this.#calls.run('push', async () => {
      const values = this.#valuesOf(reading);
      if (this.#history) await this.#begin();
      const score = this.#score(values);
      this.#age++;
      if (this.#window.push(values)) await this.#endPatch();
      return this.#forecast(score);
    });
  }

  /** What is forecast without another reading: after the last one, or after the history. */
  forecast(): Promise<StreamForecast> {
    return this.#calls.run('forecast', async () => {
      if (this.#history) await this.#begin();
      return this.#forecast(undefined);
    });
  }

  /** The stream as a safetensors file, for `restoreStream` on the same model: it goes on as this one does, to the bit. */
  save(): Promise<Uint8Array> {
    return this.#calls.run('save', async () => {
      if (this.#history) await this.#begin();
      const fingerprint = await modelFingerprint(this.#model);
      const saved: SavedStream = {
        options: this.#options,
        state: await this.#state.readAll(),
        window: this.#window.save(),
        renewed: this.#renewed,
        age: this.#age,
        readings: this.#readings.map(({ scale: { mean, scale, isBinary }, hasTrend }) => ({
          ...{ mean, scale, isBinary, hasTrend },
        })),
        before: this.#before,
        lastObserved: this.#lastObserved,
        thresholds: this.#thresholds.map(({ logThreshold }) => logThreshold),
        said: this.#said.map(({ quantiles, median, low, high }) => [...quantiles, median, low, high]),
      };
      return encodeStream(saved, this.#state.region, fingerprint);
    });
  }

  /** @internal Takes over what a stream of the same model and options was. */
  adopt(saved: SavedStream): void {
    this.#state.writeAll(saved.state);
    this.#window.restore(saved.window);
    this.#renewed = saved.renewed;
    this.#age = saved.age;
    this.#readings = saved.readings.map((reading) => ({
      scale: this.#patches.scaleFrom(reading),
      hasTrend: reading.hasTrend,
    }));
    this.#before = [...saved.before];
    this.#lastObserved = [...saved.lastObserved];
    for (const [v, value] of saved.thresholds.entries()) this.#thresholds[v].logThreshold = value;
    this.#said = saved.said.map((rows) => {
      const [median, low, high] = rows.slice(-3);
      return { quantiles: rows.slice(0, -3), median, low, high };
    });
  }

  /** Gives its memory back; no call is allowed from here on. Throws a usage error while a call is at work. */
  free(): void {
    this.#calls.free(() => this.#state.free());
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }

  /** The history ends with a full patch: what lacks at its beginning is missing. */
  async #begin(): Promise<void> {
    const rows = this.#history as readonly Float64Array[];
    this.#history = undefined;
    const { patchSize } = this.#patches;
    const { length } = rows[0];
    const kept = Math.min(this.#contextPatches, Math.ceil(length / patchSize)) * patchSize;
    for (let t = length - kept; t < length; t++) this.#window.push(rows.map((row) => row[t] ?? Number.NaN));
    if (kept > 0) await this.#renew();
  }

  async #endPatch(): Promise<void> {
    const { patches } = this.#window;
    const isFilling = patches <= this.#contextPatches && (patches & (patches - 1)) === 0;
    const patch = this.#window.last(1);
    const read = patch.map((row, v) => this.#asRead(row, v));
    const fits = read.every((row, v) => !this.#readings[v]?.scale.isBinary || row.every(isBit));
    const isDue = isFilling || patches - this.#renewed >= this.#renewPatches;
    if (this.#said.length === 0 || isDue || !fits) return this.#renew();
    this.#before = patch.map((row) => row[row.length - 1]);
    for (const v of this.#targets.keys())
      this.#lastObserved[v] = patch[v].findLast((value) => !Number.isNaN(value)) ?? this.#lastObserved[v];
    await this.#ask(read, 1);
  }

  /** Takes scale and trend anew, and reads the window from its beginning. */
  async #renew(): Promise<void> {
    const length = Math.min(this.#window.patches, this.#contextPatches);
    const rows = this.#window.last(length);
    const targets = rows.slice(0, this.#targets.length);
    const isKnown = targets.every(
      (row) => row.reduce((count, value) => count + Number(!Number.isNaN(value)), 0) >= LEAST_OBSERVED,
    );
    if (!isKnown) {
      this.#said = [];
      this.#age = 0;
      return;
    }
    const trends = rows.map((row, v) => v < targets.length && this.#patches.hasTrend(row));
    const read = rows.map((row, v) => (trends[v] ? differencesOf(row) : row));
    this.#readings = read.map((row, v) => ({ scale: this.#patches.scaleOf(row), hasTrend: trends[v] }));
    this.#before = rows.map((row) => row[row.length - 1]);
    this.#lastObserved = targets.map(lastObserved);
    this.#renewed = this.#window.patches;
    this.#state.clear();
    await this.#ask(read, length);
  }

  /** The values of a new patch, or their differences. */
  #asRead(row: Float64Array, v: number): Float64Array {
    if (!this.#readings[v]?.hasTrend) return row;
    return row.map((value, t) => value - (t === 0 ? this.#before[v] : row[t - 1]));
  }

  /** The model reads patches of all variates and says what comes after them. */
  async #ask(read: readonly Float64Array[], length: number): Promise<void> {
    const { patchSize, levels } = this.#patches;
    const patches = patchesSaid(this.#horizon, patchSize);
    const size = 2 * patchSize * (length + patches - 1);
    const tokens = new Float64Array(read.length * size);
    for (const [v, row] of read.entries())
      writePatches(tokens, v * size, row, patchSize, this.#readings[v].scale.scaled);
    const targets = this.#targets.length;
    const values = await this.#batcher.run({
      ...{ tokens, length, targets, variates: read.length, patches, state: this.#state },
    });
    const steps = patches * patchSize;
    this.#said = this.#targets.map((_, v) => {
      const { scale, hasTrend } = this.#readings[v];
      const raw = levels.map((_, q) =>
        Float64Array.from({ length: steps }, (_, h) => {
          const patch = v * patches + Math.floor(h / patchSize);
          return scale.restored(values[(patch * levels.length + q) * patchSize + (h % patchSize)]);
        }),
      );
      const rows = this.#patches.finish(raw, hasTrend, this.#lastObserved[v], this.#horizon);
      const [median] = atLevels(rows, levels, [0.5]);
      return {
        quantiles: atLevels(rows, levels, this.#levels),
        median,
        low: rows[0],
        high: rows[rows.length - 1],
      };
    });
    this.#age = 0;
  }

  /** The largest of the targets' scores. */
  #score(values: ArrayLike<number>): number | undefined {
    let largest: number | undefined;
    for (const [v, { low, median, high }] of this.#said.entries()) {
      if (Number.isNaN(values[v])) continue;
      const at = this.#age;
      const score = this.#thresholds[v].score(values[v], low[at], median[at], high[at]);
      largest = Math.max(largest ?? 0, score);
    }
    return largest;
  }

  #forecast(score: number | undefined): StreamForecast {
    const isReady = this.#said.length > 0;
    const [from, to] = [this.#age, this.#age + this.#horizon];
    const missing = isReady ? undefined : new Float64Array(this.#horizon).fill(Number.NaN);
    const targets = this.#targets.map((_, v): TargetForecast => {
      if (missing) return { quantiles: this.#levels.map(() => missing), median: missing };
      const { quantiles, median } = this.#said[v];
      return { quantiles: quantiles.map((row) => row.subarray(from, to)), median: median.subarray(from, to) };
    });
    return {
      ...targets[0],
      levels: this.#levels,
      targets: Object.fromEntries(this.#targets.map((name, v) => [name, targets[v]])),
      isReady,
      age: this.#age,
      anomaly: score !== undefined && score > 1,
      score,
    };
  }

  #valuesOf(reading: StreamReading): number[] {
    if (this.#named) {
      checkOption(typeof reading === 'object' && reading !== null, 'push', 'a number for each name', reading);
      checkNames('push', reading, this.#names);
    }
    return this.#names.map((name) => {
      const value: unknown = this.#named
        ? (reading as Readonly<Record<string, number | null>>)[name]
        : reading;
      if (value === null || (this.#named && value === undefined) || Number.isNaN(value)) return Number.NaN;
      if (typeof value === 'number' && Number.isFinite(value)) return value;
      throw new XlstmError(
        'data',
        `push: ${this.#named ? `${quote(name)}: ` : ''}expected a finite number, or null where one is missing, found ${quote(value)}`,
      );
    });
  }

  #historyRows(history: VariateValues | Readonly<Record<string, VariateValues>>): Float64Array[] {
    if (this.#named) checkNames('history', history, this.#names);
    const given = this.#named ? (history as Readonly<Record<string, VariateValues>>) : undefined;
    const rows = this.#names.map((name) => {
      const place = given ? `history: ${quote(name)}` : 'history';
      return readRow((given ? given[name] : history) as VariateValues, place);
    });
    for (const [v, row] of rows.entries()) {
      checkOption(
        row.length === rows[0].length,
        `history: ${this.#names[v]}`,
        `as many steps as ${quote(this.#names[0])}, ${rows[0].length}`,
        row.length,
      );
    }
    return rows;
  }
}

const isBit = (value: number): boolean => value === 0 || value === 1 || Number.isNaN(value);

function checkVariateNames(option: string, names: unknown, least: number): void {
  const right =
    Array.isArray(names) &&
    names.length >= least &&
    names.every((name) => typeof name === 'string') &&
    new Set(names).size === names.length;
  checkOption(right, option, 'different names', names);
}
