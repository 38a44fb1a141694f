import { type ConvResult, causalConv } from '../graph/conv.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Shape } from '../program/region.ts';
import { uniformInit } from './init.ts';
import type { Scope } from './parameters.ts';

/** SiLU of a causal depthwise convolution over time; its state is the last taps − 1 inputs. */
export class CausalConv1d {
  readonly #weight: Tensor; // [D, 1, taps]
  readonly #bias: Tensor; // [D]
  readonly #dim: number;
  readonly #taps: number;

  constructor(scope: Scope, dim: number, taps: number) {
    const init = uniformInit(1 / Math.sqrt(taps));
    this.#weight = scope.child('conv').parameter('weight', [dim, 1, taps], init);
    this.#bias = scope.child('conv').parameter('bias', [dim], init);
    this.#dim = dim;
    this.#taps = taps;
  }

  stateShape(batch: number): Shape {
    return [batch, this.#taps - 1, this.#dim];
  }

  forward(x: Tensor, reset: Tensor | undefined, state: Tensor | undefined): ConvResult {
    return causalConv(x, this.#weight, this.#bias, reset, state, 'silu');
  }
}
