import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import {
  allFieldsOf,
  type FieldOf,
  fileOrProgram,
  formatFields,
  MAX_SIZE,
  readFields,
  spelled,
} from '../xlstm/config_fields.ts';

/** xLSTM Large, the architecture of the 7B model (Beck et al. 2025): mLSTM blocks with feed-forwards, no sLSTM. */
export interface LargeConfig {
  /** Tokens that it knows, numbered from 0. */
  readonly vocabSize: number;
  /** Width of the residual stream. */
  readonly embeddingDim: number;
  /** Blocks, each an mLSTM layer and a feed-forward. */
  readonly numBlocks: number;
  /** Heads of each mLSTM layer. */
  readonly numHeads: number;
  /** Linear layers other than the gates', which always have one, have a bias. */
  readonly useBias: boolean;
  /** The output layer's matrix is the embedding's. */
  readonly tieWeights: boolean;
  /** A norm stands between the last block and the output layer. */
  readonly addOutNorm: boolean;
  /** Added to the mean square or variance of every norm. */
  readonly normEps: number;
  /** Added to the denominator of the mLSTM's read-out. */
  readonly eps: number;
  /** Width of all heads' queries, and of all their keys, relative to the embedding. */
  readonly qkDimFactor: number;
  /** Width of all heads' values relative to the embedding. */
  readonly vDimFactor: number;
  /** Inner width of the feed-forward relative to the embedding, */
  readonly ffnProjFactor: number;
  /** rounded up to a multiple of this. */
  readonly ffnRoundUpToMultipleOf: number;
  /** Bound c of the gates' pre-activations: c · tanh(x / c); null: none. */
  readonly gateSoftCap: number | null;
  /** The same for logits. */
  readonly outputLogitSoftCap: number | null;
  /** Files hold the matrices that read the same input one by one, or as one matrix. */
  readonly weightMode: 'single' | 'fused';
  /** The token that every text starts with; null: none. */
  readonly bosTokenId: number | null;
  /** Tokens that end a text. */
  readonly eosTokenIds: readonly number[];
  /** The token that fills rows of a batch; null: none. */
  readonly padTokenId: number | null;
}

/** What a program says of a model; everything but the vocabulary has a default. */
export type LargeOptions = Partial<LargeConfig> & Pick<LargeConfig, 'vocabSize'>;

const field = <
  P extends keyof LargeConfig,
  K extends Extract<FieldOf<LargeConfig>, { readonly path: P }>['kind'],
>(
  path: P,
  name: string,
  kind: K,
  absent?: LargeConfig[P],
) => ({ path, official: name, flat: name, kind, absent });

/** Files are spelled as `transformers` writes them; defaults are those of the official package. */
const fields = allFieldsOf<LargeConfig>()([
  field('vocabSize', 'vocab_size', 'size'),
  field('embeddingDim', 'hidden_size', 'size', 512),
  field('numBlocks', 'num_hidden_layers', 'depth', 6),
  field('numHeads', 'num_heads', 'size', 4),
  field('useBias', 'use_bias', 'flag', false),
  field('tieWeights', 'tie_word_embeddings', 'flag', false),
  field('addOutNorm', 'add_out_norm', 'flag', true),
  field('normEps', 'norm_eps', 'factor', 1e-6),
  field('eps', 'eps', 'factor', 1e-6),
  field('qkDimFactor', 'qk_dim_factor', 'factor', 0.5),
  field('vDimFactor', 'v_dim_factor', 'factor', 1),
  field('ffnProjFactor', 'ffn_proj_factor', 'factor', 2.6667),
  field('ffnRoundUpToMultipleOf', 'ffn_round_up_to_multiple_of', 'size', 64),
  field('gateSoftCap', 'gate_soft_cap', 'bound', 15),
  field('outputLogitSoftCap', 'output_logit_soft_cap', 'bound', 30),
  field('weightMode', 'weight_mode', ['single', 'fused'], 'single'),
  field('bosTokenId', 'bos_token_id', 'token', null),
  field('eosTokenIds', 'eos_token_id', 'tokens', []),
  field('padTokenId', 'pad_token_id', 'token', null),
]);

/** `transformers` refuses whole numbers for them. */
export const LARGE_DECIMALS: readonly string[] = fields
  .filter(({ kind }) => kind === 'factor' || kind === 'bound')
  .map(({ flat = '' }) => flat);

/** Keys of files, and how the official package or older files of `transformers` spell them. */
const SPELLINGS: Readonly<Record<string, string>> = {
  hidden_size: 'embedding_dim',
  num_hidden_layers: 'num_blocks',
};

/** Whether a configuration that names no architecture is one of xLSTM Large. */
export const isLargeConfig = (json: Readonly<Record<string, unknown>>): boolean =>
  (json.model_type === 'xlstm' && !('_xlstm_config' in json)) || 'qk_dim_factor' in json;

/**
 * Reads a configuration: of a program, whose keys are checked one by one, or of a file, which may have others besides
 * that say how another program runs the model. Throws a config error that names the key.
 */
