import type { ContestantName } from '../../models/baselines/contestants.ts';
import type { FixedSizes } from '../../models/baselines/sizing.ts';
import type { Task } from '../tasks/task.ts';
import type { TrainingSettings } from './training.ts';

/** What is decided for a task and a model before the model's size is fitted to the budget. */
export interface CellSettings {
  readonly training: TrainingSettings;
  /** Sizes and layer settings that are not the contestant's usual ones. */
  readonly model: Omit<FixedSizes, 'vocabSize'>;
}

/**
 * AdamW as in the formal-language experiments of the xLSTM paper (arXiv 2405.04517), with clipping and with lengths that
 * grow in the first part of the training: parity is found sooner so.
 */
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
  curriculum: 0.4,
};

/** A cell that no model of a quick run solves in so many steps stays unsolved. */
const QUICK_STEPS = 1500;
const QUICK_FORMAL_STEPS = 4000;

/**
 * Small batches, many steps, and weights that decay fast: a model that counts without bound instead of going round a
 * cycle is right on short sequences only, and its large weights are what decay removes.
 */
const formal: TrainingSettings = {
  ...base,
  steps: 100_000,
  batchSize: 32,
  weightDecay: 0.3,
  finalFraction: 1e-3,
};

/** Without norms and residuals, these want a higher learning rate on text, too. */
const plainStacks: readonly ContestantName[] = ['elman', 'gru', 'lstm', 'lstm-block'];
const seesItsState: readonly ContestantName[] = [...plainStacks, 'xlstm[0:1]', 'xlstm[1:1]', 'xlstm[7:1]'];

/** As in the paper, the best of several learning rates counts: the seeds take them in turn. */
const rates = (model: ContestantName): readonly number[] =>
  seesItsState.includes(model) ? [1e-2, 2e-2, 6e-3] : [3e-3, 1e-3];

/**
 * The paper's settings of sLSTM for formal languages: one head, no convolution, recurrent matrices that do not start at
 * zero.
 */
const formalXlstm: CellSettings['model'] = {
  layers: { slstm: { numHeads: 1, conv1dKernelSize: 0, recurrentWeightInit: 'standard' } },
};

/** One wide head, as in the experiments of Zoology (arXiv 2312.04927). */
const recallAttention: CellSettings['model'] = { numHeads: 1 };

export function taskSettings(
  task: Task,
  { model, seed, quick }: { readonly model: ContestantName; readonly seed: number; readonly quick: boolean },
): CellSettings {
  const positions = task.trainLengths[1];
  const contextLength = Math.max(positions, task.testLengths[1]);
  if (task.group === 'recall') {
    const heads = model === 'transformer' || model === 'gpt' ? recallAttention : {};
    const steps = quick ? QUICK_STEPS : base.steps;
    return { training: { ...base, steps }, model: { contextLength, positions, ...heads } };
  }
  const choices = rates(model);
  const learningRate = choices[(seed - 1) % choices.length];
  const steps = quick ? QUICK_FORMAL_STEPS : formal.steps;
  const layers = model.startsWith('xlstm') ? formalXlstm : {};
  return { training: { ...formal, steps, learningRate }, model: { contextLength, positions, ...layers } };
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

export function textSettings(model: ContestantName, quick: boolean): TextSettings {
  const length = 128;
  const longest = length * TEXT_FACTORS[TEXT_FACTORS.length - 1];
  return {
    length,
    testTokens: longest * (quick ? 16 : 64),
    model: { contextLength: longest, positions: length },
    training: {
      ...base,
      steps: quick ? 300 : 2000,
      batchSize: 16,
      learningRate: plainStacks.includes(model) ? 1e-2 : 4e-3,
      beta2: 0.95,
      curriculum: 0,
    },
  };
}

/** Lengths at which cost is measured. */
export interface CostSettings {
  readonly lengths: readonly number[];
  /** Tokens of a training step of short sequences; of longer ones a step holds one. */
  readonly tokensPerStep: number;
  /** Tokens decoded in one measurement. */
  readonly decodedTokens: number;
  readonly trainRepeats: number;
  /** A decoding measurement takes milliseconds, and what else the machine does as long: it needs many. */
  readonly decodeRepeats: number;
}

export const costSettings = (quick: boolean): CostSettings => ({
  lengths: [128, 256, 512, 1024, 2048, 4096, 8192, 16_384],
  tokensPerStep: 2048,
  decodedTokens: 100,
  trainRepeats: quick ? 3 : 7,
  decodeRepeats: quick ? 7 : 41,
});
