import type { Architecture } from '../../nn/architecture.ts';
import type { NamedValues } from '../../nn/parameters.ts';
import { toCudaLayout, toVanillaLayout } from '../xlstm/cuda_layout.ts';
import { formatTirexConfig, isTirexConfig, parseTirexConfig, type TirexConfig } from './config.ts';
import { TirexNetwork } from './network.ts';

/** TiRex; configuration and tensors as in its files. */
export const tirexArchitecture: Architecture<TirexConfig, TirexNetwork> = {
  name: 'tirex',
  recognises: isTirexConfig,
  parseConfig: parseTirexConfig,
  formatConfig: formatTirexConfig,
  build: (scope, config) => new TirexNetwork(scope, config),
  describe: ({ numBlocks, embeddingDim, patchSize, contextLength, quantiles }) => ({
    summary: `TiRex forecaster, ${numBlocks} sLSTM blocks, width ${embeddingDim}, patches of ${patchSize}, ${quantiles.length} quantiles`,
    kinds: {
      input_patch_embedding: 'patches in',
      ...Object.fromEntries(Array.from({ length: numBlocks }, (_, i) => [`blocks.${i}`, 'sLSTM'])),
      out_norm: 'norm',
      output_patch_embedding: 'quantiles out',
    },
    contextLength: Math.ceil(contextLength / patchSize),
  }),
  tensors: { encode: toCudaLayout, decode: (tensors) => toVanillaLayout(withoutStackName(tensors)) },
};

/** PyTorch Lightning's checkpoints name the stack within the model: `block_stack.blocks.0.…`. */
const withoutStackName = (tensors: ReadonlyMap<string, NamedValues>): ReadonlyMap<string, NamedValues> =>
  new Map([...tensors].map(([name, tensor]) => [name.replace('block_stack.', ''), tensor]));
