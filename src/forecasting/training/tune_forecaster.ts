import { checkNames, checkNumber, checkOption, checkWhole } from '../../checks.ts';
import { XlstmError } from '../../errors.ts';
import type { Model } from '../../nn/model.ts';
import { backtest } from '../backtest.ts';
import { Forecaster } from '../forecaster.ts';
import { modelMethod } from '../model_method.ts';
import { type PatchModel, patchModel } from '../patch_model.ts';
import type { PatchNetwork } from '../patch_objective.ts';
import { readRow, type VariateValues } from '../series.ts';
import { type ForecasterStep, trainOnWindows } from './train_on_windows.ts';
import { mixedWindows, ownWindows, syntheticWindows } from './windows.ts';

/** How a forecaster is fine-tuned; all but the series has a default. */
export interface TuneForecasterOptions {
  /** Series to learn from, each by itself; null or NaN where a value is missing. */
  readonly series: readonly VariateValues[];
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
 * Trains a forecaster further on one's own series, one half of the windows, and on synthetic ones. Two stretches at the ends of the series are held out:
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
  const series = checkSeries(options.series);
  const heldOut = heldOutOf(series, patches.patchSize);
  const end = heldOut.horizon * heldOut.windows;
  const own = series.map((values) => values.subarray(0, values.length - 2 * end));
  const known = series.map((values) => values.subarray(0, values.length - end));
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
      source: mixedWindows(syntheticWindows, ownWindows(own, patches.patchSize)),
      ...{ steps, batchSize, learningRate, seed, signal: options.signal },
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

function checkSeries(given: unknown): Float64Array[] {
  checkOption(Array.isArray(given) && given.length > 0, 'series', 'at least one', given);
  const series = (given as readonly VariateValues[]).map((values, s) => readRow(values, `series ${s}`));
  const least = Math.ceil((LEAST_LEFT * PART) / (PART - 2));
  for (const [s, values] of series.entries()) {
    const found = values.reduce((count, value) => count + Number(!Number.isNaN(value)), 0);
    if (found >= least) continue;
    throw new XlstmError(
      'data',
      `series ${s}: expected at least ${least} values that are not missing, of which two eighths are held out, found ${found}`,
      'Leave the series out.',
    );
  }
  return series;
}

/** How well the last stretches of series are forecast from what is before them. */
async function lossOf(
  forecaster: Forecaster,
  series: readonly Float64Array[],
  { horizon, windows }: HeldOut,
): Promise<number> {
  const { model } = await backtest(
    series.map((values, s) => ({ id: `${s}`, values, season: 1, past: {}, known: {} })),
    { model: modelMethod(forecaster) },
    { horizon, windows, levels: [...new Set([...forecaster.levels, 0.5])].sort() },
  );
  const { scaledQuantileLoss } = model.measures;
  if (Number.isFinite(scaledQuantileLoss)) return scaledQuantileLoss;
  throw new XlstmError(
    'data',
    `series: expected values that change, and some in the last ${windows * horizon} steps, found none that can be measured`,
  );
}
