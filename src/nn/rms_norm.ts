import { gatedNorm } from '../compute/graph/gated_norm.ts';
import { type NormOptions, norm } from '../compute/graph/norm.ts';
import type { Tensor } from '../compute/graph/tensor.ts';
import { constant } from '../compute/graph/views.ts';
import { checkHeads } from './heads.ts';
import { constantInit } from './init.ts';
import type { Scope } from './parameters.ts';

const options = (groups: number): NormOptions => ({ kind: 'rms', groups, eps: 1e-6, weightOffset: 0 });

/**
 * w ∘ x / √(mean(x²) + 1e-6) over the last dimension (Zhang and Sennrich 2019), w from one. With heads: each head by
 * itself.
 */
export class RmsNorm {
  readonly #weight: Tensor;
  readonly #options: NormOptions;

  /**
   * Declares `norm` [size], which weight decay leaves alone. Throws a usage error where the heads do not divide the
   * size.
   */
  constructor(scope: Scope, size: number, heads = 1) {
    checkHeads('RmsNorm', size, heads);
    this.#weight = scope.parameter('norm', [size], constantInit(1));
    this.#options = options(heads);
  }

  /** x [..., size] to [..., size]. */
  forward(x: Tensor): Tensor {
    return norm(x, this.#weight, undefined, this.#options);
  }

  /** norm(x) ∘ SiLU(gate), in one pass over memory; the gate has the shape of x. */
  forwardGated(x: Tensor, gate: Tensor): Tensor {
    return gatedNorm(x, this.#weight, undefined, this.#options, { gate });
  }
}

/** Each head of x divided by its length. */
export function unitHeads(x: Tensor, heads: number): Tensor {
  const scale = constant(new Array<number>(x.cols).fill(Math.sqrt(heads / x.cols)));
  return norm(x, scale, undefined, options(heads));
}
