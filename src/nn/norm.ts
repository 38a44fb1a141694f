import { type GatedNormInputs, gatedNorm } from '../graph/gated_norm.ts';
import { type NormOptions, norm } from '../graph/norm.ts';
import type { Tensor } from '../graph/tensor.ts';
import { zerosInit } from './init.ts';
import type { Scope } from './parameters.ts';

const EPS = 1e-5;

/** Layer norm of the original architecture: weight 1 + w, w from zero, no bias. With heads: each head by itself. */
export class LayerNorm {
  readonly #weight: Tensor | undefined;
  readonly #options: NormOptions;

  constructor(scope: Scope, size: number, options: { heads?: number; weight?: boolean } = {}) {
    this.#weight = options.weight === false ? undefined : scope.parameter('weight', [size], zerosInit);
    this.#options = { kind: 'layer', groups: options.heads ?? 1, eps: EPS, weightOffset: 1 };
  }

  forward(x: Tensor): Tensor {
    return norm(x, this.#weight, undefined, this.#options);
  }

  /** (norm(x) + skip ∘ addend) ∘ SiLU(gate) */
  forwardGated(x: Tensor, inputs: GatedNormInputs): Tensor {
    return gatedNorm(x, this.#weight, undefined, this.#options, inputs);
  }
}
