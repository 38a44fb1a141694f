import { checkNames, checkOption, checkQuantiles, checkWhole } from '../../checks.ts';
import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';

/** TiRex (Auer et al. 2025): forecasts of one series by sLSTM blocks over patches of it. */
export interface TirexConfig {
  /** P: values of a patch, which is a token. Default: 32. */
  readonly patchSize: number;
  /** C: values of a series that are looked at, the last ones. Default: 2048. */
  readonly contextLength: number;
  /** Those that are forecast, ascending; 0.5 is among them. Default: 0.1, 0.2 … 0.9. */
  readonly quantiles: readonly number[];
  /** Hidden width of the blocks that read patches and write them. Default: 2048. */
  readonly patchHiddenDim: number;
  /** sLSTM blocks. Default: 12. */
  readonly numBlocks: number;
  /** D: width of the residual stream. Default: 512. */
  readonly embeddingDim: number;
  /** Heads of each sLSTM layer. Default: 4. */
  readonly numHeads: number;
  /** Inner width of the feed-forward relative to D, rounded up to a multiple of 64. Default: 2.6667. */
  readonly ffnProjFactor: number;
}

const DEFAULTS: TirexConfig = {
  patchSize: 32,
  contextLength: 2048,
  quantiles: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
  patchHiddenDim: 2048,
  numBlocks: 12,
  embeddingDim: 512,
  numHeads: 4,
  ffnProjFactor: 2.6667,
};

const MAX_SIZE = 2 ** 16;
const MAX_BLOCKS = 4096;
const ROUND_UP_TO = 64;

type Json = Readonly<Record<string, unknown>>;

/** Whether a configuration that names no architecture is what the hyperparameters of a TiRex checkpoint say. */
export const isTirexConfig = (json: Json): boolean => 'model_config' in json && 'train_ctx_len' in json;

/** Inner width of a block's feed-forward. */
export const feedForwardDim = ({ embeddingDim, ffnProjFactor }: TirexConfig): number =>
  Math.floor((ffnProjFactor * embeddingDim + ROUND_UP_TO - 1) / ROUND_UP_TO) * ROUND_UP_TO;

/**
 * Reads the hyperparameters of a file, {"model_config": {…}, "train_ctx_len": …}, or what a program says, by the names of
 * TirexConfig. Throws a config error that names the key.
 */
export function parseTirexConfig(json: Json, source: string): TirexConfig {
  try {
    const given = 'model_config' in json ? ofFile(json) : json;
    checkNames('tirex', given, Object.keys(DEFAULTS));
    const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    const config = { ...DEFAULTS, ...present } as TirexConfig;
    check(config);
    return config;
  } catch (error) {
    if (!(error instanceof XlstmError)) throw error;
    throw new XlstmError('config', `${source}: ${error.message}`, error.hint);
  }
}

/** The content of config.json: the hyperparameters as the official checkpoint holds them. */
export const formatTirexConfig = (config: TirexConfig): Json => ({
  model_config: {
    input_patch_size: config.patchSize,
    output_patch_size: config.patchSize,
    quantiles: [...config.quantiles],
    input_ff_dim: config.patchHiddenDim,
    block_kwargs: {
      num_blocks: config.numBlocks,
      embedding_dim: config.embeddingDim,
      num_heads: config.numHeads,
      ffn_proj_factor: config.ffnProjFactor,
    },
  },
  train_ctx_len: config.contextLength,
});

/** Files say everything but the factor. Other keys say how another program runs the model. */
function ofFile(json: Json): Json {
  const model = objectAt(json, 'model_config');
  const blocks = objectAt(model, 'block_kwargs', 'model_config.');
  const { input_patch_size: patchSize, output_patch_size: written } = model;
  checkOption(
    patchSize === written,
    'model_config.output_patch_size',
    `${quote(patchSize)} as input_patch_size`,
    written,
  );
  const required = (path: string, value: unknown): unknown => {
    checkOption(value !== undefined, path, 'a value', 'none');
    return value;
  };
  return {
    patchSize: required('model_config.input_patch_size', patchSize),
    contextLength: required('train_ctx_len', json.train_ctx_len),
    quantiles: required('model_config.quantiles', model.quantiles),
    patchHiddenDim: required('model_config.input_ff_dim', model.input_ff_dim),
    numBlocks: required('model_config.block_kwargs.num_blocks', blocks.num_blocks),
    embeddingDim: required('model_config.block_kwargs.embedding_dim', blocks.embedding_dim),
    numHeads: required('model_config.block_kwargs.num_heads', blocks.num_heads),
    ffnProjFactor: blocks.ffn_proj_factor,
  };
}

function objectAt(json: Json, key: string, prefix = ''): Json {
  const value = json[key];
  checkOption(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    `${prefix}${key}`,
    'an object',
    quote(value),
  );
  return value as Json;
}

function check(config: TirexConfig): void {
  const { patchSize, embeddingDim, numHeads, quantiles, ffnProjFactor } = config;
  checkWhole('patchSize', patchSize, 1, MAX_SIZE);
  checkWhole('contextLength', config.contextLength, patchSize, 2 ** 24);
  checkQuantiles(quantiles);
  checkOption(quantiles.includes(0.5), 'quantiles', '0.5 among them', quote(quantiles));
  checkWhole('patchHiddenDim', config.patchHiddenDim, 1, MAX_SIZE);
  checkWhole('numBlocks', config.numBlocks, 1, MAX_BLOCKS);
  checkWhole('embeddingDim', embeddingDim, 1, MAX_SIZE);
  checkWhole('numHeads', numHeads, 1, MAX_SIZE);
  checkOption(
    embeddingDim % numHeads === 0,
    'numHeads',
    `a divisor of embeddingDim ${embeddingDim}`,
    numHeads,
  );
  checkOption(
    ffnProjFactor > 0 && ffnProjFactor <= 64,
    'ffnProjFactor',
    'a number above 0, to 64',
    ffnProjFactor,
  );
}
