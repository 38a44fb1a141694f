import { recurrent } from '../../compute/graph/recurrent.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { concat } from '../../compute/graph/views.ts';
import { scanForked } from '../../nn/fork.ts';
import { linspaceInit, smallInit, zerosInit } from '../../nn/init.ts';
import type { LayerOutput, LayerState, Pass } from '../../nn/layer.ts';
import { HeadwiseLinear } from '../../nn/linear.ts';
import { holdPadding, stateAtEnds } from '../../nn/padding.ts';
import type { Init, Scope } from '../../nn/parameters.ts';

/** What is behind the cell: each head by itself has mean 0 and variance 1. */
interface SlstmNorm {
  forward(y: Tensor): Tensor;
}

/**
 * The sLSTM layer of both TiRex: norm(sLSTM(i, f, z, o)), the gates block-diagonal products of x, a block for each head. In the files the module `fgate`
 * feeds the input gate and `igate` the forget gate: those two names are swapped on purpose.
 */
export class TirexSlstm {
  readonly #heads: number;
  readonly #gates: readonly HeadwiseLinear[];
  readonly #recurrentKernel: Tensor; // [H, 4·DH, DH]
  readonly #bias: Tensor; // [4·D], gate-major
  readonly #norm: SlstmNorm;

  /** Declares the gates in the scope, and in that of the cell `_recurrent_kernel_` and `_bias_`. */
  constructor(scope: Scope, cell: Scope, embeddingDim: number, numHeads: number, norm: SlstmNorm) {
    const headDim = embeddingDim / numHeads;
    this.#heads = numHeads;
    this.#gates = ['fgate', 'igate', 'zgate', 'ogate'].map(
      (name) => new HeadwiseLinear(scope.child(name), embeddingDim, numHeads, smallInit(embeddingDim)),
    );
    this.#recurrentKernel = cell.parameter('_recurrent_kernel_', [numHeads, 4 * headDim, headDim], zerosInit);
    this.#bias = cell.parameter('_bias_', [4 * embeddingDim], forgetGateInit(embeddingDim));
    this.#norm = norm;
  }

  /** The state is that after `keep` steps, or after all. */
  forward(x: Tensor, pass: Pass, state: LayerState, keep?: number): LayerOutput {
    const gates = concat(this.#gates.map((gate) => gate.forward(x)));
    const held = holdPadding('slstm', gates, pass, false);
    const options = {
      cell: 'slstm',
      heads: this.#heads,
      exponentialForget: false,
      recurrentClip: 0,
      cutRecurrent: false,
    } as const;
    const after = scanForked({ held }, state, keep, ({ held: gates }, from) => {
      const cell = recurrent(gates, this.#recurrentKernel, this.#bias, pass.reset, from, options);
      return { y: cell.y, state: stateAtEnds(cell, pass) };
    });
    return { y: this.#norm.forward(after.y), state: after.state };
  }
}

/** Zero, but from 3 to 6 for the forget gate: a new model remembers. */
const forgetGateInit =
  (dim: number): Init =>
  (random, shape) => {
    const bias = new Float64Array(shape[0]);
    bias.set(linspaceInit(3, 6)(random, [dim]), dim);
    return bias;
  };
