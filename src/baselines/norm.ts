import { gatedNorm } from '../graph/gated_norm.ts';
import { type NormOptions, norm } from '../graph/norm.ts';
import type { Tensor } from '../graph/tensor.ts';
import { constant } from '../graph/views.ts';
import { constantInit } from '../nn/init.ts';
import type { Scope } from '../nn/parameters.ts';

const options = (groups: number): NormOptions => ({ kind: 'rms', groups, eps: 1e-6, weightOffset: 0 });

/** w ∘ x / √(mean(x²) + eps) (Zhang and Sennrich 2019), w from one. With heads: each head by itself. */
export class RmsNorm {
  readonly #weight: Tensor;
  readonly #options: NormOptions;

  constructor(scope: Scope, size: number, heads = 1) {
    this.#weight = scope.parameter('norm', [size], constantInit(1));
    this.#options = options(heads);
  }

  forward(x: Tensor): Tensor {
    return norm(x, this.#weight, undefined, this.#options);
  }

  /** norm(x) ∘ SiLU(gate) */
  forwardGated(x: Tensor, gate: Tensor): Tensor {
    return gatedNorm(x, this.#weight, undefined, this.#options, { gate });
  }
}

/** Each head of x divided by its length. */
export function unitHeads(x: Tensor, heads: number): Tensor {
  const scale = constant(new Array<number>(x.cols).fill(Math.sqrt(heads / x.cols)));
  return norm(x, scale, undefined, options(heads));
}
