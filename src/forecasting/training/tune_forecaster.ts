import { checkNames, checkNumber, checkOption, checkWhole } from '../../checks.ts';
import { XlstmError } from '../../errors.ts';
import type { Model } from '../../nn/model.ts';
import { Forecaster } from '../forecaster.ts';
import { meanMeasures, measure, seasonalError } from '../measures.ts';
import { type PatchModel, patchModel } from '../patch_model.ts';
import type { PatchNetwork } from '../patch_objective.ts';
import {
  asSeries,
  type ForecastSeries,
  LEAST_OBSERVED,
  rowsOf,
  type SeriesRows,
  type VariateValues,
} from '../series.ts';
import { type ForecasterStep, trainOnWindows } from './train_on_windows.ts';
import { alone, mixedWindows, ownVariates, ownWindows, syntheticWindows } from './windows.ts';

/** How a forecaster is fine-tuned; all but the series has a default. */
export interface TuneForecasterOptions {
  /**
   * Series to learn from, each by itself; null or NaN where a value is missing. Of several targets that are forecast together, or with
   * covariates, all have as many variates of each kind; what is known ahead is as long as the targets at least.
   */
  readonly series: readonly (VariateValues | ForecastSeries)[];
  /** Training steps at most. Default: 500. */
  readonly steps?: number;
  /** Windows of a step. Default: 32. */
  readonly batchSize?: number;
  /** The highest learning rate: it rises over the first twentieth of the steps and falls to a twentieth of it. Default: 1e-3. */
  readonly learningRate?: number;
  /** Steps between two measurements. Default: 25. */
  readonly measureEvery?: number;
  /** Measurements without a better one after which it ends. Default: 6. */
  readonly patience?: number;
  /** Decides the windows. Default: 1. */
  readonly seed?: number;
  /** Ends training after the step at work. */
  readonly signal?: AbortSignal;
  /** Called after each step. Default: nothing is. */
  readonly onStep?: (step: ForecasterStep) => void;
  /** Called after each measurement, the first of which is made before training. Default: nothing is. */
  readonly onMeasure?: (measured: HeldOutMeasurement) => void;
}

/** How well the model forecasts the stretches by which training ends. */
export interface HeldOutMeasurement {
  /** Steps that were made. */
  readonly step: number;
  /** Mean over series, levels and steps of twice the pinball loss, in units of a series' mean change from step to step. */
  readonly loss: number;
}

/** What fine-tuning came to. */
export interface TuneForecasterResult {
  /** Whether the model is another one now. It is the original one where that was no worse on what was held out. */
  readonly isTuned: boolean;
  /** Steps that were made. */
  readonly steps: number;
  /** Steps after which the model was the best on the stretches by which training ends. */
  readonly bestStep: number;
  /** The loss of the original model on the ends of the series, of which training has seen nothing. */
  readonly before: number;
  /** That of the tuned one, also where it was not kept; as `before` where no step made it better. */
  readonly after: number;
}

/** The ends of series that training does not see. */
export interface HeldOut {
  /** Steps of a forecast. */
  readonly horizon: number;
  /** Forecasts of a series, one behind another. */
  readonly windows: number;
}

const OPTION_NAMES: readonly (keyof TuneForecasterOptions)[] = [
  ...(['series', 'steps', 'batchSize', 'learningRate', 'measureEvery', 'patience', 'seed'] as const),
  ...(['signal', 'onStep', 'onMeasure'] as const),
];

/** Forecasts of what is held out, for each of two measurements. */
const MOST_WINDOWS = 8;
/** Of a series' length what is held out for one of them is at most this part. */
const PART = 8;
/** Values that remain to be learned from at least. */
const LEAST_LEFT = 12;

/** What is held out of series, the same of all: patches, or an eighth of the shortest series where that is less. */
export function heldOutOf(series: readonly ArrayLike<unknown>[], patchSize: number): HeldOut {
  const part = Math.floor(series.reduce((least, { length }) => Math.min(least, length), Infinity) / PART);
  const horizon = Math.min(patchSize, part);
  return { horizon, windows: Math.max(1, Math.min(MOST_WINDOWS, Math.floor(part / horizon))) };
}

/**
 * Trains a forecaster further on one's own series: of one variate on as many synthetic windows too. Two stretches at the ends of the series are held out:
 * by the first one training ends, and the best model is kept; on the second one it is measured before and after, and where
 * it is not better there, the original is put back. A model with adapters has those alone trained. Rejects with a usage error for an option, and with a
 * data error for series that are too short or of which nothing can be measured; the model then stays as it was.
 */
