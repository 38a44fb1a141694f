import { ByteTokenizer } from '../../src/data/tokenizer.ts';
import { languageModelConfig } from '../../src/models/xlstm/config.ts';

/** A model of both kinds of block that a graphics processor in software trains in seconds. */
export const tokenizer = new ByteTokenizer();
export const config = languageModelConfig({
  vocabSize: tokenizer.vocabSize,
  embeddingDim: 16,
  numHeads: 2,
  numBlocks: 2,
  slstmAt: [1],
});
export const SHAPE = { batchSize: 2, length: 16 };
