import { checkNames, checkOption, checkQuantiles, checkWhole } from '../../checks.ts';
import { XlstmError } from '../../errors.ts';
import type { ActivationName } from '../../nn/activation.ts';
import { quote } from '../../quote.ts';

/** The cell of a block. */
export type Tirex2Cell = 'mlstm' | 'slstm';

/** TiRex-2: forecasts of several variates with covariates, by mLSTM and sLSTM blocks over patches and attention over the variates. */
export interface Tirex2Config {
  /** P: values of a patch, which is a token. Default: 32. */
  readonly patchSize: number;
  /** C: values of a series that are looked at, the last ones. Default: 2048. */
  readonly contextLength: number;
  /** F: steps that are forecast at most, whole patches. Default: 320. */
  readonly futureLength: number;
  /** Those that are forecast, ascending. Default: 0.1, 0.2 … 0.9. */
  readonly quantiles: readonly number[];
  /** Hidden width of the block that reads patches. Default: 2048. */
  readonly patchHiddenDim: number;
  /** That of the block that writes them, relative to the embedding. Default: 4. */
  readonly outputHiddenFactor: number;
  /** The cell of each block. Default: 12, mLSTM and sLSTM by turns. */
  readonly blocks: readonly Tirex2Cell[];
  /** D: width of the residual stream. Default: 512. */
  readonly embeddingDim: number;
  /** Heads of each mLSTM layer. Default: 4. */
  readonly numHeads: number;
  /** Heads of each sLSTM layer. Default: 4. */
  readonly numSlstmHeads: number;
  /** Heads of the attention over variates. Default: 4. */
  readonly numVariateHeads: number;
  /** In the blocks that read and write patches, and behind the attention. Default: swish. */
  readonly activation: ActivationName;
  /** Queries and keys of the attention have length 1, but for a factor. Default: true. */
  readonly qkNorm: boolean;
  /** Added to the mean square of the norm before the output; null: there is none. Default: 1e-7. */
  readonly outNormEps: number | null;
  /** Scaled values go through asinh. Default: true. */
  readonly arcsinh: boolean;
  /** Rows of 0 and 1 are left as they are. Default: true. */
  readonly binaryAware: boolean;
  /** Forecasts are the mean of that of the series and that of its negative. Default: false. */
  readonly signFlip: boolean;
  /** Targets with a strong trend are forecast by their differences. Default: true. */
  readonly differencing: boolean;
}

const DEFAULTS: Tirex2Config = {
  patchSize: 32,
  contextLength: 2048,
  futureLength: 320,
  quantiles: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
  patchHiddenDim: 2048,
  outputHiddenFactor: 4,
  blocks: Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? 'mlstm' : 'slstm')),
  embeddingDim: 512,
  numHeads: 4,
  numSlstmHeads: 4,
  numVariateHeads: 4,
  activation: 'swish',
  qkNorm: true,
  outNormEps: 1e-7,
  arcsinh: true,
  binaryAware: true,
  signFlip: false,
  differencing: true,
};

const MAX_SIZE = 2 ** 16;
const MAX_BLOCKS = 4096;

type Json = Readonly<Record<string, unknown>>;

/** Whether a configuration that names no architecture is that of a TiRex-2 file. */
export const isTirex2Config = (json: Json): boolean => 'stack_config' in json && 'tokenizer_cfg' in json;

/** Inner width of a block's feed-forward. */
export const feedForwardDim = ({ embeddingDim }: Tirex2Config): number =>
  Math.floor((2.6667 * embeddingDim + 63) / 64) * 64;

/** Hidden width of the block that writes patches. */
export const outputHiddenDim = ({ embeddingDim, outputHiddenFactor }: Tirex2Config): number =>
  Math.floor(embeddingDim * outputHiddenFactor);

/**
 * Reads the config.json of a TiRex-2, or what a program says, by the names of Tirex2Config. Throws a config error that
 * names the key.
 */
export function parseTirex2Config(json: Json, source: string): Tirex2Config {
  try {
    const given = 'stack_config' in json ? ofFile(json) : json;
    checkNames('tirex2', given, Object.keys(DEFAULTS));
    const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    const config = { ...DEFAULTS, ...present } as Tirex2Config;
    check(config);
    return config;
  } catch (error) {
    if (!(error instanceof XlstmError)) throw error;
    throw new XlstmError('config', `${source}: ${error.message}`, error.hint);
  }
}

/** Activations of PyTorch by the ends of their names. */
const ACTIVATIONS: Readonly<Record<string, ActivationName>> = { SiLU: 'swish', ReLU: 'relu', GELU: 'gelu' };

/** Names of blocks in files. */
const TEMPLATES: Readonly<Record<Tirex2Cell, string>> = { mlstm: 'mlstm_attn', slstm: 'slstm_attn' };

