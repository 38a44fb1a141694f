import { XlstmError } from '../../errors.ts';
import { type ActivationName, activationNames } from '../../nn/activation.ts';
import { quote } from '../../quote.ts';
import {
  allFieldsOf,
  fileOrProgram,
  formatFields,
  MAX_BLOCKS,
  MAX_SIZE,
  readFields,
  type Spelling,
  spelled,
} from './config_fields.ts';

/** The mLSTM blocks of a model. Defaults are those of the official package. */
export interface MlstmConfig {
  /** H, a divisor of the inner width. Default: 4. */
  readonly numHeads: number;
  /** Inner width over embedding width, before rounding up. Default: 2. */
  readonly projFactor: number;
  /** The inner width is rounded up to a multiple of it. Default: 64. */
  readonly roundProjUpToMultipleOf: number;
  /** Taps of the causal convolution, from 2 to 1024. Default: 4. */
  readonly conv1dKernelSize: number;
  /** Width of the blocks on the diagonal of the q, k and v projections, a divisor of the inner width. Default: 4. */
  readonly qkvProjBlocksize: number;
}

/** The feed-forward of sLSTM blocks. Defaults are those of the official package. */
export interface FeedForwardConfig {
  /** Inner width over embedding width, before rounding up. Default: 1.3. */
  readonly projFactor: number;
  /** The inner width is rounded up to a multiple of it. Default: 64. */
  readonly roundProjUpToMultipleOf: number;
  /** Activation of the gate. Default: gelu. */
  readonly actFn: ActivationName;
  /** The feed-forward has its own bias and dropout: those of the model do not reach it. Default: false. */
  readonly bias: boolean;
  /** Share of its result that is dropped in training. Default: 0. */
  readonly dropout: number;
}

/** The sLSTM blocks of a model. Defaults are those of the official package. */
export interface SlstmConfig {
  /** H, a divisor of the embedding width. Default: 4. */
  readonly numHeads: number;
  /** Taps of the causal convolution, from 2 to 1024; 0: no convolution. Default: 4. */
  readonly conv1dKernelSize: number;
  /** The cell: sLSTM, or an LSTM with the same gates. Default: slstm. */
  readonly function: 'slstm' | 'lstm';
  /** F is σ(f) or exp(f), of an sLSTM. Default: sigmoid, which is all that the official package has. */
  readonly forgetGate: 'sigmoid' | 'exponential';
  /**
   * Initial biases. powerlaw_blockdependent (default): of the forget gate 5 − 12 (j / (DH − 1))^(0.3 + 1.3 r) for unit
   * j of each head, r being the depth of the block from 0 to 1, else 0. small_init: of the forget gate evenly from 3 to
   * 6, else 0. standard: U(±1/√D). zeros: 0.
   */
  readonly biasInit: 'powerlaw_blockdependent' | 'small_init' | 'standard' | 'zeros';
  /** Initial recurrent matrices: 0 or U(±1/√D). Default: zeros. */
  readonly recurrentWeightInit: 'zeros' | 'standard';
  /** Whether the norm of the heads has a weight. Default: true. */
  readonly groupNormWeight: boolean;
  /** No gradient through the recurrent matrices. Default: false. */
  readonly gradientRecurrentCut: boolean;
  /** Bound on each element of the gradient that comes back through the recurrent matrices; null: none. Default: null. */
  readonly gradientRecurrentClipval: number | null;
  /** What follows the sLSTM layer in its block. */
  readonly feedforward: FeedForwardConfig;
}

/**
 * A language model of the original architecture (Beck et al. 2024): embedding, blocks, norm, output layer. Defaults are
 * those of the official package, which has none for the context length.
 */
