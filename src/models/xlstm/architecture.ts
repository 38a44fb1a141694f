import { XlstmError } from '../../errors.ts';
import type { Architecture } from '../../nn/architecture.ts';
import type { NamedValues } from '../../nn/parameters.ts';
import { formatConfig, isSlstmBlock, type LanguageModelConfig, parseConfig } from './config.ts';
import { toVanillaLayout } from './cuda_layout.ts';
import { XlstmLanguageModel } from './language_model.ts';

const HEAD = 'lm_head.weight';
const EMBEDDING = 'token_embedding.weight';

/** The official package's files name the tied matrix twice. */
function encode(
  parameters: ReadonlyMap<string, NamedValues>,
  { tieWeights }: LanguageModelConfig,
): ReadonlyMap<string, NamedValues> {
  const embedding = parameters.get(EMBEDDING);
  return tieWeights && embedding ? new Map(parameters).set(HEAD, embedding) : parameters;
}

/** The original architecture; configuration and tensors as in files of the official package. */
export const xlstmArchitecture: Architecture<LanguageModelConfig, XlstmLanguageModel> = {
  name: 'xlstm',
  parseConfig,
  formatConfig,
  build: (scope, config) => new XlstmLanguageModel(scope, config),
  describe(config) {
    const { numBlocks, embeddingDim, contextLength, tieWeights } = config;
    const isSlstm = Array.from({ length: numBlocks }, (_, i) => isSlstmBlock(config, i));
    const slstm = isSlstm.filter((is) => is).length;
    const kinds = isSlstm.map((is, i) => [`blocks.${i}`, is ? 'sLSTM' : 'mLSTM']);
    return {
      summary: `${numBlocks - slstm} mLSTM and ${slstm} sLSTM blocks, width ${embeddingDim}`,
      kinds: {
        token_embedding: 'embedding',
        ...Object.fromEntries(kinds),
        post_blocks_norm: 'norm',
        lm_head: tieWeights ? 'output, the embedding' : 'output',
      },
      contextLength,
    };
  },
  tensors: {
    encode,
    decode(tensors, { tieWeights }, source) {
      const vanilla = toVanillaLayout(tensors);
      return tieWeights ? withoutTiedCopy(vanilla, source) : vanilla;
    },
  },
  layouts: { official: { configName: 'config.json', formatConfig, encode } },
};

function withoutTiedCopy(
  tensors: ReadonlyMap<string, NamedValues>,
  source: string,
): ReadonlyMap<string, NamedValues> {
  const head = tensors.get(HEAD)?.values;
  const embedding = tensors.get(EMBEDDING)?.values;
  if (!head || !embedding) return tensors;
  for (let i = 0; i < head.length; i++) {
    if (head[i] !== embedding[i]) {
      throw new XlstmError(
        'checkpoint',
        `${source}: tie_weights is set, but "${HEAD}" and "${EMBEDDING}" differ`,
        'Set "tie_weights" to false in config.json to use both.',
      );
    }
  }
  const parameters = new Map(tensors);
  parameters.delete(HEAD);
  return parameters;
}
