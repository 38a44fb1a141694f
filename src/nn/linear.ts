import { checkNames, checkWhole } from '../checks.ts';
import { headwiseLinear, linear } from '../compute/graph/matmul.ts';
import type { Tensor } from '../compute/graph/tensor.ts';
import { checkHeads } from './heads.ts';
import type { Init, Matrix, Scope } from './parameters.ts';

/** y = x Wᵀ + b, W [out, in] */
export class Linear {
  readonly #weight: Matrix;
  readonly #bias: Tensor | undefined;

  /**
   * Declares `weight` [out, in] and, with an Init for it, `bias` [out]; `isExact` as in MatrixOptions. Throws a usage error for sizes
   * that are none.
   */
  constructor(
    scope: Scope,
    inSize: number,
    outSize: number,
    options: { weight: Init; bias?: Init | false; isExact?: boolean },
  ) {
    checkNames('Linear', options, ['weight', 'bias', 'isExact']);
    checkWhole('Linear: inSize', inSize, 1);
    checkWhole('Linear: outSize', outSize, 1);
    this.#weight = scope.matrix(
      { name: 'weight', shape: [outSize, inSize], init: options.weight },
      { isExact: options.isExact ?? false },
    );
    this.#bias = options.bias ? scope.parameter('bias', [outSize], options.bias) : undefined;
  }

  /** x [..., in] to [..., out]. The residual [..., out], if any, is added in the same pass. */
  forward(x: Tensor, residual?: Tensor): Tensor {
    return linear(x, this.#weight, this.#bias, residual);
  }
}

/** A block-diagonal matrix: each of `heads` slices of the input has one of its own, and there is no bias. */
export class HeadwiseLinear {
  readonly #weight: Tensor;

  /**
   * Declares `weight` [heads, size / heads, size / heads]. Throws a usage error where the heads do not divide the size.
   */
  constructor(scope: Scope, size: number, heads: number, weight: Init) {
    checkHeads('HeadwiseLinear', size, heads);
    const width = size / heads;
    this.#weight = scope.parameter('weight', [heads, width, width], weight);
  }

  /** x [..., size] to [..., size]. */
  forward(x: Tensor): Tensor {
    return headwiseLinear(x, this.#weight);
  }
}