export interface LanguageModelConfig {
  /** V: tokens are whole numbers from 0 to V − 1. Without a default. */
  readonly vocabSize: number;
  /** D, the width of the residual stream. Default: 128. */
  readonly embeddingDim: number;
  /** At most 4096. Default: 1. */
  readonly numBlocks: number;
  /** The blocks, counted from 0 and ascending, that are sLSTM; the others are mLSTM. Default: none. */
  readonly slstmAt: readonly number[] | 'all';
  /** Tokens of training sequences. No limit at run time: the state has a constant size. Default: 256. */
  readonly contextLength: number;
  /** The output layer is the embedding's matrix. Default: false. */
  readonly tieWeights: boolean;
  /** Share that is dropped in training: of what mLSTM layers add, and of what sLSTM cells give. Default: 0. */
  readonly dropout: number;
  /** Whether the projections of mLSTM layers have a bias. Default: false. */
  readonly bias: boolean;
  /** Whether weight decay shrinks the embedding. Default: false. */
  readonly weightDecayOnEmbedding: boolean;
  /** Whether `dropout` drops of the embedded tokens, too. Default: false. */
  readonly addEmbeddingDropout: boolean;
  /** Whether a norm stands between the last block and the output layer. Default: true. */
  readonly addPostBlocksNorm: boolean;
  /** Settings of the mLSTM blocks. */
  readonly mlstm: MlstmConfig;
  /** Settings of the sLSTM blocks. */
  readonly slstm: SlstmConfig;
}

/** What the blocks of a model are made of, without what is before and behind them. */
export type BlockStackConfig = Omit<
  LanguageModelConfig,
  'vocabSize' | 'tieWeights' | 'weightDecayOnEmbedding' | 'addEmbeddingDropout'
>;

/** What a program says about a model. Everything but the vocabulary has a default, which LanguageModelConfig tells. */
export type LanguageModelOptions = Partial<Omit<LanguageModelConfig, 'mlstm' | 'slstm'>> & {
  /** V, such as that of the tokenizer. */
  readonly vocabSize: number;
  /** Heads of both kinds of block, where `mlstm.numHeads` and `slstm.numHeads` do not say otherwise. Default: 4. */
  readonly numHeads?: number;
  /** What is left out has its default. */
  readonly mlstm?: Partial<MlstmConfig>;
  /** What is left out has its default. */
  readonly slstm?: Partial<Omit<SlstmConfig, 'feedforward'>> & {
    /** What is left out has its default. */
    readonly feedforward?: Partial<FeedForwardConfig>;
  };
};

/** What a program says about blocks alone. Everything has a default, which LanguageModelConfig tells. */
export type BlockStackOptions = Omit<
  LanguageModelOptions,
  Exclude<keyof LanguageModelConfig, keyof BlockStackConfig>
>;

const HEADS = 4;

/**
 * Every key once: its name here, in files of the official layout, in flat files, what it may be, what it is when
 * absent (the official defaults; the context length has none there). The order is that of the file.
 */
