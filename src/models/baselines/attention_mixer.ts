import { attention } from '../../compute/graph/attention.ts';
import { rotate } from '../../compute/graph/rotate.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { split } from '../../compute/graph/views.ts';
import { smallInit, wangInit } from '../../nn/init.ts';
import type { LayerOutput, LayerState, StateShapes } from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import type { Scope } from '../../nn/parameters.ts';
import { type Mixer, type Place, positionsOf } from './mixer.ts';

export interface AttentionMixerOptions {
  readonly dim: number;
  readonly heads: number;
  readonly numBlocks: number;
  /**
   * Tokens that a token sees at most, itself included. The state keeps so many keys and values, however long the
   * sequence: beyond, attention goes on over a sliding window.
   */
  readonly window: number;
  /** Rotary positions; without them attention is told nothing of the order. */
  readonly rotary: boolean;
}

/** Causal softmax attention (Vaswani et al. 2017): W_o attention(W_q x, W_k x, W_v x). */
export class AttentionMixer implements Mixer {
  readonly #options: AttentionMixerOptions;
  readonly #input: Linear; // [3·D, D]
  readonly #output: Linear;

  constructor(scope: Scope, options: AttentionMixerOptions) {
    const { dim, numBlocks } = options;
    this.#options = options;
    this.#input = new Linear(scope.child('qkv_proj'), dim, 3 * dim, { weight: smallInit(dim) });
    this.#output = new Linear(scope.child('out_proj'), dim, dim, { weight: wangInit(dim, numBlocks) });
  }

  stateShapes(batch: number): StateShapes {
    const { dim, heads, window } = this.#options;
    const shape = [batch, heads, window, dim / heads];
    return { keys: shape, values: shape };
  }

  forward(x: Tensor, place: Place, state: LayerState, residual: Tensor): LayerOutput {
    const { dim, heads, window, rotary } = this.#options;
    const counts = positionsOf(place);
    const [qk, v] = split(this.#input.forward(x), [2 * dim, dim]);
    const [q, k] = split(rotary ? rotate(qk, counts, 2 * heads) : qk, [dim, dim]);
    const before = state.keys && { keys: state.keys, values: state.values };
    const seen = attention(q, k, v, counts, before, { heads, window });
    return { y: this.#output.forward(seen.h, residual), state: { ...seen.state } };
  }
}
