import { XlstmError } from '../../errors.ts';
import { shareEventLoop } from '../../event_loop.ts';
import type { Model } from '../../nn/model.ts';
import { Random } from '../../random.ts';
import { warmupCosine } from '../../training/schedule.ts';
import { Trainer } from '../../training/trainer.ts';
import type { PatchModel } from '../patch_model.ts';
import { type PatchNetwork, patchObjective } from '../patch_objective.ts';
import { type VariateLayout, type VariateSource, variateBatch } from './windows.ts';

/** What is told of a step of training. */
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

/** How a network is trained on windows. */
export interface WindowTraining {
  readonly source: VariateSource;
  /** Of the windows of the source. */
  readonly layout: VariateLayout;
  readonly steps: number;
  readonly batchSize: number;
  /** The highest: it rises over the first twentieth of the steps and falls to a twentieth of it. */
  readonly learningRate: number;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  /** After each step. It ends where this resolves to true. */
  readonly onStep: (step: ForecasterStep) => Promise<boolean>;
}

/** Trains a network that reads patches. Resolves to the steps made. */
export async function trainOnWindows(
  model: Model<PatchNetwork>,
  patches: PatchModel,
  { source, layout, steps, batchSize, learningRate, seed, signal, onStep }: WindowTraining,
): Promise<number> {
  const schedule = warmupCosine({
    peak: learningRate,
    warmupSteps: Math.ceil(steps / 20),
    totalSteps: steps,
    finalFraction: 0.05,
  });
  using trainer = new Trainer(model, {
    batchSize: batchSize * (layout.targets + layout.past + layout.known),
    length: Math.ceil(patches.contextLength / patches.patchSize),
    objective: patchObjective(layout),
    optimizer: { weightDecay: 0.01 },
    schedule,
    seed,
  });
  const random = new Random(seed);
  const start = performance.now();
  for (let step = 1; step <= steps; step++) {
    if (signal?.aborted) return step - 1;
    const { loss } = await trainer.step(variateBatch(random, source, patches, layout, batchSize));
    if (!Number.isFinite(loss)) {
      throw new XlstmError(
        'diverged',
        `step ${step}: the loss is ${loss}: training diverged`,
        'Use a lower learningRate.',
      );
    }
    const seconds = (performance.now() - start) / 1000;
    if (await onStep({ step, steps, loss, learningRate: schedule(step), seconds })) return step;
    await shareEventLoop();
  }
  return steps;
}
