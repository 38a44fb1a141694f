import { add } from '../graph/elementwise.ts';
import { type CellName, cells, recurrent } from '../graph/recurrent.ts';
import type { Tensor } from '../graph/tensor.ts';
import { uniformInit } from '../nn/init.ts';
import type { LayerState, StateShapes } from '../nn/layer.ts';
import { Linear } from '../nn/linear.ts';
import type { Init, Scope } from '../nn/parameters.ts';
import type { Mixer, Place } from './mixer.ts';

/**
 * A recurrent cell whose gates see its last output: Elman RNN (1990), LSTM (Hochreiter and Schmidhuber 1997, with the
 * forget gate of Gers et al. 2000), GRU (Cho et al. 2014). With one head every unit sees every other; with more, those
 * of its own head.
 */
export class RecurrentMixer implements Mixer {
  readonly #cell: CellName;
  readonly #dim: number;
  readonly #heads: number;
  readonly #input: Linear; // [G·D, D], gate-major
  readonly #recurrentKernel: Tensor; // [H, G·DH, DH]

  constructor(scope: Scope, cell: 'rnn' | 'gru' | 'lstm', dim: number, heads: number) {
    const { gatesPerUnit } = cells[cell];
    const headDim = dim / heads;
    this.#cell = cell;
    this.#dim = dim;
    this.#heads = heads;
    const bound = 1 / Math.sqrt(dim);
    this.#input = new Linear(scope, dim, gatesPerUnit * dim, {
      weight: uniformInit(bound),
      bias: cell === 'lstm' ? openForgetGate(dim) : uniformInit(bound),
    });
    this.#recurrentKernel = scope.parameter(
      'recurrent_kernel',
      [heads, gatesPerUnit * headDim, headDim],
      uniformInit(1 / Math.sqrt(headDim)),
    );
  }

  stateShapes(batch: number): StateShapes {
    return Object.fromEntries(cells[this.#cell].states.map((name) => [name, [batch, this.#dim]]));
  }

  forward(x: Tensor, { pass }: Place, state: LayerState, residual: Tensor): { y: Tensor; state: LayerState } {
    const scan = recurrent(this.#input.forward(x), this.#recurrentKernel, undefined, pass.reset, state, {
      cell: this.#cell,
      heads: this.#heads,
      exponentialForget: false,
      recurrentClip: 0,
      cutRecurrent: false,
    });
    return { y: add(residual, scan.y), state: scan.state as LayerState };
  }
}

/** Biases of the gates i, f, z, o: 1 for the forget gate, so that the cell remembers at first (Gers et al. 2000). */
const openForgetGate =
  (dim: number): Init =>
  (_, shape) =>
    Float64Array.from({ length: shape[0] }, (_, i) => (Math.floor(i / dim) === 1 ? 1 : 0));
