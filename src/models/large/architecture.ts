import type { Architecture } from '../../nn/architecture.ts';
import {
  formatLargeConfig,
  formatOfficialConfig,
  isLargeConfig,
  LARGE_DECIMALS,
  type LargeConfig,
  parseLargeConfig,
} from './config.ts';
import { LargeLanguageModel } from './language_model.ts';
import { officialTensorsOf, parametersOf, tensorsOf } from './tensors.ts';

/** xLSTM Large; configuration and tensors as in files of `transformers`. */
export const largeArchitecture: Architecture<LargeConfig, LargeLanguageModel> = {
  name: 'xlstm-large',
  recognises: isLargeConfig,
  parseConfig: parseLargeConfig,
  formatConfig: formatLargeConfig,
  build: (scope, config) => new LargeLanguageModel(scope, config),
  describe({ numBlocks, embeddingDim, tieWeights, bosTokenId, eosTokenIds }) {
    const kinds = Array.from({ length: numBlocks }, (_, i) => [`backbone.blocks.${i}`, 'mLSTM']);
    return {
      summary: `xLSTM Large, ${numBlocks} blocks, width ${embeddingDim}`,
      kinds: {
        'backbone.embeddings': 'embedding',
        ...Object.fromEntries(kinds),
        'backbone.out_norm': 'norm',
        lm_head: tieWeights ? 'output, the embedding' : 'output',
      },
      startToken: bosTokenId ?? undefined,
      endTokens: eosTokenIds,
    };
  },
  decimals: LARGE_DECIMALS,
  tensors: { encode: tensorsOf, decode: parametersOf },
  layouts: {
    transformers: { configName: 'config.json', formatConfig: formatLargeConfig, encode: tensorsOf },
    official: { configName: 'config.yaml', formatConfig: formatOfficialConfig, encode: officialTensorsOf },
  },
};
