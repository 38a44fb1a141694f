import { logSigmoid, multiply, sigmoid, subtract } from '../../compute/graph/elementwise.ts';
import { linearScan } from '../../compute/graph/linear_scan.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { split } from '../../compute/graph/views.ts';
import { smallInit, wangInit, zerosInit } from '../../nn/init.ts';
import type { LayerOutput, LayerState, StateShapes } from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import type { Scope } from '../../nn/parameters.ts';
import type { Mixer, Place } from './mixer.ts';

/**
 * minLSTM (Feng et al. 2024): f = σ(W_f x), i = σ(W_i x), h_t = f/(f + i) ∘ h_{t−1} + i/(f + i) ∘ W_h x, then a projection.
 * Gates do not see h. f/(f + i) = σ(log f − log i), which is exact for any f and i.
 */
export class MinLstmMixer implements Mixer {
  readonly #dim: number;
  readonly #input: Linear; // [3·D, D]
  readonly #output: Linear;

  constructor(scope: Scope, dim: number, numBlocks: number) {
    this.#dim = dim;
    this.#input = new Linear(scope.child('in_proj'), dim, 3 * dim, {
      weight: smallInit(dim),
      bias: zerosInit,
    });
    this.#output = new Linear(scope.child('out_proj'), dim, dim, { weight: wangInit(dim, numBlocks) });
  }

  stateShapes(batch: number): StateShapes {
    return { h: [batch, this.#dim] };
  }

  forward(x: Tensor, { pass }: Place, state: LayerState, residual: Tensor): LayerOutput {
    const [f, i, candidate] = split(this.#input.forward(x), [this.#dim, this.#dim, this.#dim]);
    const forget = sigmoid(subtract(logSigmoid(f), logSigmoid(i)));
    const scan = linearScan(forget, multiply(subtract(1, forget), candidate), pass.reset, state.h);
    return { y: this.#output.forward(scan.y, residual), state: { h: scan.lastState } };
  }
}