const fields = allFieldsOf<LanguageModelConfig>()([
  { path: 'vocabSize', official: 'vocab_size', flat: 'vocab_size', kind: 'size' },
  { path: 'embeddingDim', official: 'embedding_dim', flat: 'embedding_dim', kind: 'size', absent: 128 },
  { path: 'numBlocks', official: 'num_blocks', flat: 'num_blocks', kind: 'depth', absent: 1 },
  { path: 'slstmAt', official: 'slstm_at', flat: 'slstm_at', kind: 'blocks', absent: [] },
  { path: 'contextLength', official: 'context_length', flat: 'context_length', kind: 'length', absent: 256 },
  { path: 'tieWeights', official: 'tie_weights', flat: 'tie_weights', kind: 'flag', absent: false },
  { path: 'dropout', official: 'dropout', flat: 'dropout', kind: 'rate', absent: 0 },
  { path: 'bias', official: 'bias', flat: 'bias', kind: 'flag', absent: false },
  {
    path: 'weightDecayOnEmbedding',
    official: 'weight_decay_on_embedding',
    flat: 'weight_decay_on_embedding',
    kind: 'flag',
    absent: false,
  },
  {
    path: 'addEmbeddingDropout',
    official: 'add_embedding_dropout',
    flat: 'add_embedding_dropout',
    kind: 'flag',
    absent: false,
  },
  {
    path: 'addPostBlocksNorm',
    official: 'add_post_blocks_norm',
    flat: 'add_post_blocks_norm',
    kind: 'flag',
    absent: true,
  },
  {
    path: 'mlstm.numHeads',
    official: 'mlstm_block.mlstm.num_heads',
    flat: 'num_heads',
    both: 'numHeads',
    kind: 'size',
    absent: HEADS,
  },
  {
    path: 'mlstm.projFactor',
    official: 'mlstm_block.mlstm.proj_factor',
    flat: 'mlstm_proj_factor',
    kind: 'factor',
    absent: 2,
  },
  {
    path: 'mlstm.roundProjUpToMultipleOf',
    official: 'mlstm_block.mlstm.round_proj_up_to_multiple_of',
    kind: 'size',
    absent: 64,
  },
  {
    path: 'mlstm.conv1dKernelSize',
    official: 'mlstm_block.mlstm.conv1d_kernel_size',
    flat: 'conv1d_kernel_size',
    kind: 'taps',
    absent: 4,
  },
  {
    path: 'mlstm.qkvProjBlocksize',
    official: 'mlstm_block.mlstm.qkv_proj_blocksize',
    flat: 'qkv_proj_blocksize',
    kind: 'size',
    absent: 4,
  },
  {
    path: 'slstm.numHeads',
    official: 'slstm_block.slstm.num_heads',
    flat: 'num_heads',
    both: 'numHeads',
    kind: 'size',
    absent: HEADS,
  },
  {
    path: 'slstm.conv1dKernelSize',
    official: 'slstm_block.slstm.conv1d_kernel_size',
    flat: 'conv1d_kernel_size',
    kind: 'tapsOrNone',
    absent: 4,
  },
  {
    path: 'slstm.function',
    official: 'slstm_block.slstm.function',
    kind: ['slstm', 'lstm'],
    absent: 'slstm',
  },
  {
    // Not a key of the official package, which has the sigmoid alone: written only where it says something else.
    path: 'slstm.forgetGate',
    official: 'slstm_block.slstm.forget_gate',
    kind: ['sigmoid', 'exponential'],
    absent: 'sigmoid',
    unlessAbsent: true,
  },
  {
    path: 'slstm.biasInit',
    official: 'slstm_block.slstm.bias_init',
    kind: ['powerlaw_blockdependent', 'small_init', 'standard', 'zeros'],
    absent: 'powerlaw_blockdependent',
  },
  {
    path: 'slstm.recurrentWeightInit',
    official: 'slstm_block.slstm.recurrent_weight_init',
    kind: ['zeros', 'standard'],
    absent: 'zeros',
  },
  {
    path: 'slstm.groupNormWeight',
    official: 'slstm_block.slstm.group_norm_weight',
    kind: 'flag',
    absent: true,
  },
  {
    path: 'slstm.gradientRecurrentCut',
    official: 'slstm_block.slstm.gradient_recurrent_cut',
    kind: 'flag',
    absent: false,
  },
  {
    path: 'slstm.gradientRecurrentClipval',
    official: 'slstm_block.slstm.gradient_recurrent_clipval',
    kind: 'bound',
    absent: null,
  },
  {
    path: 'slstm.feedforward.projFactor',
    official: 'slstm_block.feedforward.proj_factor',
    flat: 'slstm_ffn_proj_factor',
    kind: 'factor',
    absent: 1.3,
  },
  {
    path: 'slstm.feedforward.roundProjUpToMultipleOf',
    official: 'slstm_block.feedforward.round_proj_up_to_multiple_of',
    kind: 'size',
    absent: 64,
  },
  {
    path: 'slstm.feedforward.actFn',
    official: 'slstm_block.feedforward.act_fn',
    flat: 'slstm_ffn_act',
    kind: activationNames,
    absent: 'gelu',
  },
  { path: 'slstm.feedforward.bias', official: 'slstm_block.feedforward.bias', kind: 'flag', absent: false },
  { path: 'slstm.feedforward.dropout', official: 'slstm_block.feedforward.dropout', kind: 'rate', absent: 0 },
]);

