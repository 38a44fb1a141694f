import { embedding } from '../graph/embedding.ts';
import { linear } from '../graph/matmul.ts';
import { recurrent } from '../graph/recurrent.ts';
import type { Tensor } from '../graph/tensor.ts';
import { uniformInit, zerosInit } from '../nn/init.ts';
import {
  type LanguageModel,
  type LayerState,
  type Pass,
  type StateShapes,
  stateBelow,
  under,
} from '../nn/layer.ts';
import type { Scope } from '../nn/parameters.ts';

interface LstmLayer {
  readonly input: Tensor; // [4·D, D]
  readonly recurrent: Tensor; // [1, 4·D, D]
  readonly bias: Tensor; // [4·D]
}

/** Embedding, plain LSTM layers, output layer: what peers offer that have no xLSTM. */
export class LstmLanguageModel implements LanguageModel {
  readonly vocabSize: number;
  readonly #dim: number;
  readonly #embedding: Tensor; // [V, D]
  readonly #layers: readonly LstmLayer[];
  readonly #head: Tensor; // [V, D]
  readonly #headBias: Tensor; // [V]

  constructor(scope: Scope, { layers, dim, vocab }: { layers: number; dim: number; vocab: number }) {
    const init = uniformInit(1 / Math.sqrt(dim));
    this.vocabSize = vocab;
    this.#dim = dim;
    this.#embedding = scope.parameter('embedding.weight', [vocab, dim], init);
    this.#layers = Array.from({ length: layers }, (_, i) => {
      const layer = scope.child(`layers.${i}`);
      return {
        input: layer.parameter('input.weight', [4 * dim, dim], init),
        recurrent: layer.parameter('recurrent.weight', [1, 4 * dim, dim], init),
        bias: layer.parameter('bias', [4 * dim], zerosInit),
      };
    });
    this.#head = scope.parameter('head.weight', [vocab, dim], init);
    this.#headBias = scope.parameter('head.bias', [vocab], zerosInit);
  }

  stateShapes(batch: number): StateShapes {
    const shape = [batch, this.#dim];
    return Object.assign({}, ...this.#layers.map((_, i) => under(String(i), { y: shape, c: shape })));
  }

  forward(tokens: Tensor, pass: Pass, state: LayerState): { y: Tensor; state: LayerState } {
    let y = embedding(tokens, this.#embedding);
    const states: Record<string, Tensor> = {};
    this.#layers.forEach((layer, i) => {
      const after = recurrent(
        linear(y, layer.input),
        layer.recurrent,
        layer.bias,
        pass.reset,
        stateBelow(state, String(i)),
        { cell: 'lstm', heads: 1, exponentialForget: false, recurrentClip: 0, cutRecurrent: false },
      );
      y = after.y;
      Object.assign(states, under(String(i), after.state as LayerState));
    });
    return { y, state: states };
  }

  logits(y: Tensor): Tensor {
    return linear(y, this.#head, this.#headBias);
  }
}
