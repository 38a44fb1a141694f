import { embedding } from '../../compute/graph/embedding.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { normalInit, uniformInit } from '../../nn/init.ts';
import {
  type LanguageModel,
  type LayerOutput,
  type LayerState,
  type Pass,
  type SequenceLayer,
  type StateShapes,
  stateBelow,
  under,
} from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import type { Scope } from '../../nn/parameters.ts';
import { RecurrentLayer, type RecurrentLayerOptions } from './recurrent_layer.ts';

export interface RecurrentStackOptions extends Pick<RecurrentLayerOptions, 'cell' | 'heads'> {
  readonly inputDim: number;
  /** Width of every layer. */
  readonly hiddenDim: number;
  readonly layers: number;
}

/** Recurrent layers one upon the other, [B, T, inputDim] to [B, T, hiddenDim]. The state of layer i is under `layers.i`. */
export class RecurrentStack implements SequenceLayer {
  readonly #layers: readonly RecurrentLayer[];

  constructor(scope: Scope, { cell, heads, inputDim, hiddenDim, layers }: RecurrentStackOptions) {
    this.#layers = Array.from(
      { length: layers },
      (_, i) =>
        new RecurrentLayer(scope.child(`layers.${i}`), {
          cell,
          inputDim: i === 0 ? inputDim : hiddenDim,
          dim: hiddenDim,
          heads,
        }),
    );
  }

  stateShapes(batch: number): StateShapes {
    return Object.assign(
      {},
      ...this.#layers.map((layer, i) => under(`layers.${i}`, layer.stateShapes(batch))),
    );
  }

  forward(x: Tensor, pass: Pass, state: LayerState): LayerOutput {
    let y = x;
    const last: Record<string, Tensor> = {};
    this.#layers.forEach((layer, i) => {
      const after = layer.forward(y, pass, stateBelow(state, `layers.${i}`));
      y = after.y;
      Object.assign(last, under(`layers.${i}`, after.state));
    });
    return { y, state: last };
  }
}

export interface RecurrentModelOptions extends Omit<RecurrentStackOptions, 'inputDim'> {
  readonly vocabSize: number;
  readonly embeddingDim: number;
}

/** Embedding, recurrent layers, output layer: no norms, no residuals, as these cells are known. */
export class RecurrentLanguageModel implements LanguageModel {
  readonly vocabSize: number;
  readonly #embedding: Tensor; // [V, E]
  readonly #layers: RecurrentStack;
  readonly #head: Linear;

  constructor(scope: Scope, { vocabSize, embeddingDim, ...stack }: RecurrentModelOptions) {
    const { hiddenDim } = stack;
    this.vocabSize = vocabSize;
    this.#embedding = scope
      .child('token_embedding')
      .parameter('weight', [vocabSize, embeddingDim], normalInit(1), false);
    this.#layers = new RecurrentStack(scope, { ...stack, inputDim: embeddingDim });
    const init = uniformInit(1 / Math.sqrt(hiddenDim));
    this.#head = new Linear(scope.child('lm_head'), hiddenDim, vocabSize, { weight: init, bias: init });
  }

  stateShapes(batch: number): StateShapes {
    return this.#layers.stateShapes(batch);
  }

  forward(tokens: Tensor, pass: Pass, state: LayerState): LayerOutput {
    return this.#layers.forward(embedding(tokens, this.#embedding), pass, state);
  }

  logits(y: Tensor): Tensor {
    return this.#head.forward(y);
  }
}
