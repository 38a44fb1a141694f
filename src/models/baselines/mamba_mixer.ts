import { exp, logSigmoid, multiply, multiplyAdd, negate, silu } from '../../compute/graph/elementwise.ts';
import { selectiveScan } from '../../compute/graph/selective_scan.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { split } from '../../compute/graph/views.ts';
import { CausalConv1d } from '../../nn/conv.ts';
import { constantInit, smallInit, uniformInit, wangInit } from '../../nn/init.ts';
import type { LayerOutput, LayerState, StateShapes } from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import type { Init, Scope } from '../../nn/parameters.ts';
import type { Mixer, Place } from './mixer.ts';

export interface MambaMixerOptions {
  readonly dim: number;
  readonly innerDim: number;
  readonly numBlocks: number;
}

/** States of a channel, taps of the convolution: the values of the paper. */
const STATES = 16;
const TAPS = 4;

/**
 * Mamba (Gu and Dao 2023): [u | z] = W_in x; a = SiLU(conv(u)); [r | b | c] = W_x a; δ = softplus(W_δ r + bias);
 * y = W_out ((scan(a, δ, −exp(A_log), b, c) + skip ∘ a) ∘ SiLU(z)).
 */
export class MambaMixer implements Mixer {
  readonly #inner: number;
  readonly #rank: number;
  readonly #input: Linear;
  readonly #conv: CausalConv1d;
  readonly #select: Linear;
  readonly #step: Linear;
  readonly #logRates: Tensor; // [S, I]
  readonly #skip: Tensor; // [I]
  readonly #output: Linear;

  constructor(scope: Scope, { dim, innerDim, numBlocks }: MambaMixerOptions) {
    this.#inner = innerDim;
    this.#rank = Math.ceil(dim / 16);
    this.#input = new Linear(scope.child('in_proj'), dim, 2 * innerDim, { weight: smallInit(dim) });
    this.#conv = new CausalConv1d(scope.child('conv1d'), innerDim, TAPS);
    this.#select = new Linear(scope.child('x_proj'), innerDim, this.#rank + 2 * STATES, {
      weight: uniformInit(1 / Math.sqrt(innerDim)),
    });
    this.#step = new Linear(scope.child('dt_proj'), this.#rank, innerDim, {
      weight: uniformInit(1 / Math.sqrt(this.#rank)),
      bias: stepBiasInit,
    });
    this.#logRates = scope.parameter('A_log', [STATES, innerDim], (_, [states, channels]) =>
      Float64Array.from({ length: states * channels }, (_, i) => Math.log(1 + Math.floor(i / channels))),
    );
    this.#skip = scope.parameter('D', [innerDim], constantInit(1));
    this.#output = new Linear(scope.child('out_proj'), innerDim, dim, { weight: wangInit(dim, numBlocks) });
  }

  stateShapes(batch: number): StateShapes {
    return { h: [batch, STATES, this.#inner], conv: this.#conv.stateShape(batch) };
  }

  forward(x: Tensor, { pass }: Place, state: LayerState, residual: Tensor): LayerOutput {
    const [u, z] = split(this.#input.forward(x), [this.#inner, this.#inner]);
    const { y: activated, lastState } = this.#conv.forward(u, pass, state.conv);
    const [r, b, c] = split(this.#select.forward(activated), [this.#rank, STATES, STATES]);
    const delta = softplus(this.#step.forward(r));
    const a = negate(exp(this.#logRates));
    const scan = selectiveScan({ x: activated, delta, a, b, c }, pass.reset, state.h);
    const gated = multiply(multiplyAdd(this.#skip, activated, scan.y), silu(z));
    return { y: this.#output.forward(gated, residual), state: { h: scan.lastState, conv: lastState } };
  }
}

/** log(1 + e^x) */
export const softplus = (x: Tensor): Tensor => negate(logSigmoid(negate(x)));

/** Biases whose softplus is spread evenly, by its logarithm, from 0.001 to 0.1. */
export const stepBiasInit: Init = (random, [count]) =>
  Float64Array.from({ length: count }, () => {
    const step = Math.exp(Math.log(0.001) + random.uniform() * Math.log(100));
    return step + Math.log(-Math.expm1(-step));
  });