/** The content of config.json as the official package reads it. */
export function formatTirex2Config(config: Tirex2Config): Json {
  const { patchSize, embeddingDim, blocks } = config;
  const template = (cell: Tirex2Cell): Json => ({
    time_mixer: {
      model_type: `bi-${cell}`,
      embedding_dim: embeddingDim,
      num_heads: config.numHeads,
      num_slstm_heads: config.numSlstmHeads,
    },
    variate_mixer: { embedding_dim: embeddingDim, num_heads: config.numVariateHeads },
    dropout: 0.1,
    eps: 1e-7,
  });
  return {
    stack_config: {
      templates: Object.fromEntries(
        (['mlstm', 'slstm'] as const).map((cell) => [TEMPLATES[cell], template(cell)]),
      ),
      recipe: blocks.map((cell) => TEMPLATES[cell]),
    },
    num_blocks: blocks.length,
    embedding_dim: embeddingDim,
    input_patch_size: patchSize,
    output_patch_size: patchSize,
    quantiles: [...config.quantiles],
    tokenizer_cfg: {
      input_patch_size: patchSize,
      output_patch_size: patchSize,
      input_patch_stride: patchSize,
    },
    scaler_cfg: { use_arcsinh: config.arcsinh, binaryaware: config.binaryAware },
    h_expand: config.outputHiddenFactor,
    context_len: config.contextLength,
    future_len: config.futureLength,
    input_ff_dim: config.patchHiddenDim,
    act_func: Object.keys(ACTIVATIONS).find((name) => ACTIVATIONS[name] === config.activation),
    dropout: 0.1,
    use_qk_norm: config.qkNorm,
    stack_out_norm_config: config.outNormEps === null ? null : { eps: config.outNormEps },
    tta_sign_flip: config.signFlip,
    tta_diff: config.differencing,
  };
}

/** Keys of files that say nothing of the result. */
const WITHOUT_EFFECT = ['device', 'postprocessor_cfg', 'matmul_precision', 'dropout'];

const KEYS = [
  ...['stack_config', 'num_blocks', 'embedding_dim', 'input_patch_size', 'output_patch_size', 'quantiles'],
  ...['tokenizer_cfg', 'scaler_cfg', 'h_expand', 'context_len', 'future_len', 'input_ff_dim', 'act_func'],
  ...['use_qk_norm', 'stack_out_norm_config', 'tta_sign_flip', 'tta_diff'],
  ...WITHOUT_EFFECT,
];

function ofFile(json: Json): Json {
  checkNames('config', json, KEYS);
  const { input_patch_size: patchSize, num_blocks: numBlocks, embedding_dim: dim, act_func: act } = json;
  for (const key of ['output_patch_size', ...PATCH_KEYS]) {
    const [holder, name] = key === 'output_patch_size' ? [json, key] : [objectAt(json, 'tokenizer_cfg'), key];
    const place = holder === json ? name : `tokenizer_cfg.${name}`;
    requireSame(place, holder[name], patchSize, 'input_patch_size');
  }
  const stack = blocksOf(objectAt(json, 'stack_config'), dim);
  requireSame('stack_config.recipe', stack.blocks.length, numBlocks, 'num_blocks');
  const scaler = 'scaler_cfg' in json ? objectAt(json, 'scaler_cfg') : {};
  checkNames('scaler_cfg', scaler, ['use_arcsinh', 'binaryaware', 'eps']);
  const activation = typeof act === 'string' ? ACTIVATIONS[act.slice(act.lastIndexOf('.') + 1)] : undefined;
  checkOption(activation !== undefined, 'act_func', Object.keys(ACTIVATIONS).join(' or '), act);
  const norm = json.stack_out_norm_config === null ? null : objectAt(json, 'stack_out_norm_config');
  const config = {
    patchSize,
    contextLength: json.context_len,
    futureLength: json.future_len,
    quantiles: json.quantiles,
    patchHiddenDim: json.input_ff_dim,
    outputHiddenFactor: json.h_expand,
    embeddingDim: dim,
    activation,
    outNormEps: norm === null ? null : norm.eps,
    arcsinh: scaler.use_arcsinh ?? false,
    binaryAware: scaler.binaryaware ?? false,
    ...stack,
  };
  for (const [key, value] of Object.entries(config)) checkOption(value !== undefined, key, 'a value', 'none');
  return {
    ...config,
    qkNorm: json.use_qk_norm,
    signFlip: json.tta_sign_flip,
    differencing: json.tta_diff,
  };
}

const PATCH_KEYS = ['input_patch_size', 'output_patch_size', 'input_patch_stride'];

