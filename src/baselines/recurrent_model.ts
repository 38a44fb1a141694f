import { embedding } from '../graph/embedding.ts';
import type { Tensor } from '../graph/tensor.ts';
import { normalInit, uniformInit } from '../nn/init.ts';
import {
  type LanguageModel,
  type LayerState,
  type Pass,
  type StateShapes,
  stateBelow,
  under,
} from '../nn/layer.ts';
import { Linear } from '../nn/linear.ts';
import type { Scope } from '../nn/parameters.ts';
import { RecurrentLayer, type RecurrentLayerOptions } from './recurrent_layer.ts';

export interface RecurrentModelOptions extends Pick<RecurrentLayerOptions, 'cell' | 'heads'> {
  readonly vocabSize: number;
  readonly embeddingDim: number;
  /** Width of every layer. */
  readonly hiddenDim: number;
  readonly layers: number;
}

/** Embedding, recurrent layers one upon the other, output layer: no norms, no residuals, as these cells are known. */
export class RecurrentLanguageModel implements LanguageModel {
  readonly vocabSize: number;
  readonly #embedding: Tensor; // [V, E]
  readonly #layers: readonly RecurrentLayer[];
  readonly #head: Linear;

  constructor(scope: Scope, options: RecurrentModelOptions) {
    const { cell, heads, vocabSize, embeddingDim, hiddenDim, layers } = options;
    this.vocabSize = vocabSize;
    this.#embedding = scope
      .child('token_embedding')
      .parameter('weight', [vocabSize, embeddingDim], normalInit(1), false);
    this.#layers = Array.from({ length: layers }, (_, i) => {
      const inputDim = i === 0 ? embeddingDim : hiddenDim;
      return new RecurrentLayer(scope.child(`layers.${i}`), { cell, inputDim, dim: hiddenDim, heads });
    });
    const init = uniformInit(1 / Math.sqrt(hiddenDim));
    this.#head = new Linear(scope.child('lm_head'), hiddenDim, vocabSize, { weight: init, bias: init });
  }

  stateShapes(batch: number): StateShapes {
    return Object.assign(
      {},
      ...this.#layers.map((layer, i) => under(`layers.${i}`, layer.stateShapes(batch))),
    );
  }

  forward(tokens: Tensor, pass: Pass, state: LayerState): { y: Tensor; state: LayerState } {
    let y = embedding(tokens, this.#embedding);
    const last: Record<string, Tensor> = {};
    this.#layers.forEach((layer, i) => {
      const after = layer.forward(y, pass, stateBelow(state, `layers.${i}`));
      y = after.y;
      Object.assign(last, under(`layers.${i}`, after.state));
    });
    return { y, state: last };
  }

  logits(y: Tensor): Tensor {
    return this.#head.forward(y);
  }
}