/** Keys of flat files that say nothing here beyond one of these values. */
const flatExtras = { slstm_layout: ['vanilla', 'cuda'] } as const;

/** Fills in the defaults and checks that the parts fit together. Throws a config error that names the key. */
export function languageModelConfig(options: LanguageModelOptions): LanguageModelConfig {
  return build(options, 'model configuration', 'options');
}

/** Fills in the defaults and checks that the parts fit together. Throws a config error that names the key. */
export function blockStackConfig(options: BlockStackOptions): BlockStackConfig {
  const { vocabSize, tieWeights, weightDecayOnEmbedding, addEmbeddingDropout, ...config } = build(
    { ...options, vocabSize: 1 },
    'block configuration',
    'options',
  );
  return config;
}

/**
 * Reads a configuration: the official nested layout (`mlstm_block`, `slstm_block`), the flat one, or the spelling of
 * programs (`LanguageModelOptions`). Throws a config error for what is not right: `source` names the file in it, and
 * paths are spelled as in the file.
 */
export function parseConfig(json: unknown, source: string): LanguageModelConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new XlstmError('config', `${source}: expected an object, found ${quote(json)}`);
  }
  if (WRAPPED in json) return parseConfig(unwrapped(json[WRAPPED]), `${source}: ${WRAPPED}`);
  const nested = 'mlstm_block' in json || 'slstm_block' in json;
  return build(json, source, nested ? 'official' : fileOrProgram(fields, json));
}

/** Where models of the original architecture made for `transformers` keep the official package's configuration. */
const WRAPPED = '_xlstm_config';

/** Without the keys of `transformers` that such a model copies in when it is loaded. */
function unwrapped(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  const official = new Set(fields.map(({ official }) => official.split('.')[0]));
  return Object.fromEntries(Object.entries(json).filter(([key]) => official.has(key)));
}

/** The official nested layout as a plain object; `parseConfig` reads it back to an equal configuration. */
export const formatConfig = (config: LanguageModelConfig): Record<string, unknown> =>
  formatFields(fields, config);

/** Width inside an mLSTM block. */
export function mlstmInnerDim(config: BlockStackConfig): number {
  return roundUp(config.mlstm.projFactor * config.embeddingDim, config.mlstm.roundProjUpToMultipleOf);
}

/** Width of the two branches inside the feed-forward of an sLSTM block. */
export function feedForwardDim(config: BlockStackConfig): number {
  const { projFactor, roundProjUpToMultipleOf } = config.slstm.feedforward;
  return roundUp(projFactor * config.embeddingDim, roundProjUpToMultipleOf);
}

export function isSlstmBlock(config: BlockStackConfig, block: number): boolean {
  return config.slstmAt === 'all' || config.slstmAt.includes(block);
}

/**
 * `slstmAt` for the paper's notation: xLSTM[a:b] is a mLSTM blocks to b sLSTM blocks. Blocks come in groups of
 * a + b; in each group the sLSTM blocks are those numbered 1 to b (counted from 0), so a model starts with mLSTM
 * where it has any: [7:1] in 8 blocks gives 1, in 16 blocks 1 and 9; [1:1] gives 1, 3, 5, …; [1:0] none; [0:1] all.
 * The paper placed the sLSTM blocks of its own large models by hand (3, 5, 7, 40, 42, 44 of 48; 3 and 20 of 24).
 * Throws a config error for another notation, and for a number of blocks that is no multiple of a + b.
 */
