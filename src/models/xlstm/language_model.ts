import { embedding } from '../../compute/graph/embedding.ts';
import { linear } from '../../compute/graph/matmul.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { smallInit } from '../../nn/init.ts';
import type { LanguageModel, LayerOutput, LayerState, Pass, StateShapes } from '../../nn/layer.ts';
import type { Matrix, Scope } from '../../nn/parameters.ts';
import { BlockStack } from './blocks.ts';
import type { LanguageModelConfig } from './config.ts';

/**
 * The language model of the original architecture (Beck et al. 2024): token embedding, block stack, output layer.
 * Parameter names are those of the official package; a tied output layer has no parameter of its own.
 */
export class XlstmLanguageModel implements LanguageModel {
  /** What it was built from. */
  readonly config: LanguageModelConfig;
  readonly #embedding: Tensor; // [V, D]
  readonly #blocks: BlockStack;
  readonly #head: Matrix; // [V, D]

  /** The configuration is one of `languageModelConfig`: it is taken as it is. */
  constructor(scope: Scope, config: LanguageModelConfig) {
    this.config = config;
    const { vocabSize, embeddingDim, tieWeights, weightDecayOnEmbedding } = config;
    const shape = [vocabSize, embeddingDim] as const;
    const init = smallInit(embeddingDim);
    this.#embedding = scope.child('token_embedding').parameter('weight', shape, init, weightDecayOnEmbedding);
    this.#blocks = new BlockStack(scope.child('xlstm_block_stack'), config);
    this.#head = tieWeights
      ? this.#embedding
      : scope.child('lm_head').matrix({ name: 'weight', shape, init }, { isOutput: true });
  }

  get vocabSize(): number {
    return this.config.vocabSize;
  }

  stateShapes(batch: number): StateShapes {
    return this.#blocks.stateShapes(batch);
  }

  forward(tokens: Tensor, pass: Pass, state: LayerState): LayerOutput {
    const { addEmbeddingDropout, dropout } = this.config;
    const embedded = embedding(tokens, this.#embedding);
    return this.#blocks.forward(
      addEmbeddingDropout ? pass.dropout(embedded, dropout) : embedded,
      pass,
      state,
    );
  }

  logits(y: Tensor): Tensor {
    return linear(y, this.#head);
  }
}