export async function tuneForecaster(
  forecaster: Forecaster,
  options: TuneForecasterOptions,
): Promise<TuneForecasterResult> {
  checkNames('tuneForecaster', options, OPTION_NAMES);
  checkOption(forecaster instanceof Forecaster, 'forecaster', 'a forecaster', forecaster);
  const { steps = 500, batchSize = 32, learningRate = 1e-3, seed = 1 } = options;
  const { measureEvery = 25, patience = 6 } = options;
  for (const [name, value] of Object.entries({ steps, batchSize, measureEvery, patience }))
    checkWhole(name, value, 1);
  checkWhole('seed', seed, 0);
  checkNumber('learningRate', learningRate, 'a finite number above 0', (value) => value > 0);
  const model = forecaster.model as unknown as Model<PatchNetwork>;
  const patches = patchModel(model.network) as PatchModel;
  const series = checkSeries(options.series, forecaster.takesCovariates);
  const heldOut = heldOutOf(series.map(targetOf), patches.patchSize);
  const end = heldOut.horizon * heldOut.windows;
  const own = series.map((rows) => withoutEnd(rows, 2 * end));
  const known = series.map((rows) => withoutEnd(rows, end));
  const [{ targets, past, known: ahead }] = series;
  const layout = { targets: targets.length, past: past.length, known: ahead.length };
  const isOne = targets.length + past.length + ahead.length === 1;
  const before = await lossOf(forecaster, series, heldOut);
  const { parameters } = model;
  const trained = model.design?.adapter ? parameters.added : parameters.list;
  const original = await model.read(trained);
  const putBack = (values: typeof original): void => model.write(values, 'the model', trained);
  let best = { step: 0, loss: await lossOf(forecaster, known, heldOut), values: original };
  options.onMeasure?.({ step: 0, loss: best.loss });
  let made = 0;
  try {
    made = await trainOnWindows(model, patches, {
      source: isOne
        ? alone(mixedWindows(syntheticWindows, ownWindows(own.map(targetOf), patches.patchSize)))
        : ownVariates(own, patches.patchSize),
      ...{ layout, steps, batchSize, learningRate, seed, signal: options.signal },
      onStep: async (told) => {
        const { step } = told;
        options.onStep?.(told);
        if (step % measureEvery !== 0 && step < steps) return false;
        const loss = await lossOf(forecaster, known, heldOut);
        options.onMeasure?.({ step, loss });
        if (loss < best.loss) best = { step, loss, values: await model.read(trained) };
        return step - best.step >= patience * measureEvery;
      },
    });
  } catch (error) {
    putBack(original);
    throw error;
  }
  putBack(best.values);
  const after = best.step === 0 ? before : await lossOf(forecaster, series, heldOut);
  const isTuned = after < before;
  if (!isTuned) putBack(original);
  return { isTuned, steps: made, bestStep: best.step, before, after };
}

const targetOf = ({ targets: [first] }: SeriesRows): Float64Array => first;

/** The series up to so many steps before its end; covariates end with the targets. */
function withoutEnd(rows: SeriesRows, steps: number): SeriesRows {
  const length = targetOf(rows).length - steps;
  const cut = (all: readonly Float64Array[]): Float64Array[] => all.map((row) => row.subarray(0, length));
  return { targets: cut(rows.targets), past: cut(rows.past), known: cut(rows.known) };
}

function checkSeries(given: unknown, takesCovariates: boolean): SeriesRows[] {
  checkOption(Array.isArray(given) && given.length > 0, 'series', 'at least one', given);
  const series = (given as TuneForecasterOptions['series']).map((one, s) =>
    rowsOf(asSeries(one, `series ${s}`), 0, `series ${s}`),
  );
  const least = Math.ceil((LEAST_LEFT * PART) / (PART - 2));
  const [first] = series;
  for (const [s, rows] of series.entries()) {
    for (const kind of ['targets', 'past', 'known'] as const) {
      checkOption(
        rows[kind].length === first[kind].length,
        `series ${s}: ${kind}`,
        `as many variates as in series 0, ${first[kind].length}`,
        rows[kind].length,
      );
    }
    checkOption(
      takesCovariates || rows.past.length + rows.known.length === 0,
      `series ${s}: past, known`,
      'none: this model reads each variate by itself (TiRex-2 takes covariates)',
      'some',
    );
    for (const values of rows.targets) {
      const found = values.reduce((count, value) => count + Number(!Number.isNaN(value)), 0);
      if (found >= least) continue;
      throw new XlstmError(
        'data',
        `series ${s}: expected at least ${least} values that are not missing, of which two eighths are held out, found ${found}`,
        'Leave the series out.',
      );
    }
  }
  return series;
}

/** How well the last stretches of series are forecast from what is before them, and from what is known of them. */
async function lossOf(
  forecaster: Forecaster,
  series: readonly SeriesRows[],
  { horizon, windows }: HeldOut,
): Promise<number> {
  const levels = [...new Set([...forecaster.levels, 0.5])].sort();
  const places = series.flatMap((rows) =>
    Array.from({ length: windows }, (_, w) => ({
      rows,
      origin: targetOf(rows).length - (windows - w) * horizon,
    })).filter(({ origin }) => rows.targets.every((values) => isKnown(values.subarray(0, origin)))),
  );
  const named = (rows: readonly Float64Array[], length: number): Record<string, Float64Array> =>
    Object.fromEntries(rows.map((row, i) => [`${i}`, row.subarray(0, length)]));
  const histories = places.map(({ rows: { targets, past, known }, origin }) => ({
    targets: named(targets, origin),
    ...(past.length > 0 && { past: named(past, origin) }),
    ...(known.length > 0 && { known: named(known, origin + horizon) }),
  }));
  const forecasts = histories.length > 0 ? await forecaster.forecastAll(histories, { horizon, levels }) : [];
  const measured = places.flatMap(({ rows, origin }, i) =>
    rows.targets.map((values, v) => {
      const actual = values.subarray(origin, origin + horizon);
      const scale = seasonalError(values.subarray(0, origin), 1);
      const { quantiles } = forecasts[i].targets[`${v}`];
      return { values, measures: measure(quantiles, levels, actual, scale) };
    }),
  );
  const { scaledQuantileLoss } = meanMeasures(
    series
      .flatMap(({ targets }) => targets)
      .map((values) =>
        meanMeasures(measured.filter((one) => one.values === values).map((one) => one.measures)),
      ),
  );
  if (Number.isFinite(scaledQuantileLoss)) return scaledQuantileLoss;
  throw new XlstmError(
    'data',
    `series: expected values that change, and some in the last ${windows * horizon} steps, found none that can be measured`,
  );
}

const isKnown = (values: Float64Array): boolean =>
  values.reduce((count, value) => count + Number(!Number.isNaN(value)), 0) >= LEAST_OBSERVED;
