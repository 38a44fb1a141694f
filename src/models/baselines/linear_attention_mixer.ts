import { broadcastTo } from '../../compute/graph/elementwise.ts';
import { mlstm } from '../../compute/graph/mlstm.ts';
import { rotate } from '../../compute/graph/rotate.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { constant, split } from '../../compute/graph/views.ts';
import { linspaceInit, smallInit, wangInit, zerosInit } from '../../nn/init.ts';
import type { LayerOutput, LayerState, StateShapes } from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import type { Scope } from '../../nn/parameters.ts';
import { RmsNorm } from '../../nn/rms_norm.ts';
import { type Mixer, type Place, positionsOf } from './mixer.ts';

export interface LinearAttentionOptions {
  readonly dim: number;
  readonly heads: number;
  readonly numBlocks: number;
  /** Width of a value of a head; keys are as wide as the model in all. */
  readonly valueWidth: number;
  /**
   * 'gated': the decay of a head is σ(w · x + b) (a scalar, as in Mamba-2). 'retention':
   * it is the fixed 1 − 2^(−5−head), and q and k have rotary positions (RetNet, Sun et al. 2023).
   */
  readonly decay: 'gated' | 'retention';
}

/**
 * Linear attention with a decay, S_t = γ_t S_{t−1} + k_t v_tᵀ: W_o (norm(S_tᵀ q_t / max(|n_t · q_t|, 1)) ∘ SiLU(W_g x)),
 * the norm for each head. It is the mLSTM's kernel with the input gate at exp(0): its stabilizer stays 0 and the floor
 * of its denominator 1, which is RetNet's own normalisation; but for eps the norm takes any positive factor out again.
 */
export class LinearAttentionMixer implements Mixer {
  readonly #options: LinearAttentionOptions;
  readonly #valueDim: number;
  readonly #input: Linear; // [2·D + 2·V, D]
  readonly #gate: Linear | undefined; // [H, D]
  readonly #norm: RmsNorm;
  readonly #output: Linear;

  constructor(scope: Scope, options: LinearAttentionOptions) {
    const { dim, heads, numBlocks, valueWidth, decay } = options;
    this.#options = options;
    this.#valueDim = heads * valueWidth;
    const inner = 2 * dim + 2 * this.#valueDim;
    this.#input = new Linear(scope.child('in_proj'), dim, inner, { weight: smallInit(dim) });
    this.#gate =
      decay === 'gated'
        ? new Linear(scope.child('gate_proj'), dim, heads, { weight: zerosInit, bias: linspaceInit(3, 6) })
        : undefined;
    this.#norm = new RmsNorm(scope.child('head_norm'), this.#valueDim, heads);
    this.#output = new Linear(scope.child('out_proj'), this.#valueDim, dim, {
      weight: wangInit(dim, numBlocks),
    });
  }

  stateShapes(batch: number): StateShapes {
    const { dim, heads, valueWidth } = this.#options;
    const width = dim / heads;
    return { c: [batch, heads, width, valueWidth], n: [batch, heads, width], m: [batch, heads] };
  }

  forward(x: Tensor, place: Place, state: LayerState, residual: Tensor): LayerOutput {
    const { dim, heads } = this.#options;
    const [batch, length] = x.shape;
    const width = dim / heads;
    const [qk, v, z] = split(this.#input.forward(x), [2 * dim, this.#valueDim, this.#valueDim]);
    const [q, k] = split(this.#gate ? qk : rotate(qk, positionsOf(place), 2 * heads), [dim, dim]);
    const gates = [batch, length, heads];
    const forgetGate =
      this.#gate?.forward(x) ?? broadcastTo(constant(retentionGates(heads), [1, heads]), gates);
    const inputGate = broadcastTo(constant([0]), gates);
    const cell = mlstm(
      {
        q,
        k,
        v,
        inputGate,
        forgetGate,
        reset: place.pass.reset,
        state: state.c && { c: state.c, n: state.n, m: state.m },
      },
      { heads, keyScale: 1 / Math.sqrt(width), queryScale: 1, eps: 0 },
    );
    const gated = this.#norm.forwardGated(cell.h, z);
    return { y: this.#output.forward(gated, residual), state: { ...cell.state } };
  }
}

/** Pre-activations whose sigmoid is 1 − 2^(−5−head). */
const retentionGates = (heads: number): number[] =>
  Array.from({ length: heads }, (_, head) => Math.log(2 ** (5 + head) - 1));
