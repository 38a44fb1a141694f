import { checkOption, checkWhole } from '../checks.ts';
import { type ConvResult, causalConv } from '../compute/graph/conv.ts';
import { add, broadcastTo } from '../compute/graph/elementwise.ts';
import type { Tensor } from '../compute/graph/tensor.ts';
import { constant, zeros } from '../compute/graph/views.ts';
import type { Shape } from '../compute/program/region.ts';
import { uniformInit } from './init.ts';
import type { Pass } from './layer.ts';
import { joinSteps, takeSteps } from './padding.ts';
import type { Scope } from './parameters.ts';

/**
 * SiLU of a causal depthwise convolution over time; its state is the last taps − 1 inputs. The equation is that of
 * `causalConv`.
 */
export class CausalConv1d {
  readonly #weight: Tensor; // [D, 1, taps]
  readonly #bias: Tensor; // [D]
  readonly #dim: number;
  readonly #taps: number;

  /**
   * Declares `conv.weight` [D, 1, taps] and `conv.bias` [D], both from U(±1/√taps). Throws a usage error for fewer than
   * 2 taps.
   */
  constructor(scope: Scope, dim: number, taps: number) {
    checkWhole('CausalConv1d: dim', dim, 1);
    checkWhole('CausalConv1d: taps', taps, 2);
    const init = uniformInit(1 / Math.sqrt(taps));
    this.#weight = scope.child('conv').parameter('weight', [dim, 1, taps], init);
    this.#bias = scope.child('conv').parameter('bias', [dim], init);
    this.#dim = dim;
    this.#taps = taps;
  }

  /** [B, taps − 1, D] */
  stateShape(batch: number): Shape {
    return [batch, this.#taps - 1, this.#dim];
  }

  /**
   * x [B, T, D] to y [B, T, D], from the state before; undefined: zeros. Throws a usage error for a pass with both
   * reset and lengths.
   *
   * @param pass Its resets erase earlier inputs, and its lengths tell which ones are the last.
   */
  forward(x: Tensor, { reset, lengths }: Pass, state: Tensor | undefined): ConvResult {
    const { y, lastState } = causalConv(x, this.#weight, this.#bias, reset, state, 'silu');
    return { y, lastState: lengths ? this.#lastInputs(x, reset, lengths, state) : lastState };
  }

  /** The inputs of each row's last steps, and of the state before where it has fewer: zeros from before a reset. */
  #lastInputs(x: Tensor, reset: Tensor | undefined, lengths: Tensor, state: Tensor | undefined): Tensor {
    checkOption(!reset, 'reset', 'none in a pass with lengths', 'one');
    const [batch, , dim] = x.shape;
    const before = state ?? zeros([batch, this.#taps - 1, dim]);
    const numbers = constant(
      Array.from({ length: this.#taps - 1 }, (_, i) => i),
      [1, this.#taps - 1],
    );
    const steps = add(broadcastTo(lengths, [batch, this.#taps - 1]), numbers);
    return takeSteps(joinSteps(before, x), steps);
  }
}
