import { checkNames, checkNumber, checkOption, checkWhole } from '../../checks.ts';
import type { Network } from '../../nn/layer.ts';
import type { Model } from '../../nn/model.ts';
import { type PatchModel, patchModel } from '../patch_model.ts';
import type { PatchNetwork } from '../patch_objective.ts';
import { type ForecasterStep, trainOnWindows } from './train_on_windows.ts';
import { alone, mixedWindows, ONE_VARIATE, ownWindows, syntheticWindows } from './windows.ts';

/** How a forecaster is trained; everything has a default. */
export interface TrainForecasterOptions {
  /** Series to learn from, beside synthetic ones; NaN where a value is missing. Default: synthetic ones alone. */
  readonly series?: readonly Float64Array[];
  /** Default: 2000. */
  readonly steps?: number;
  /** Windows of a step. Default: 64. */
  readonly batchSize?: number;
  /** The highest learning rate: it rises over the first twentieth of the steps and falls to a twentieth of it. Default: 2e-3. */
  readonly learningRate?: number;
  /** Decides the windows. Default: 1. */
  readonly seed?: number;
  /** Ends training after the step at work; the model keeps what it has learned. */
  readonly signal?: AbortSignal;
  /** Called after each step. Default: nothing is. */
  readonly onStep?: (step: ForecasterStep) => void;
}

const OPTION_NAMES: readonly (keyof TrainForecasterOptions)[] = [
  'series',
  'steps',
  'batchSize',
  'learningRate',
  'seed',
  'signal',
  'onStep',
];

/**
 * Trains a forecaster on windows of series, each by itself: synthetic ones, and, where series are given, of every two windows
 * one of theirs. Resolves to the steps made. Rejects with a usage error for another model or an option that is not right, and with a
 * diverged error where the loss is no number any more.
 */
export async function trainForecaster(
  model: Model<Network>,
  options: TrainForecasterOptions = {},
): Promise<number> {
  checkNames('trainForecaster', options, OPTION_NAMES);
  const { series = [], steps = 2000, batchSize = 64, learningRate = 2e-3, seed = 1 } = options;
  checkWhole('steps', steps, 1);
  checkWhole('batchSize', batchSize, 1);
  checkNumber('learningRate', learningRate, 'a finite number above 0', (value) => value > 0);
  const patches = patchModel(model.network);
  checkOption(patches !== undefined, 'model', 'one that forecasts', model);
  const source =
    series.length > 0
      ? mixedWindows(syntheticWindows, ownWindows(series, (patches as PatchModel).patchSize))
      : syntheticWindows;
  return trainOnWindows(model as unknown as Model<PatchNetwork>, patches as PatchModel, {
    ...{
      source: alone(source),
      layout: ONE_VARIATE,
      steps,
      batchSize,
      learningRate,
      seed,
      signal: options.signal,
    },
    onStep: async (step) => {
      options.onStep?.(step);
      return false;
    },
  });
}
