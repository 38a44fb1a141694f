import { multiply, silu } from '../../compute/graph/elementwise.ts';
import { linear } from '../../compute/graph/matmul.ts';
import { norm } from '../../compute/graph/norm.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { split } from '../../compute/graph/views.ts';
import { type ActivationName, activations } from '../../nn/activation.ts';
import { constantInit, smallInit, wangInit, zerosInit } from '../../nn/init.ts';
import { Linear } from '../../nn/linear.ts';
import type { Matrix, Scope } from '../../nn/parameters.ts';

/** w ∘ x / √(mean(x²) + eps), w from one. */
export class WeightedRmsNorm {
  readonly #weight: Tensor;
  readonly #eps: number;

  /** Declares `weight` [size]. */
  constructor(scope: Scope, size: number, eps = 1e-6) {
    this.#weight = scope.parameter('weight', [size], constantInit(1));
    this.#eps = eps;
  }

  /** x [..., size] to [..., size]. */
  forward(x: Tensor): Tensor {
    return norm(x, this.#weight, undefined, { kind: 'rms', groups: 1, eps: this.#eps, weightOffset: 0 });
  }
}

/**
 * W2 act(W1 x + b1) + b2 + W3 x + b3: what makes tokens of patches, and patches of tokens. It is little of the work, and to round
 * the values of a series and those of a forecast would be most of the error of products in bfloat16.
 */
export class ResidualBlock {
  readonly #hidden: Linear;
  readonly #output: Linear;
  readonly #residual: Linear;
  readonly #activation: ActivationName;

  /** Declares `hidden_layer`, `output_layer` and `residual_layer`, each with a bias from zero. */
  constructor(scope: Scope, inSize: number, hiddenSize: number, outSize: number, activation: ActivationName) {
    const layer = (name: string, from: number, to: number): Linear =>
      new Linear(scope.child(name), from, to, { weight: smallInit(from), bias: zerosInit, isExact: true });
    this.#hidden = layer('hidden_layer', inSize, hiddenSize);
    this.#output = layer('output_layer', hiddenSize, outSize);
    this.#residual = layer('residual_layer', inSize, outSize);
    this.#activation = activation;
  }

  /** x [..., inSize] to [..., outSize]. */
  forward(x: Tensor): Tensor {
    const hidden = activations[this.#activation](this.#hidden.forward(x));
    return this.#output.forward(hidden, this.#residual.forward(x));
  }
}

/** residual + W_down (SiLU(gate) ∘ up), [gate | up] = W x */
export class SwiGlu {
  readonly #innerDim: number;
  readonly #up: Matrix; // [2·U, D]
  readonly #down: Linear;

  /** Declares `proj_up_gate`, `proj_up` [innerDim, dim] and `proj_down` [dim, innerDim]. */
  constructor(scope: Scope, dim: number, innerDim: number, numBlocks: number) {
    this.#innerDim = innerDim;
    this.#up = scope.matrix(
      ['proj_up_gate', 'proj_up'].map((name) => ({
        name: `${name}.weight`,
        shape: [innerDim, dim],
        init: smallInit(dim),
      })),
    );
    this.#down = new Linear(scope.child('proj_down'), innerDim, dim, { weight: wangInit(dim, numBlocks) });
  }

  /** x and the residual [..., dim] to [..., dim]. */
  forward(x: Tensor, residual: Tensor): Tensor {
    const [gate, up] = split(linear(x, this.#up), [this.#innerDim, this.#innerDim]);
    return this.#down.forward(multiply(silu(gate), up), residual);
  }
}
