import { add } from '../graph/elementwise.ts';
import { headwiseLinear, linear } from '../graph/matmul.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Shape } from '../program/region.ts';
import { zerosInit } from './init.ts';
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

/**
 * Each of `heads` slices of the input has a matrix of its own: W [heads, out, in]. With several names there are so many
 * such layers, whose results on the same input lie side by side.
 */
export class HeadwiseLinear {
  readonly #weight: Tensor;
  readonly #bias: Tensor | undefined;

  constructor(
    scope: Scope,
    names: readonly string[],
    size: number,
    heads: number,
    options: { weight: Init; bias: boolean },
  ) {
    const width = size / heads;
    const parts = (suffix: string, shape: Shape, init: Init) =>
      names.map((name) => ({ name: `${name}.${suffix}`, shape, init }));
    this.#weight = scope.joined(parts('weight', [heads, width, width], options.weight));
    this.#bias = options.bias ? scope.joined(parts('bias', [size], zerosInit)) : undefined;
  }

  forward(x: Tensor): Tensor {
    const y = headwiseLinear(x, this.#weight);
    return this.#bias ? add(y, this.#bias) : y;
  }
}
