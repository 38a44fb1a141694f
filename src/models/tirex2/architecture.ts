import type { Architecture } from '../../nn/architecture.ts';
import { formatTirex2Config, isTirex2Config, parseTirex2Config, type Tirex2Config } from './config.ts';
import { Tirex2Network } from './network.ts';
import { parametersOf, tensorsOf } from './tensors.ts';

/** TiRex-2; configuration and tensors as in its files. */
export const tirex2Architecture: Architecture<Tirex2Config, Tirex2Network> = {
  name: 'tirex2',
  recognises: isTirex2Config,
  parseConfig: parseTirex2Config,
  formatConfig: formatTirex2Config,
  build: (scope, config) => new Tirex2Network(scope, config),
  describe({ blocks, embeddingDim, patchSize, contextLength, quantiles }) {
    const count = (kind: string): number => blocks.filter((cell) => cell === kind).length;
    return {
      summary: `TiRex-2 forecaster, ${count('mlstm')} mLSTM and ${count('slstm')} sLSTM blocks, width ${embeddingDim}, patches of ${patchSize}, ${quantiles.length} quantiles`,
      kinds: {
        input_patch_embedding: 'patches in',
        ...Object.fromEntries(
          blocks.map((cell, i) => [`stack.${i}`, cell === 'mlstm' ? 'mLSTM, attention' : 'sLSTM, attention']),
        ),
        stack_out_norm: 'norm',
        output_patch_embedding: 'quantiles out',
      },
      contextLength: Math.ceil(contextLength / patchSize),
    };
  },
  tensors: { encode: tensorsOf, decode: parametersOf },
};
