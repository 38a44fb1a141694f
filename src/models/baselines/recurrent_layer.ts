import { type CellName, cells, recurrent } from '../../compute/graph/recurrent.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { uniformInit } from '../../nn/init.ts';
import type { LayerOutput, LayerState, Pass, SequenceLayer, StateShapes } from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import { holdPadding, stateAtEnds } from '../../nn/padding.ts';
import type { Scope } from '../../nn/parameters.ts';

export interface RecurrentLayerOptions {
  readonly cell: 'rnn' | 'gru' | 'lstm';
  readonly inputDim: number;
  readonly dim: number;
  /** With one head every unit sees every other; with more, those of its own head. */
  readonly heads: number;
}

/**
 * A recurrent cell whose gates see its last output: Elman RNN (1990), LSTM (Hochreiter and Schmidhuber 1997, with the
 * forget gate of Gers et al. 2000), GRU (Cho et al. 2014). Weights start uniform within 1/√D, those of the recurrence
 * within 1/√DH.
 */
export class RecurrentLayer implements SequenceLayer {
  readonly #cell: CellName;
  readonly #dim: number;
  readonly #heads: number;
  readonly #input: Linear; // [G·D, inputDim], gate-major
  readonly #recurrentKernel: Tensor; // [H, G·DH, DH]

  constructor(scope: Scope, { cell, inputDim, dim, heads }: RecurrentLayerOptions) {
    const { gatesPerUnit } = cells[cell];
    const headDim = dim / heads;
    this.#cell = cell;
    this.#dim = dim;
    this.#heads = heads;
    const init = uniformInit(1 / Math.sqrt(dim));
    this.#input = new Linear(scope, inputDim, gatesPerUnit * dim, { weight: init, bias: init });
    this.#recurrentKernel = scope.parameter(
      'recurrent_kernel',
      [heads, gatesPerUnit * headDim, headDim],
      uniformInit(1 / Math.sqrt(headDim)),
    );
  }

  stateShapes(batch: number): StateShapes {
    return Object.fromEntries(cells[this.#cell].states.map((name) => [name, [batch, this.#dim]]));
  }

  forward(x: Tensor, pass: Pass, state: LayerState): LayerOutput {
    const gates = this.#input.forward(x);
    const scan = recurrent(
      holdPadding(this.#cell, gates, pass),
      this.#recurrentKernel,
      undefined,
      pass.reset,
      state,
      {
        cell: this.#cell,
        heads: this.#heads,
        exponentialForget: false,
        recurrentClip: 0,
        cutRecurrent: false,
      },
    );
    return { y: scan.y, state: stateAtEnds(scan, pass) };
  }
}