export function blocksFromNotation(notation: string, numBlocks: number): readonly number[] | 'all' {
  const match = /^\s*(?:xlstm\s*)?\[?\s*(\d{1,6})\s*:\s*(\d{1,6})\s*\]?\s*$/i.exec(notation);
  const [a, b] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  if (a + b === 0 || notation.includes('[') !== notation.includes(']')) {
    throw new XlstmError(
      'config',
      `expected a ratio of mLSTM to sLSTM blocks such as xLSTM[7:1], found ${quote(notation)}`,
    );
  }
  if (!Number.isSafeInteger(numBlocks) || numBlocks < 1 || numBlocks > MAX_BLOCKS) {
    throw new XlstmError(
      'config',
      `number of blocks: expected a whole number from 1 to ${MAX_BLOCKS}, found ${quote(numBlocks)}`,
    );
  }
  if (a === 0) return 'all';
  if (b === 0) return [];
  const group = a + b;
  if (numBlocks % group !== 0) {
    throw new XlstmError(
      'config',
      `xLSTM[${a}:${b}] comes in groups of ${group} blocks, found ${numBlocks} blocks`,
      `use a multiple of ${group} blocks, or list the sLSTM blocks by number`,
    );
  }
  const isSlstm = (block: number): boolean => block % group >= 1 && block % group <= b;
  return Array.from({ length: numBlocks }, (_, block) => block).filter(isSlstm);
}

function build(input: object, source: string, spelling: Spelling): LanguageModelConfig {
  const config = readFields(fields, input, source, spelling, spelling === 'flat' ? flatExtras : {});
  checkTogether(config, (path) => `${source}: ${spelled(fields, path, spelling, input)}`);
  return config;
}

/** What no single key can tell. Parts that no block uses are not looked at. */
function checkTogether(config: LanguageModelConfig, where: (path: string) => string): void {
  const { embeddingDim, numBlocks, slstmAt, mlstm, slstm } = config;
  const fail = (path: string, expected: string, found: unknown, hint?: string): never => {
    throw new XlstmError('config', `${where(path)}: expected ${expected}, found ${quote(found)}`, hint);
  };
  if (slstmAt !== 'all') {
    const beyond = slstmAt.find((block) => block >= numBlocks);
    if (beyond !== undefined) {
      fail('slstmAt', `blocks from 0 to ${numBlocks - 1} (there are ${numBlocks})`, beyond);
    }
    if (new Set(slstmAt).size !== slstmAt.length) fail('slstmAt', 'each block once', slstmAt);
  }
  const slstmBlocks = slstmAt === 'all' ? numBlocks : slstmAt.length;
  if (slstmBlocks < numBlocks) {
    const inner = mlstmInnerDim(config);
    if (inner > MAX_SIZE) {
      fail(
        'mlstm.projFactor',
        `an inner width of at most ${MAX_SIZE}, which is ${inner} now`,
        mlstm.projFactor,
      );
    }
    const width = `the inner width of the mLSTM blocks, ${inner}`;
    const hint = `the inner width is ${mlstm.projFactor} × ${embeddingDim} rounded up to a multiple of ${mlstm.roundProjUpToMultipleOf}`;
    if (inner % mlstm.numHeads !== 0) fail('mlstm.numHeads', `a divisor of ${width}`, mlstm.numHeads, hint);
    if (inner % mlstm.qkvProjBlocksize !== 0) {
      fail('mlstm.qkvProjBlocksize', `a divisor of ${width}`, mlstm.qkvProjBlocksize, hint);
    }
  }
  const { projFactor } = slstm.feedforward;
  if (slstmBlocks > 0 && feedForwardDim(config) > MAX_SIZE) {
    fail('slstm.feedforward.projFactor', `a width of at most ${MAX_SIZE}`, projFactor);
  }
  if (slstmBlocks > 0 && embeddingDim % slstm.numHeads !== 0) {
    fail('slstm.numHeads', `a divisor of the embedding width, ${embeddingDim}`, slstm.numHeads);
  }
}

const roundUp = (width: number, multiple: number): number => Math.ceil(width / multiple) * multiple;
