import { XlstmError } from '../errors.ts';
import { type ActivationName, activationNames } from '../nn/activation.ts';
import { type Field, readFields, type Spelling, spelled } from './config_fields.ts';

export interface MlstmConfig {
  readonly numHeads: number;
  /** Inner width over embedding width, before rounding up. */
  readonly projFactor: number;
  readonly roundProjUpToMultipleOf: number;
  readonly conv1dKernelSize: number;
  /** Width of the blocks on the diagonal of the q, k and v projections. */
  readonly qkvProjBlocksize: number;
}

export interface FeedForwardConfig {
  readonly projFactor: number;
  readonly roundProjUpToMultipleOf: number;
  readonly actFn: ActivationName;
  /** The feed-forward has its own bias and dropout: those of the model do not reach it. */
  readonly bias: boolean;
  readonly dropout: number;
}

export interface SlstmConfig {
  readonly numHeads: number;
  /** 0: no convolution. */
  readonly conv1dKernelSize: number;
  readonly function: 'slstm' | 'lstm';
  readonly forgetGate: 'sigmoid' | 'exponential';
  readonly biasInit: 'powerlaw_blockdependent' | 'small_init' | 'standard' | 'zeros';
  readonly recurrentWeightInit: 'zeros' | 'standard';
  readonly groupNormWeight: boolean;
  /** No gradient through the recurrent matrices. */
  readonly gradientRecurrentCut: boolean;
  /** Bound on each element of the gradient that comes back through the recurrent matrices; null: none. */
  readonly gradientRecurrentClipval: number | null;
  readonly feedforward: FeedForwardConfig;
}

/** A language model of the original architecture (Beck et al. 2024): embedding, blocks, norm, output layer. */
export interface LanguageModelConfig {
  readonly vocabSize: number;
  readonly embeddingDim: number;
  readonly numBlocks: number;
  /** The blocks, counted from 0 and ascending, that are sLSTM; the others are mLSTM. */
  readonly slstmAt: readonly number[] | 'all';
  /** The length of training sequences. No limit at run time: the state has a constant size. */
  readonly contextLength: number;
  readonly tieWeights: boolean;
  readonly dropout: number;
  readonly bias: boolean;
  readonly weightDecayOnEmbedding: boolean;
  readonly addEmbeddingDropout: boolean;
  readonly addPostBlocksNorm: boolean;
  readonly mlstm: MlstmConfig;
  readonly slstm: SlstmConfig;
}

/** What a program says about a model; everything but the vocabulary has a default. */
export type LanguageModelOptions = Partial<Omit<LanguageModelConfig, 'mlstm' | 'slstm'>> & {
  readonly vocabSize: number;
  /** Heads of both kinds of block, where `mlstm.numHeads` and `slstm.numHeads` do not say otherwise. */
  readonly numHeads?: number;
  readonly mlstm?: Partial<MlstmConfig>;
  readonly slstm?: Partial<Omit<SlstmConfig, 'feedforward'>> & {
    readonly feedforward?: Partial<FeedForwardConfig>;
  };
};

const HEADS = 4;

/**
 * Every key once: its name here, in files of the official layout, in flat files, what it may be, what it is when
 * absent (the official defaults; the context length has none there). The order is that of the file.
 */
const fields: readonly Field[] = [
  { path: 'vocabSize', official: 'vocab_size', flat: 'vocab_size', kind: 'size' },
  { path: 'embeddingDim', official: 'embedding_dim', flat: 'embedding_dim', kind: 'size', absent: 128 },
  { path: 'numBlocks', official: 'num_blocks', flat: 'num_blocks', kind: 'size', absent: 1 },
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
    kind: 'size',
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
    kind: 'count',
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
];

/** Fills in the defaults and checks that the parts fit together. */
export function languageModelConfig(options: LanguageModelOptions): LanguageModelConfig {
  return build(options, 'model configuration', 'options');
}

/**
 * Reads a configuration file: the official nested layout (`mlstm_block`, `slstm_block`) or the flat one.
 * `source` names the file in errors; paths in errors are spelled as in the file.
 */
export function parseConfig(json: unknown, source: string): LanguageModelConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new XlstmError('config', `${source}: expected an object, found ${JSON.stringify(json)}`);
  }
  const nested = 'mlstm_block' in json || 'slstm_block' in json;
  return build(json, source, nested ? 'official' : 'flat');
}

