import { deltaScan } from '../../compute/graph/delta_scan.ts';
import { exp, multiply, negate, sigmoid } from '../../compute/graph/elementwise.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { split } from '../../compute/graph/views.ts';
import { CausalConv1d } from '../../nn/conv.ts';
import { smallInit, wangInit } from '../../nn/init.ts';
import type { LayerOutput, LayerState, StateShapes } from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import type { Scope } from '../../nn/parameters.ts';
import { RmsNorm, unitHeads } from '../../nn/rms_norm.ts';
import { softplus, stepBiasInit } from './mamba_mixer.ts';
import type { Mixer, Place } from './mixer.ts';

export interface GatedDeltaOptions {
  readonly dim: number;
  readonly heads: number;
  readonly numBlocks: number;
  /** Width of a key of a head; a value is twice as wide. */
  readonly keyWidth: number;
  /**
   * Eigenvalues of a step along the key, over its decay: from 0 to 1, or from −1 to 1 with twice the write strength
   * (Grazzi et al. 2024).
   */
  readonly eigenvalues: '[0,1]' | '[-1,1]';
}

/** Taps of the convolution, and how many times as wide as keys values are: those of the paper. */
const TAPS = 4;
const VALUE_EXPANSION = 2;

/**
 * Gated DeltaNet (Yang et al. 2024): q, k, v = SiLU(conv(W x)), q and k of length 1 in each head; write strength
 * β = σ(W_b x), or 2 σ; decay α = exp(−exp(A_log) softplus(W_a x + b)); W_o (norm(delta rule) ∘ SiLU(W_g x)), the norm for
 * each head.
 */
export class GatedDeltaMixer implements Mixer {
  readonly #options: GatedDeltaOptions;
  readonly #keyDim: number;
  readonly #valueDim: number;
  readonly #input: Linear; // [2·K + V, D]
  readonly #conv: CausalConv1d;
  readonly #outputGate: Linear;
  readonly #writeGate: Linear;
  readonly #decayGate: Linear;
  readonly #logRate: Tensor; // [H]
  readonly #norm: RmsNorm;
  readonly #output: Linear;

  constructor(scope: Scope, options: GatedDeltaOptions) {
    const { dim, heads, numBlocks, keyWidth } = options;
    const weight = smallInit(dim);
    this.#options = options;
    this.#keyDim = heads * keyWidth;
    this.#valueDim = VALUE_EXPANSION * this.#keyDim;
    const inner = 2 * this.#keyDim + this.#valueDim;
    this.#input = new Linear(scope.child('qkv_proj'), dim, inner, { weight });
    this.#conv = new CausalConv1d(scope.child('conv1d'), inner, TAPS);
    this.#outputGate = new Linear(scope.child('gate_proj'), dim, this.#valueDim, { weight });
    this.#writeGate = new Linear(scope.child('b_proj'), dim, heads, { weight });
    this.#decayGate = new Linear(scope.child('a_proj'), dim, heads, { weight, bias: stepBiasInit });
    this.#logRate = scope.parameter('A_log', [heads], (random) =>
      Float64Array.from({ length: heads }, () => Math.log(random.uniform(1, 16))),
    );
    this.#norm = new RmsNorm(scope.child('head_norm'), this.#valueDim, heads);
    this.#output = new Linear(scope.child('out_proj'), this.#valueDim, dim, {
      weight: wangInit(dim, numBlocks),
    });
  }

  stateShapes(batch: number): StateShapes {
    const { heads, keyWidth } = this.#options;
    return { s: [batch, heads, keyWidth, VALUE_EXPANSION * keyWidth], conv: this.#conv.stateShape(batch) };
  }

  forward(x: Tensor, { pass }: Place, state: LayerState, residual: Tensor): LayerOutput {
    const { heads, eigenvalues } = this.#options;
    const conv = this.#conv.forward(this.#input.forward(x), pass, state.conv);
    const [q, k, v] = split(conv.y, [this.#keyDim, this.#keyDim, this.#valueDim]);
    const strength = sigmoid(this.#writeGate.forward(x));
    const beta = eigenvalues === '[-1,1]' ? multiply(2, strength) : strength;
    const alpha = exp(negate(multiply(exp(this.#logRate), softplus(this.#decayGate.forward(x)))));
    const operands = { q: unitHeads(q, heads), k: unitHeads(k, heads), v, alpha, beta };
    const scan = deltaScan(operands, heads, pass.reset, state.s);
    const gated = this.#norm.forwardGated(scan.h, this.#outputGate.forward(x));
    return { y: this.#output.forward(gated, residual), state: { s: scan.lastState, conv: conv.lastState } };
  }
}
