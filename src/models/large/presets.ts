import type { LargeOptions } from './config.ts';

/** Vocabulary and special tokens of the published models. */
const PUBLISHED = { vocabSize: 50304, bosTokenId: 0, eosTokenIds: [2], padTokenId: 1 };

/** Sizes of xLSTM Large by name: of the 7B, of two of the models of its scaling laws (Beck et al. 2025), and one of bytes to try. */
export const LARGE_PRESETS: Readonly<Record<string, LargeOptions>> = {
  'xlstm-tiny': { vocabSize: 256, embeddingDim: 64, numBlocks: 2, numHeads: 2 },
  'xlstm-84m': { ...PUBLISHED, embeddingDim: 512, numBlocks: 10, numHeads: 4 },
  'xlstm-164m': { ...PUBLISHED, embeddingDim: 768, numBlocks: 12, numHeads: 6, ffnProjFactor: 2.75 },
  'xlstm-7b': { ...PUBLISHED, embeddingDim: 4096, numBlocks: 32, numHeads: 8 },
};
