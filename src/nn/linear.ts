import { headwiseLinear, linear } from '../graph/matmul.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Init, Scope } from './parameters.ts';

/** y = x Wᵀ + b, W [out, in] */
export class Linear {
  readonly #weight: Tensor;
  readonly #bias: Tensor | undefined;

  constructor(scope: Scope, inSize: number, outSize: number, options: { weight: Init; bias?: Init | false }) {
    this.#weight = scope.parameter('weight', [outSize, inSize], options.weight);
    this.#bias = options.bias ? scope.parameter('bias', [outSize], options.bias) : undefined;
  }

  /** The residual, if any, is added in the same pass. */
  forward(x: Tensor, residual?: Tensor): Tensor {
    return linear(x, this.#weight, this.#bias, residual);
  }
}

/** Each of `heads` slices of the input has a matrix of its own: W [heads, size / heads, size / heads]. */
export class HeadwiseLinear {
  readonly #weight: Tensor;

  constructor(scope: Scope, size: number, heads: number, weight: Init) {
    const width = size / heads;
    this.#weight = scope.parameter('weight', [heads, width, width], weight);
  }

  forward(x: Tensor): Tensor {
    return headwiseLinear(x, this.#weight);
  }
}
