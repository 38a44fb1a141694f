import type { AdamwOptions } from '../compute/graph/optimizer.ts';
import type { Precision } from '../compute/graph/plan.ts';
import type { BatchOrder } from '../data/batches.ts';
import { extendedSchedule, type RunExtension, type Schedule, warmupCosine } from './schedule.ts';

/** Everything that decides what a run computes; stored with its checkpoints. */
export interface RunOptions {
  /** Updates of the parameters, from the run's first on. */
  readonly steps: number;
  /** Sequences of a batch. */
  readonly batchSize: number;
  /** Tokens of each sequence of a batch. */
  readonly length: number;
  /** Batches whose gradients make one step. */
  readonly microBatches: number;
  /** Learning rate after the warm-up. */
  readonly learningRate: number;
  /** The step at which it reaches `learningRate`. */
  readonly warmupSteps: number;
  /** Learning rate at the end as a fraction of `learningRate`. */
  readonly finalFraction: number;
  /** Constants of AdamW. */
  readonly optimizer: AdamwOptions;
  /** Bound on the gradient's norm; 0: none. */
  readonly clipNorm: number;
  /** What the operands of products are rounded to, as TrainerOptions say. Default: f32. */
  readonly precision?: Precision | undefined;
  /**
   * 'contiguous': batches continue those of the step before, micro-batch by micro-batch, and the state is carried;
   * 'documents': the same, with documents in random order; 'shuffled': windows in random order.
   */
  readonly order: BatchOrder;
  /** Decides the order of windows, and what dropout drops. */
  readonly seed: number;
  /** Steps between two measurements on the validation text; the last step is always measured. */
  readonly evaluateEvery: number;
  /** Steps between two checkpoints; the last step always makes one. */
  readonly checkpointEvery: number;
  /**
   * Tokens of the validation text that are measured at most, in windows evenly over it; 0: nothing is measured. Default:
   * all.
   */
  readonly evaluationTokens?: number | undefined;
  /**
   * Where a run was given more steps than it was begun with: the learning rate goes from there, within `warmupSteps`, to
   * the cosine that ends at `steps`.
   */
  readonly extension?: RunExtension | undefined;
}

/** The learning rate of a run's steps, counted from 1. */
export function runSchedule({
  learningRate,
  warmupSteps,
  steps,
  finalFraction,
  extension,
}: RunOptions): Schedule {
  const schedule = warmupCosine({ peak: learningRate, warmupSteps, totalSteps: steps, finalFraction });
  return extension ? extendedSchedule(schedule, extension, warmupSteps) : schedule;
}
