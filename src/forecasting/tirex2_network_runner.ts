import type { Executable } from '../compute/engines/engine.ts';
import { plan } from '../compute/graph/plan.ts';
import { leaf, type Tensor } from '../compute/graph/tensor.ts';
import { assign, concat } from '../compute/graph/views.ts';
import { Region } from '../compute/program/region.ts';
import type { Tirex2Config } from '../models/tirex2/config.ts';
import type { Tirex2Network } from '../models/tirex2/network.ts';
import { type RowLayout, splitRows, variatesOf } from '../models/tirex2/rows.ts';
import { Pass } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { RecentExecutables } from './recent_executables.ts';

/** What a run computes. */
export interface Tirex2Run {
  readonly layout: RowLayout;
  /** L of the tokens. */
  readonly length: number;
  /** The tokens of the targets that forecast a patch each: so many from this one on. */
  readonly first: number;
  readonly patches: number;
}

/** Variates that are read together, for the vectors of every block. */
export interface Tirex2HiddenRun {
  readonly layout: RowLayout;
  readonly length: number;
}

/** Runs a TiRex-2 network over rows of tokens. To be freed. */
export class Tirex2NetworkRunner implements Disposable {
  readonly #model: Model<Tirex2Network>;
  readonly #executables = new RecentExecutables();

  /** The model is freed by who made it, after the runner. */
  constructor(model: Model<Tirex2Network>) {
    this.#model = model;
  }

  /** That of the network. */
  get config(): Tirex2Config {
    return this.#model.network.config;
  }

  /** tokens [rows, L, 2·P] to the scaled patches that the targets' tokens forecast: [rows of targets, patches, Q, P]. */
  async run(tokens: Float64Array, run: Tirex2Run): Promise<ArrayLike<number>> {
    const { layout, length, first, patches } = run;
    const { series, targets, past, known } = layout;
    const { quantiles, patchSize } = this.config;
    const key = [series, targets, past, known, length, first, patches].join(' ');
    const executable = this.#executables.use(key, () =>
      this.#bind(key, layout, length, (tokens) => {
        const { network } = this.#model;
        const read = { first, count: patches };
        const { y } = network.forward(tokens, layout, new Pass(), {}, undefined, read);
        const rows = series * targets;
        return network.quantiles(rows === y.shape[0] ? y : splitRows(y, rows)[0]);
      }),
    );
    executable.io.write('tokens', tokens);
    await executable.run();
    const size = targets * series * patches * quantiles.length * patchSize;
    return (await executable.io.read('result')).subarray(0, size);
  }

  /** tokens [rows, L, 2·P] to what the blocks make of them: [rows, L, blocks, D]. */
  async hidden(tokens: Float64Array, { layout, length }: Tirex2HiddenRun): Promise<ArrayLike<number>> {
    const { series, targets, past, known } = layout;
    const key = ['hidden', series, targets, past, known, length].join(' ');
    const executable = this.#executables.use(key, () =>
      this.#bind(key, layout, length, (tokens) =>
        concat(this.#model.network.forward(tokens, layout, new Pass(), {}).hidden),
      ),
    );
    executable.io.write('tokens', tokens);
    await executable.run();
    const { blocks, embeddingDim } = this.config;
    const size = layout.series * variatesOf(layout) * length * blocks.length * embeddingDim;
    return (await executable.io.read('result')).subarray(0, size);
  }

  /** Gives the memory of its Programs back. */
  free(): void {
    this.#executables.free();
  }

  [Symbol.dispose](): void {
    this.free();
  }

  #bind(key: string, layout: RowLayout, length: number, result: (tokens: Tensor) => Tensor): Executable {
    const { engine, memories } = this.#model;
    const io = new Region('io');
    const tokens = leaf(io, 'tokens', [
      layout.series * variatesOf(layout),
      length,
      2 * this.config.patchSize,
    ]);
    const value = result(tokens);
    const root = assign(leaf(io, 'result', value.shape), value);
    return engine.bind(plan(`tirex2 ${key}`, { io, roots: [root], limits: engine.limits }), memories);
  }
}
