import { checkNames } from '../checks.ts';
import { type GatedNormInputs, gatedNorm } from '../compute/graph/gated_norm.ts';
import { type NormOptions, norm } from '../compute/graph/norm.ts';
import type { Tensor } from '../compute/graph/tensor.ts';
import { checkHeads } from './heads.ts';
import { zerosInit } from './init.ts';
import type { Scope } from './parameters.ts';

const EPS = 1e-5;

/**
 * Layer norm of the original architecture: (1 + w) ∘ (x − mean(x)) / √(var(x) + 1e-5) over the last dimension, w from
 * zero, no bias. With heads: each head by itself.
 */
export class LayerNorm {
  readonly #weight: Tensor | undefined;
  readonly #options: NormOptions;

  /**
   * Declares `weight` [size], unless `weight` is false: then the norm has no parameters. `heads` is 1 where it is left
   * out. Throws a usage error where the heads do not divide the size.
   */
  constructor(scope: Scope, size: number, options: { heads?: number; weight?: boolean } = {}) {
    checkNames('LayerNorm', options, ['heads', 'weight']);
    checkHeads('LayerNorm', size, options.heads ?? 1);
    this.#weight = options.weight === false ? undefined : scope.parameter('weight', [size], zerosInit);
    this.#options = { kind: 'layer', groups: options.heads ?? 1, eps: EPS, weightOffset: 1 };
  }

  /** x [..., size] to [..., size]. */
  forward(x: Tensor): Tensor {
    return norm(x, this.#weight, undefined, this.#options);
  }

  /** (norm(x) + skip ∘ addend) ∘ SiLU(gate), in one pass over memory; shapes as in `gatedNorm`. */
  forwardGated(x: Tensor, inputs: GatedNormInputs): Tensor {
    return gatedNorm(x, this.#weight, undefined, this.#options, inputs);
  }
}
