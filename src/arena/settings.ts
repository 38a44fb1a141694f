import type { ContestantName } from '../baselines/contestants.ts';
import type { FixedSizes } from '../baselines/sizing.ts';
import type { Task } from '../data/tasks/task.ts';
import type { TrainingSettings } from './training.ts';

/** What is decided for a task and a model before the model's size is fitted to the budget. */
export interface CellSettings {
  readonly training: TrainingSettings;
  /** Sizes and layer settings that are not the contestant's usual ones. */
  readonly model: Omit<FixedSizes, 'vocabSize'>;
}

/** The optimizer of the formal-language experiments of the xLSTM paper, with clipping (arXiv 2405.04517). */
const base: TrainingSettings = {
  steps: 20_000,
  batchSize: 64,
  learningRate: 3e-3,
  warmup: 0.1,
  finalFraction: 0.01,
  weightDecay: 0.1,
  clipNorm: 1,
  beta1: 0.9,
  beta2: 0.99,
};

/** What differs from the base: with smaller steps recurrent cells do not find parity in a quick run. */
const learningRates: Partial<Record<ContestantName, number>> = { lstm: 2e-2, 'lstm-block': 2e-2 };

/**
 * The paper's settings of sLSTM for formal languages: one head, no convolution, recurrent matrices that do not start at
 * zero.
 */
const stateTracking: CellSettings['model'] = {
  layers: { slstm: { numHeads: 1, conv1dKernelSize: 0, recurrentWeightInit: 'standard' } },
};

const isXlstm = (model: ContestantName): boolean => model.startsWith('xlstm');

export function taskSettings(task: Task, model: ContestantName): CellSettings {
  const longest = Math.max(task.trainLengths[1], task.testLengths[1]);
  return {
    training: { ...base, learningRate: learningRates[model] ?? base.learningRate },
    model: { contextLength: longest, ...(isXlstm(model) && task.group !== 'recall' ? stateTracking : {}) },
  };
}

/** Training on text: every model reads the same tokens, so the time is not bounded. */
export interface TextSettings extends CellSettings {
  /** Tokens of a training sequence. */
  readonly length: number;
  /** Held-out tokens; every multiple of the length is measured on the same ones. */
  readonly testTokens: number;
}

/** Multiples of the training length at which the loss is measured. */
export const TEXT_FACTORS = [1, 2, 4, 8, 16] as const;

export function textSettings(quick: boolean): TextSettings {
  const length = 128;
  const longest = length * TEXT_FACTORS[TEXT_FACTORS.length - 1];
  return {
    length,
    testTokens: longest * (quick ? 16 : 64),
    model: { contextLength: longest },
    training: { ...base, steps: quick ? 200 : 2000, batchSize: 16, learningRate: 4e-3, beta2: 0.95 },
  };
}

/** Lengths at which cost is measured. */
export interface CostSettings {
  readonly lengths: readonly number[];
  /** Tokens of a training step of short sequences; of longer ones a step holds one. */
  readonly tokensPerStep: number;
  readonly decodedTokens: number;
  readonly repeats: number;
}

export const costSettings = (quick: boolean): CostSettings => ({
  lengths: [128, 256, 512, 1024, 2048, 4096, 8192, 16_384],
  tokensPerStep: 2048,
  decodedTokens: 100,
  repeats: quick ? 3 : 7,
});
