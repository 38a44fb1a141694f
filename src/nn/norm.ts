import { norm } from '../graph/norm.ts';
import type { Tensor } from '../graph/tensor.ts';
import { zerosInit } from './init.ts';
import type { Scope } from './parameters.ts';

const EPS = 1e-5;

/** Layer norm of the original architecture: weight 1 + w, w from zero, no bias. With heads: each head by itself. */
export class LayerNorm {
  readonly #weight: Tensor | undefined;
  readonly #heads: number;

  constructor(scope: Scope, size: number, options: { heads?: number; weight?: boolean } = {}) {
    this.#weight = options.weight === false ? undefined : scope.parameter('weight', [size], zerosInit);
    this.#heads = options.heads ?? 1;
  }

  forward(x: Tensor): Tensor {
    return norm(x, this.#weight, undefined, {
      kind: 'layer',
      groups: this.#heads,
      eps: EPS,
      weightOffset: 1,
    });
  }
}
