import type { Executable } from '../compute/engines/engine.ts';
import { plan } from '../compute/graph/plan.ts';
import { leaf } from '../compute/graph/tensor.ts';
import { assign } from '../compute/graph/views.ts';
import { Region } from '../compute/program/region.ts';
import { shareEventLoop } from '../event_loop.ts';
import type { SequenceNetwork } from '../models/sequence/network.ts';
import { Pass } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { type Prediction, prediction } from './prediction.ts';

const SMALLEST_LENGTH = 16;

/** Runs whole sequences, several at once; Programs are planned for lengths that are powers of two. */
export class Predictor implements Disposable {
  readonly #model: Model<SequenceNetwork>;
  readonly #executables = new Map<string, Executable>();

  constructor(model: Model<SequenceNetwork>) {
    this.#model = model;
  }

  /** Of each sequence, [T · inputs], a result for each step, or one. */
  async run(sequences: readonly Float32Array[], batchSize: number): Promise<Prediction[][]> {
    const { config, width } = this.#model.network;
    const { inputs, pool } = config;
    const results: Prediction[][] = [];
    for (let first = 0; first < sequences.length; first += batchSize) {
      const rows = sequences.slice(first, first + batchSize);
      const longest = Math.max(...rows.map((x) => x.length / inputs));
      const length = Math.max(SMALLEST_LENGTH, 2 ** Math.ceil(Math.log2(longest)));
      const batch = rows.length === 1 ? 1 : batchSize;
      const x = new Float32Array(batch * length * inputs);
      const lengths = new Float32Array(batch).fill(1);
      for (const [i, row] of rows.entries()) {
        x.set(row, i * length * inputs);
        lengths[i] = row.length / inputs;
      }
      const { io, run } = this.#executable(batch, length);
      io.write('x', x);
      io.write('lengths', lengths);
      await run();
      const y = await io.read('y');
      const perRow = pool === 'none' ? length : 1;
      for (let i = 0; i < rows.length; i++) {
        const steps = pool === 'none' ? lengths[i] : 1;
        results.push(
          Array.from({ length: steps }, (_, t) => prediction(config, y, (i * perRow + t) * width, width)),
        );
      }
      await shareEventLoop();
    }
    return results;
  }

  free(): void {
    for (const executable of this.#executables.values()) executable.free();
    this.#executables.clear();
  }

  [Symbol.dispose](): void {
    this.free();
  }

  #executable(batch: number, length: number): Executable {
    const key = `${batch} × ${length}`;
    let executable = this.#executables.get(key);
    if (!executable) {
      const { engine, network, memories } = this.#model;
      const io = new Region('io');
      const x = leaf(io, 'x', [batch, length, network.config.inputs]);
      const pass = new Pass({ lengths: leaf(io, 'lengths', [batch, 1]) });
      const y = network.restore(network.forward(x, pass, {}).y);
      const roots = [assign(leaf(io, 'y', y.shape), y)];
      executable = engine.bind(plan(`predict ${key}`, { io, roots, limits: engine.limits }), memories);
      this.#executables.set(key, executable);
    }
    return executable;
  }
}