/** The cells of the blocks, and their heads, which are the same in all blocks of a kind. */
function blocksOf(
  stack: Json,
  dim: unknown,
): Pick<Tirex2Config, 'blocks'> & Readonly<Record<string, unknown>> {
  const templates = objectAt(stack, 'templates', 'stack_config.');
  const { recipe } = stack;
  checkOption(Array.isArray(recipe), 'stack_config.recipe', 'a list of names', recipe);
  const heads: Record<string, unknown> = {};
  const agree = (place: string, name: string, value: unknown): void => {
    if (name in heads) requireSame(place, value, heads[name], 'the other blocks');
    heads[name] = value;
  };
  const blocks = (recipe as unknown[]).map((name) => {
    const at = `stack_config.templates.${quote(name)}`;
    checkOption(typeof name === 'string' && Object.hasOwn(templates, name), at, 'a template', 'none');
    const template = objectAt(templates, name as string, 'stack_config.templates.');
    const time = objectAt(template, 'time_mixer', `${at}.`);
    const variate = objectAt(template, 'variate_mixer', `${at}.`);
    const cell = (['mlstm', 'slstm'] as const).find((each) => time.model_type === `bi-${each}`);
    checkOption(
      cell !== undefined,
      `${at}.time_mixer.model_type`,
      '"bi-mlstm" or "bi-slstm"',
      time.model_type,
    );
    requireSame(`${at}.time_mixer.embedding_dim`, time.embedding_dim, dim, 'embedding_dim');
    requireSame(`${at}.variate_mixer.embedding_dim`, variate.embedding_dim, dim, 'embedding_dim');
    const { num_heads: numHeads, num_slstm_heads: numSlstmHeads = numHeads } = time;
    agree(`${at}.time_mixer.num_heads`, 'numHeads', numHeads);
    agree(`${at}.time_mixer.num_slstm_heads`, 'numSlstmHeads', numSlstmHeads);
    agree(`${at}.variate_mixer.num_heads`, 'numVariateHeads', variate.num_heads);
    return cell as Tirex2Cell;
  });
  return { ...heads, blocks };
}

function requireSame(place: string, found: unknown, expected: unknown, of: string): void {
  checkOption(found === expected, place, `${quote(expected)} as ${of}`, found);
}

function objectAt(json: Json, key: string, prefix = ''): Json {
  const value = json[key];
  const right = typeof value === 'object' && value !== null && !Array.isArray(value);
  checkOption(right, `${prefix}${key}`, 'an object', value);
  return value as Json;
}

function check(config: Tirex2Config): void {
  const { patchSize, embeddingDim, blocks, outputHiddenFactor, outNormEps } = config;
  checkWhole('patchSize', patchSize, 1, MAX_SIZE);
  checkWhole('contextLength', config.contextLength, patchSize, 2 ** 24);
  checkWhole('futureLength', config.futureLength, patchSize, 2 ** 24);
  checkOption(
    config.futureLength % patchSize === 0,
    'futureLength',
    `a multiple of patchSize ${patchSize}`,
    config.futureLength,
  );
  checkQuantiles(config.quantiles);
  checkWhole('patchHiddenDim', config.patchHiddenDim, 1, MAX_SIZE);
  checkWhole('embeddingDim', embeddingDim, 1, MAX_SIZE);
  checkOption(
    Array.isArray(blocks) &&
      blocks.length > 0 &&
      blocks.length <= MAX_BLOCKS &&
      blocks.every((cell) => cell === 'mlstm' || cell === 'slstm'),
    'blocks',
    '"mlstm" or "slstm" for each block',
    quote(blocks),
  );
  const hidden = outputHiddenFactor * embeddingDim;
  checkOption(
    hidden >= 1 && hidden <= MAX_SIZE,
    'outputHiddenFactor',
    'a width of at least 1',
    outputHiddenFactor,
  );
  for (const [name, divided] of [
    ['numHeads', embeddingDim / 2],
    ['numSlstmHeads', embeddingDim],
    ['numVariateHeads', embeddingDim],
  ] as const) {
    checkWhole(name, config[name], 1, MAX_SIZE);
    checkOption(divided % config[name] === 0, name, `a divisor of ${divided}`, config[name]);
  }
  checkOption(
    Object.values(ACTIVATIONS).includes(config.activation),
    'activation',
    Object.values(ACTIVATIONS).join(' or '),
    config.activation,
  );
  checkOption(
    outNormEps === null || (typeof outNormEps === 'number' && outNormEps >= 0 && outNormEps < 1),
    'outNormEps',
    'null or a number from 0 to 1',
    outNormEps,
  );
  for (const name of ['qkNorm', 'arcsinh', 'binaryAware', 'signFlip', 'differencing'] as const)
    checkOption(typeof config[name] === 'boolean', name, 'true or false', config[name]);
}