/** The official nested layout as a plain object; `parseConfig` reads it back to an equal configuration. */
export function formatConfig(config: LanguageModelConfig): Record<string, unknown> {
  const file: Record<string, unknown> = {};
  for (const field of fields) {
    const value = get(config, field.path);
    if (!(field.unlessAbsent && value === field.absent)) set(file, field.official, value);
  }
  return file;
}

/** Width inside an mLSTM block. */
export function mlstmInnerDim(config: LanguageModelConfig): number {
  return roundUp(config.mlstm.projFactor * config.embeddingDim, config.mlstm.roundProjUpToMultipleOf);
}

/** Width of the two branches inside the feed-forward of an sLSTM block. */
export function feedForwardDim(config: LanguageModelConfig): number {
  const { projFactor, roundProjUpToMultipleOf } = config.slstm.feedforward;
  return roundUp(projFactor * config.embeddingDim, roundProjUpToMultipleOf);
}

export function isSlstmBlock(config: LanguageModelConfig, block: number): boolean {
  return config.slstmAt === 'all' || config.slstmAt.includes(block);
}

/**
 * `slstmAt` for the paper's notation: xLSTM[a:b] is a mLSTM blocks to b sLSTM blocks. Blocks come in groups of
 * a + b; in each group the sLSTM blocks are those numbered 1 to b (counted from 0), so a model starts with mLSTM
 * where it has any: [7:1] in 8 blocks gives 1, in 16 blocks 1 and 9; [1:1] gives 1, 3, 5, …; [1:0] none; [0:1] all.
 * The paper placed the sLSTM blocks of its own large models by hand (3, 5, 7, 40, 42, 44 of 48; 3 and 20 of 24).
 */
export function blocksFromNotation(notation: string, numBlocks: number): readonly number[] | 'all' {
  const match = /^\s*(?:xlstm\s*)?\[?\s*(\d{1,6})\s*:\s*(\d{1,6})\s*\]?\s*$/i.exec(notation);
  const [a, b] = match ? [Number(match[1]), Number(match[2])] : [0, 0];
  if (a + b === 0 || notation.includes('[') !== notation.includes(']')) {
    throw new XlstmError(
      'config',
      `expected a ratio of mLSTM to sLSTM blocks such as xLSTM[7:1], found ${JSON.stringify(notation)}`,
    );
  }
  if (!Number.isSafeInteger(numBlocks) || numBlocks < 1) {
    throw new XlstmError('config', `number of blocks: expected a whole number above 0, found ${numBlocks}`);
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
  const found = readFields(fields, input, source, spelling);
  const config: Record<string, unknown> = {};
  for (const field of fields) set(config, field.path, found.get(field.path));
  // The table gives every key of the type its kind: what readFields returns has this shape.
  const result = config as unknown as LanguageModelConfig;
  checkTogether(result, (path) => `${source}: ${spelled(fields, path, spelling, input)}`);
  return result;
}

/** What no single key can tell. Parts that no block uses are not looked at. */
function checkTogether(config: LanguageModelConfig, where: (path: string) => string): void {
  const { embeddingDim, numBlocks, slstmAt, mlstm, slstm } = config;
  const fail = (path: string, expected: string, found: unknown, hint?: string): never => {
    throw new XlstmError(
      'config',
      `${where(path)}: expected ${expected}, found ${JSON.stringify(found)}`,
      hint,
    );
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
    const width = `the inner width of the mLSTM blocks, ${inner}`;
    const hint = `the inner width is ${mlstm.projFactor} × ${embeddingDim} rounded up to a multiple of ${mlstm.roundProjUpToMultipleOf}`;
    if (inner % mlstm.numHeads !== 0) fail('mlstm.numHeads', `a divisor of ${width}`, mlstm.numHeads, hint);
    if (inner % mlstm.qkvProjBlocksize !== 0) {
      fail('mlstm.qkvProjBlocksize', `a divisor of ${width}`, mlstm.qkvProjBlocksize, hint);
    }
  }
  if (slstmBlocks > 0 && embeddingDim % slstm.numHeads !== 0) {
    fail('slstm.numHeads', `a divisor of the embedding width, ${embeddingDim}`, slstm.numHeads);
  }
}

const roundUp = (width: number, multiple: number): number => Math.ceil(width / multiple) * multiple;

function get(tree: object, path: string): unknown {
  let value: unknown = tree;
  for (const key of path.split('.')) value = (value as Record<string, unknown>)[key];
  return value;
}

function set(tree: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split('.');
  let node = tree;
  for (const key of keys.slice(0, -1)) {
    node[key] ??= {};
    node = node[key] as Record<string, unknown>;
  }
  node[keys[keys.length - 1]] = value;
}
