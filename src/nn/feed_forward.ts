import { add, multiply } from '../graph/elementwise.ts';
import type { Tensor } from '../graph/tensor.ts';
import { split } from '../graph/views.ts';
import { type ActivationName, activations } from './activation.ts';
import { smallInit, wangInit, zerosInit } from './init.ts';
import type { Pass } from './layer.ts';
import { Linear } from './linear.ts';
import type { Scope } from './parameters.ts';

export interface GatedFeedForwardOptions {
  /** Inner width. */
  readonly innerDim: number;
  readonly activation: ActivationName;
  readonly bias: boolean;
  readonly dropout: number;
  /** Blocks of the whole model: the more, the smaller the initial contribution of each. */
  readonly numBlocks: number;
}

/** y = W_down (act(gate) ∘ up), [gate | up] = W_up x */
export class GatedFeedForward {
  readonly #up: Linear;
  readonly #down: Linear;
  readonly #options: GatedFeedForwardOptions;

  constructor(scope: Scope, dim: number, options: GatedFeedForwardOptions) {
    const { innerDim, bias, numBlocks } = options;
    const biasInit = bias && zerosInit;
    this.#up = new Linear(scope.child('proj_up'), dim, 2 * innerDim, {
      weight: smallInit(dim),
      bias: biasInit,
    });
    this.#down = new Linear(scope.child('proj_down'), innerDim, dim, {
      weight: wangInit(dim, numBlocks),
      bias: biasInit,
    });
    this.#options = options;
  }

  /** The residual is added to the result. */
  forward(x: Tensor, pass: Pass, residual: Tensor): Tensor {
    const { innerDim, activation, dropout } = this.#options;
    const [gate, up] = split(this.#up.forward(x), [innerDim, innerDim]);
    return projectAndAdd(this.#down, multiply(activations[activation](gate), up), pass, dropout, residual);
  }
}

/** residual + dropout(projection(x)); in one pass where there is no dropout. */
export function projectAndAdd(
  projection: Linear,
  x: Tensor,
  pass: Pass,
  rate: number,
  residual: Tensor,
): Tensor {
  if (!pass.drops(rate)) return projection.forward(x, residual);
  return add(pass.dropout(projection.forward(x), rate), residual);
}