export function parseLargeConfig(json: Readonly<Record<string, unknown>>, source: string): LargeConfig {
  const spelling = fileOrProgram(fields, json);
  const input = spelling === 'flat' ? ofFile(json, source) : json;
  const config = readFields(fields, input, source, spelling);
  const error = (path: keyof LargeConfig, expected: string): XlstmError =>
    new XlstmError(
      'config',
      `${source}: ${spelled(fields, path, spelling, input)}: expected ${expected}, found ${quote(config[path])}`,
    );
  const { numHeads, vocabSize } = config;
  for (const [path, width] of [
    ['qkDimFactor', qkDim(config)],
    ['vDimFactor', vDim(config)],
  ] as const) {
    if (width < 1 || width > MAX_SIZE || width % numHeads !== 0) {
      throw error(
        path,
        `a width of ${width} (${config[path]} of ${config.embeddingDim}) to be a multiple of ${numHeads} heads`,
      );
    }
  }
  if (feedForwardDim(config) > MAX_SIZE)
    throw error('ffnProjFactor', `an inner width of at most ${MAX_SIZE}`);
  for (const path of ['bosTokenId', 'padTokenId', 'eosTokenIds'] as const) {
    const ids = [config[path] ?? []].flat();
    if (ids.some((id) => id >= vocabSize)) throw error(path, `numbers below the vocabulary's ${vocabSize}`);
  }
  return config;
}

/** Of a file's keys those that say what is computed, each spelled as in `fields`. */
function ofFile(json: Readonly<Record<string, unknown>>, source: string): Record<string, unknown> {
  if (json.quantization_config !== undefined && json.quantization_config !== null) {
    throw new XlstmError(
      'config',
      `${source}: quantization_config: expected weights as numbers, found ${quote(json.quantization_config)}`,
      'Take the checkpoint that was quantized.',
    );
  }
  const input: Record<string, unknown> = {};
  for (const { flat = '' } of fields) {
    const other = SPELLINGS[flat];
    const [value = undefined, second] = [json[flat], other && json[other]].filter(
      (v) => v !== undefined && v !== null,
    );
    if (second !== undefined && second !== value) {
      throw new XlstmError(
        'config',
        `${source}: ${other}: expected the value of ${flat}, which says the same (${quote(value)}), found ${quote(second)}`,
      );
    }
    // A file may say that there is no cap; elsewhere null is how `transformers` writes a key that is not set.
    if (value !== undefined || (json[flat] === null && flat.endsWith('soft_cap')))
      input[flat] = value ?? null;
  }
  if (typeof input.eos_token_id === 'number') input.eos_token_id = [input.eos_token_id];
  return input;
}

/** A configuration as `transformers` writes it. */
export function formatLargeConfig(config: LargeConfig): Record<string, unknown> {
  const { eosTokenIds } = config;
  return {
    ...formatFields(fields, config),
    eos_token_id: eosTokenIds.length === 0 ? null : eosTokenIds.length === 1 ? eosTokenIds[0] : eosTokenIds,
    model_type: 'xlstm',
    architectures: ['xLSTMForCausalLM'],
    dtype: 'float32',
    // How `transformers` runs it: these are its defaults.
    autocast_kernel_dtype: 'bfloat16',
    chunk_size: 64,
    chunkwise_kernel: 'chunkwise--native_autograd',
    inference_state_dtype: 'float32',
    max_inference_chunksize: 16384,
    mode: 'inference',
    norm_reduction_force_float32: true,
    return_last_states: true,
    sequence_kernel: 'native_sequence__native',
    step_kernel: 'native',
    transformers_version: '5.24.0',
    use_cache: true,
  };
}

/**
 * The config.yaml of the official package, for whose `xLSTMLargeConfig` every key is a parameter: it knows no tokens, no
 * tied matrix, and takes single matrices only. Kernels are those that need no GPU.
 */
export function formatOfficialConfig(config: LargeConfig): Record<string, unknown> {
  return {
    embedding_dim: config.embeddingDim,
    num_heads: config.numHeads,
    num_blocks: config.numBlocks,
    vocab_size: config.vocabSize,
    use_bias: config.useBias,
    norm_eps: config.normEps,
    norm_reduction_force_float32: true,
    add_out_norm: config.addOutNorm,
    qk_dim_factor: config.qkDimFactor,
    v_dim_factor: config.vDimFactor,
    eps: config.eps,
    ffn_proj_factor: config.ffnProjFactor,
    ffn_round_up_to_multiple_of: config.ffnRoundUpToMultipleOf,
    gate_soft_cap: config.gateSoftCap,
    output_logit_soft_cap: config.outputLogitSoftCap,
    weight_mode: 'single',
    chunkwise_kernel: 'chunkwise--native_autograd',
    sequence_kernel: 'native_sequence__native',
    step_kernel: 'native',
    mode: 'inference',
    return_last_states: true,
    autocast_kernel_dtype: 'float32',
    inference_state_dtype: 'float32',
  };
}

/** Width of all heads' queries, and of all their keys. */
export const qkDim = ({
  embeddingDim,
  qkDimFactor,
}: Pick<LargeConfig, 'embeddingDim' | 'qkDimFactor'>): number => Math.floor(embeddingDim * qkDimFactor);

/** Width of all heads' values. */
export const vDim = ({
  embeddingDim,
  vDimFactor,
}: Pick<LargeConfig, 'embeddingDim' | 'vDimFactor'>): number => Math.floor(embeddingDim * vDimFactor);

/** Inner width of the feed-forward. */
export const feedForwardDim = ({
  embeddingDim,
  ffnProjFactor,
  ffnRoundUpToMultipleOf,
}: LargeConfig): number =>
  Math.ceil(Math.floor(embeddingDim * ffnProjFactor) / ffnRoundUpToMultipleOf) * ffnRoundUpToMultipleOf;
