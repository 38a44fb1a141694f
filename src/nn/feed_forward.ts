import { checkChoice, checkNames, checkNumber, checkWhole } from '../checks.ts';
import { add, multiply } from '../compute/graph/elementwise.ts';
import type { Tensor } from '../compute/graph/tensor.ts';
import { split } from '../compute/graph/views.ts';
import { type ActivationName, activationNames, activations } from './activation.ts';
import { smallInit, wangInit, zerosInit } from './init.ts';
import type { Pass } from './layer.ts';
import { Linear } from './linear.ts';
import type { Scope } from './parameters.ts';

/** All are to be given: no option has a default. */
export interface GatedFeedForwardOptions {
  /** Inner width. */
  readonly innerDim: number;
  /** act, of the gate alone. */
  readonly activation: ActivationName;
  /** Whether both projections have a bias, from zero. */
  readonly bias: boolean;
  /** Share of the result that is dropped in training, before the residual is added; 0: none. */
  readonly dropout: number;
  /** Blocks of the whole model: the more, the smaller the initial contribution of each. */
  readonly numBlocks: number;
}

/** y = residual + dropout(W_down (act(gate) ∘ up)), [gate | up] = W_up x; SwiGLU (Shazeer 2020) with `swish`. */
export class GatedFeedForward {
  readonly #up: Linear;
  readonly #down: Linear;
  readonly #options: GatedFeedForwardOptions;

  /**
   * Declares `proj_up` [2·innerDim, D] from `smallInit` and `proj_down` [D, innerDim] from `wangInit`. Throws a usage
   * error for an option that is not right.
   */
  constructor(scope: Scope, dim: number, options: GatedFeedForwardOptions) {
    checkNames('GatedFeedForward', options, ['innerDim', 'activation', 'bias', 'dropout', 'numBlocks']);
    const { innerDim, activation, bias, dropout, numBlocks } = options;
    checkWhole('GatedFeedForward: dim', dim, 1);
    checkWhole('GatedFeedForward: innerDim', innerDim, 1);
    checkWhole('GatedFeedForward: numBlocks', numBlocks, 1);
    checkChoice('GatedFeedForward: activation', activation, activationNames);
    checkNumber('GatedFeedForward: dropout', dropout, 'a number from 0 to below 1', (p) => p >= 0 && p < 1);
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

  /** x and the residual, which is added to the result, [B, T, D]. */
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
