import { checkChoice, checkFloat, checkNames, checkOption, checkWhole } from '../checks.ts';
import type { AdamwOptions } from '../compute/graph/optimizer.ts';
import { type Precision, precisions } from '../compute/graph/plan.ts';
import { requireKernel } from '../compute/program/limits.ts';
import { type Collective, oneProcess } from '../distributed/collective.ts';
import { XlstmError } from '../errors.ts';
import type { LanguageModel, Network } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import type { BatchShape, Objective, SequenceBatch, TrainingBatch } from './objective.ts';
import type { Schedule } from './schedule.ts';
import type { Wire } from './sharded_update.ts';

/** How a model is trained; everything has a default. */
export interface TrainerOptions<N extends Network = LanguageModel, B extends SequenceBatch = TrainingBatch> {
  /** Sequences of a batch. Default: 16. */
  readonly batchSize?: number;
  /** Positions of each. Default: the model's context length, 256 where its architecture names none. */
  readonly length?: number;
  /**
   * Each batch continues the sequences of the one before: the recurrent state is kept. Of a step with several batches
   * each continues the one at its place in the step before. Default: false.
   */
  readonly carryState?: boolean;
  /** Default: beta1 0.9, beta2 0.95, epsilon 1e-8, weightDecay 0.1. */
  readonly optimizer?: Partial<AdamwOptions>;
  /** Bound on the norm of the whole gradient; 0: none. Default: 1. */
  readonly clipNorm?: number;
  /** Learning rate of a step, counted from 1, that is given none. Default: 1e-3. */
  readonly schedule?: Schedule;
  /** Decides what dropout drops. Default: 1. */
  readonly seed?: number;
  /** What the model is trained for. Default: `languageModelObjective`. */
  readonly objective?: Objective<N, B>;
  /**
   * Processes that share the batches of each step: rank r has the batches r, r + ranks, r + 2 · ranks and so on. All have
   * the same model and options and make the same calls; the result has the bits of one process with all of these batches.
   * Default: one process.
   */
  readonly collective?: Collective;
  /**
   * How several ranks send each other gradients: bf16 rounds them, which halves what is sent, and the result is no longer
   * that of one process. Default: f32.
   */
  readonly wire?: Wire;
  /**
   * bf16: the products of dense layers, forward and backward, take their operands rounded to bfloat16 and sum in float32.
   * States, norms, gates, cells, losses, the parameters and the optimizer's moments stay float32. Faster where a processor
   * has dot products of bfloat16; other engines are refused. Default: f32.
   */
  readonly precision?: Precision;
}

/** TrainerOptions that were checked, with what stands for those that were left out. */
export interface TrainerSettings {
  readonly shape: BatchShape;
  readonly carryState: boolean;
  readonly optimizer: AdamwOptions;
  readonly clipNorm: number;
  readonly schedule: Schedule;
  /** Below MAX_SEED. */
  readonly seed: number;
  readonly collective: Collective;
  readonly wire: Wire;
  readonly precision: Precision;
}

const OPTION_NAMES: readonly (keyof TrainerOptions)[] = [
  'batchSize',
  'length',
  'carryState',
  'optimizer',
  'clipNorm',
  'schedule',
  'seed',
  'objective',
  'collective',
  'wire',
  'precision',
];
const ADAMW: AdamwOptions = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };
const LEARNING_RATE = 1e-3;
const BATCH_SIZE = 16;
const LENGTH = 256;

/** A Program gets its seed as a float32, which has all whole numbers below this. */
export const MAX_SEED = 2 ** 24;

/** Throws a usage error for an option that is not right; the objective is checked by itself. */
export function trainerSettings<N extends Network, B extends SequenceBatch>(
  model: Model<N>,
  options: TrainerOptions<N, B>,
): TrainerSettings {
  checkNames('Trainer', options, OPTION_NAMES);
  const { batchSize = BATCH_SIZE, carryState = false, clipNorm = 1, seed = 1 } = options;
  const { length = model.design?.describe().contextLength ?? LENGTH } = options;
  const {
    schedule = () => LEARNING_RATE,
    collective = oneProcess,
    wire = 'f32',
    precision = 'f32',
  } = options;
  checkWhole('batchSize', batchSize, 1);
  checkWhole('length', length, 1);
  checkOption(typeof carryState === 'boolean', 'carryState', 'true or false', carryState);
  checkFloat('clipNorm', clipNorm, 'a finite number of at least 0', (value) => value >= 0);
  checkWhole('seed', seed, 0);
  checkOption(typeof schedule === 'function', 'schedule', 'a function from a step to a rate', schedule);
  checkChoice('wire', wire, ['f32', 'bf16']);
  checkChoice('precision', precision, precisions);
  if (precision === 'bf16') requireBf16(model);
  return {
    shape: { batchSize, length },
    optimizer: adamwOptions(options.optimizer),
    seed: seed % MAX_SEED,
    ...{ carryState, clipNorm, schedule, collective, wire, precision },
  };
}

/** Throws where the model's engine has no such products, or its matrices are small weights, whose products are others. */
function requireBf16({ engine, parameters }: Pick<Model, 'engine' | 'parameters'>): void {
  requireKernel('precision bf16', 'gemmBf16', engine.limits);
  if (parameters.packed.bytes === 0) return;
  throw new XlstmError(
    'usage',
    'precision bf16: the small weights (q8, q4, bf16) of a frozen model are multiplied in float32',
    'Use precision f32, or train adapters over the model that it was made from.',
  );
}

function adamwOptions(given: Partial<AdamwOptions> = {}): AdamwOptions {
  checkNames('optimizer', given, Object.keys(ADAMW));
  const { beta1 = ADAMW.beta1, beta2 = ADAMW.beta2 } = given;
  const { epsilon = ADAMW.epsilon, weightDecay = ADAMW.weightDecay } = given;
  for (const [name, beta] of Object.entries({ beta1, beta2 })) {
    checkFloat(`optimizer.${name}`, beta, 'a number from 0 to below 1', (value) => value >= 0 && value < 1);
  }
  checkFloat('optimizer.epsilon', epsilon, 'a finite number above 0', (value) => value > 0);
  checkFloat('optimizer.weightDecay', weightDecay, 'a finite number of at least 0', (value) => value >= 0);
  return { beta1, beta2, epsilon, weightDecay };
}
