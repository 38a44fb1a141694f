import { checkChoice, checkNames, checkOption, checkQuantiles, checkWhole } from '../../checks.ts';
import { quote } from '../../quote.ts';
import { isStackName, stackNames } from '../baselines/contestants.ts';

/** What a network gives for each step, or for each sequence. */
export interface SequenceConfig {
  /** Numbers of a step, from 1 to 65536. Without a default. */
  readonly inputs: number;
  /** Numbers that are predicted; 0: classes, or the vector of the last layer. Default: 0. */
  readonly outputs: number;
  /** The quantiles of each output, between 0 and 1 and ascending; empty: its value. Default: empty. */
  readonly quantiles: readonly number[];
  /** Names of the classes of which one is right; empty: none. Default: empty. */
  readonly classes: readonly string[];
  /**
   * `none`: a result for each step. Else one for the sequence, from its last step or from the mean of its steps. Default:
   * none.
   */
  readonly pool: 'none' | 'last' | 'mean';
  /**
   * `xLSTM[a:b]`, or another model: elman, gru, lstm, lstm-block, transformer, gpt, mamba, retnet, linear-attention,
   * gated-deltanet[0:1], gated-deltanet[-1:1] or minlstm. Default: xLSTM[1:1] where the depth is even, else xLSTM[1:0].
   */
  readonly blocks: string;
  /** Layers. Default: 2. */
  readonly depth: number;
  /** Width of the layers. Default: 64. */
  readonly dim: number;
  /** Heads of layers that have some. Default: 4. */
  readonly heads: number;
  /** A second stack reads the sequence from its end: each result knows all steps. No streaming then. Default: false. */
  readonly bidirectional: boolean;
  /** Share of the stack's input and of its result that is dropped in training. Default: 0. */
  readonly dropout: number;
  /** Transformers alone: how many steps they see. Default: 512. */
  readonly window: number;
  /** Steps from a result's last input to the step that it is about: 0 labels the step, 1 forecasts the next. Default: 0. */
  readonly horizon: number;
  /** What the inputs are called, in order; empty: nothing. Default: empty. */
  readonly inputNames: readonly string[];
  /** What the outputs are called, in order; empty: nothing. Default: empty. */
  readonly outputNames: readonly string[];
}

/**
 * Everything but `inputs` has a default: xLSTM[1:1] where the depth is even, else [1:0]; depth 2, dim 64, 4 heads, a
 * result for each step.
 */
export type SequenceOptions = Partial<Omit<SequenceConfig, 'inputs'>> & Pick<SequenceConfig, 'inputs'>;

const DEFAULTS: Omit<SequenceConfig, 'inputs'> = {
  outputs: 0,
  quantiles: [],
  classes: [],
  pool: 'none',
  blocks: 'xLSTM[1:1]',
  depth: 2,
  dim: 64,
  heads: 4,
  bidirectional: false,
  dropout: 0,
  window: 512,
  horizon: 0,
  inputNames: [],
  outputNames: [],
};

const MAX_FEATURES = 2 ** 16;
const MAX_DIM = 2 ** 16;
const MAX_DEPTH = 4096;

/** Fills in the defaults and checks every option. Throws a usage error that names the option. */
export function sequenceConfig(options: SequenceOptions): SequenceConfig {
  checkNames('SequenceModel', options, ['inputs', ...Object.keys(DEFAULTS)]);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  // [1:1] comes in pairs of blocks.
  const blocks =
    given.depth === undefined || (given.depth as number) % 2 === 0 ? DEFAULTS.blocks : 'xLSTM[1:0]';
  const config = { ...DEFAULTS, blocks, ...given } as SequenceConfig;
  checkWhole('inputs', config.inputs, 1, MAX_FEATURES);
  checkWhole('outputs', config.outputs, 0, MAX_FEATURES);
  if (config.quantiles?.length !== 0) checkQuantiles(config.quantiles);
  checkClasses(config.classes);
  checkChoice('pool', config.pool, ['none', 'last', 'mean']);
  checkOption(typeof config.blocks === 'string', 'blocks', 'a name', config.blocks);
  checkOption(
    isStackName(config.blocks),
    'blocks',
    `xLSTM[a:b] or one of ${stackNames.join(', ')}`,
    config.blocks,
  );
  checkWhole('depth', config.depth, 1, MAX_DEPTH);
  checkWhole('dim', config.dim, 1, MAX_DIM);
  checkWhole('heads', config.heads, 1, MAX_DIM);
  checkOption(
    typeof config.bidirectional === 'boolean',
    'bidirectional',
    'true or false',
    config.bidirectional,
  );
  checkOption(
    config.dropout >= 0 && config.dropout < 1,
    'dropout',
    'a number from 0 to below 1',
    config.dropout,
  );
  checkWhole('window', config.window, 1, 2 ** 20);
  checkWhole('horizon', config.horizon, 0, 2 ** 20);
  checkLabels('inputNames', config.inputNames, config.inputs);
  checkLabels('outputNames', config.outputNames, Math.max(1, config.outputs));
  const { outputs, classes, quantiles } = config;
  checkOption(
    outputs === 0 || classes.length === 0,
    'classes',
    'none beside outputs: a model has one head',
    classes,
  );
  checkOption(quantiles.length === 0 || outputs > 0, 'quantiles', 'none without outputs', quantiles);
  return config;
}

function checkClasses(classes: unknown): void {
  const right =
    Array.isArray(classes) &&
    classes.length !== 1 &&
    classes.every((name) => typeof name === 'string') &&
    new Set(classes).size === classes.length;
  checkOption(right, 'classes', 'two different names or more', quote(classes));
}

function checkLabels(name: string, labels: unknown, count: number): void {
  const right =
    Array.isArray(labels) &&
    labels.every((label) => typeof label === 'string') &&
    (labels.length === 0 || labels.length === count);
  checkOption(right, name, `${count} ${count === 1 ? 'name' : 'names'}, or none`, quote(labels));
}
