import { checkNames, checkNumber, checkOption, checkWhole } from '../../checks.ts';
import { XlstmError } from '../../errors.ts';
import { shareEventLoop } from '../../event_loop.ts';
import { TirexNetwork } from '../../models/tirex/network.ts';
import type { Network } from '../../nn/layer.ts';
import type { Model } from '../../nn/model.ts';
import { Random } from '../../random.ts';
import { warmupCosine } from '../../training/schedule.ts';
import { Trainer } from '../../training/trainer.ts';
import { patchObjective } from '../patch_objective.ts';
import { mixedWindows, ownWindows, syntheticWindows, windowBatch } from './windows.ts';

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

/** What `trainForecaster` tells of a step. */
export interface ForecasterStep {
  /** Counted from 1. */
  readonly step: number;
  /** Those that were asked for. */
  readonly steps: number;
  /** Mean pinball loss of the step's windows, in the units of their scales. */
  readonly loss: number;
  /** Of this step. */
  readonly learningRate: number;
  /** Since the first step began. */
  readonly seconds: number;
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
 * Trains a model of the architecture `tirex` on windows of series: synthetic ones, and, where series are given, of every two
 * windows one of theirs. Resolves to the steps made. Rejects with a usage error for another model or an option that is not right, and with a
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
  const { network } = model;
  checkOption(network instanceof TirexNetwork, 'model', 'one of the architecture tirex', model);
  const { config } = network as TirexNetwork;
  const source =
    series.length > 0
      ? mixedWindows(syntheticWindows, ownWindows(series, config.patchSize))
      : syntheticWindows;
  const schedule = warmupCosine({
    peak: learningRate,
    warmupSteps: Math.ceil(steps / 20),
    totalSteps: steps,
    finalFraction: 0.05,
  });
  using trainer = new Trainer(model as Model<TirexNetwork>, {
    batchSize,
    length: Math.ceil(config.contextLength / config.patchSize),
    objective: patchObjective(),
    optimizer: { weightDecay: 0.01 },
    schedule,
    seed,
  });
  const random = new Random(seed);
  const start = performance.now();
  for (let step = 1; step <= steps; step++) {
    if (options.signal?.aborted) return step - 1;
    const { loss } = await trainer.step(windowBatch(random, source, config, batchSize));
    if (!Number.isFinite(loss)) {
      throw new XlstmError(
        'diverged',
        `step ${step}: the loss is ${loss}: training diverged`,
        'Use a lower learningRate.',
      );
    }
    options.onStep?.({
      step,
      steps,
      loss,
      learningRate: schedule(step),
      seconds: (performance.now() - start) / 1000,
    });
    await shareEventLoop();
  }
  return steps;
}
