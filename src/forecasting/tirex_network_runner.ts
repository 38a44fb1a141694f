import type { Executable } from '../compute/engines/engine.ts';
import { plan } from '../compute/graph/plan.ts';
import { leaf } from '../compute/graph/tensor.ts';
import { assign, concat } from '../compute/graph/views.ts';
import { Region } from '../compute/program/region.ts';
import type { TirexConfig } from '../models/tirex/config.ts';
import type { TirexNetwork } from '../models/tirex/network.ts';
import { Pass } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { type Hidden, type HiddenReader, hiddenOfWindows, type Variates } from './embedding.ts';
import { runSizes } from './network_forecaster.ts';
import { RecentExecutables } from './recent_executables.ts';
import { lastValues, type Scale, scaleOf, type Values, writePatches } from './tirex_scale.ts';

/** What is computed of windows of series. */
export type TirexResult =
  /** The next patches by the last `patches` tokens, the window followed by `patches` − 1 that are missing: [B, patches, Q, P]. */
  | { readonly patches: number }
  /** Vectors of every block and token: [B, L, blocks, D]. */
  | 'hidden';

/** Windows that one run takes at most. */
const ROWS = 32;

/** Runs a TiRex network over windows of series. To be freed. */
export class TirexNetworkRunner implements Disposable, HiddenReader {
  readonly #model: Model<TirexNetwork>;
  readonly #executables = new RecentExecutables();

  /** The model is freed by who made it, after the runner. */
  constructor(model: Model<TirexNetwork>) {
    this.#model = model;
  }

  /** That of the network. */
  get config(): TirexConfig {
    return this.#model.network.config;
  }

  /**
   * Runs the last C values of each series, scaled by themselves. `values` are those of the network, in scaled units, as
   * TirexResult says.
   */
  async run(
    series: readonly Values[],
    result: TirexResult,
  ): Promise<{ values: Float64Array; scales: readonly Scale[] }> {
    const scales: Scale[] = [];
    const parts: ArrayLike<number>[] = [];
    let from = 0;
    for (const count of runSizes(series.length, ROWS)) {
      const group = series.slice(from, from + count);
      from += count;
      const { executable, size } = this.#executable(group.length, result);
      const { tokens, scales: own } = this.#tokens(group, result);
      executable.io.write('tokens', tokens);
      await executable.run();
      parts.push((await executable.io.read('result')).subarray(0, size));
      scales.push(...own);
    }
    const values = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      values.set(part, at);
      at += part.length;
    }
    return { values, scales };
  }

  get patchSize(): number {
    return this.config.patchSize;
  }

  /** Each variate by itself. */
  async hidden(samples: readonly Variates[]): Promise<Hidden[][]> {
    const series = samples.flat();
    const { values } = await this.run(series, 'hidden');
    const lengths = series.map(({ length }) => length);
    const all = hiddenOfWindows(values, lengths, { ...this.config, blocks: this.config.numBlocks });
    return samples.map((variates) => all.splice(0, variates.length));
  }

  /** Gives the memory of its Programs back. */
  free(): void {
    this.#executables.free();
  }

  [Symbol.dispose](): void {
    this.free();
  }

  /** Tokens of a window: a length that is no multiple of P is filled up before it. */
  #length(result: TirexResult): number {
    const { contextLength, patchSize } = this.#model.network.config;
    return Math.ceil(contextLength / patchSize) + (result === 'hidden' ? 0 : result.patches - 1);
  }

  #tokens(
    series: readonly Values[],
    result: TirexResult,
  ): { tokens: Float64Array; scales: readonly Scale[] } {
    const { contextLength, patchSize } = this.#model.network.config;
    const width = 2 * patchSize * this.#length(result);
    const tokens = new Float64Array(series.length * width);
    const filled = Math.ceil(contextLength / patchSize) * patchSize;
    const scales = series.map((values, row) => {
      const window = lastValues(lastValues(values, contextLength), filled);
      const scale = scaleOf(window);
      writePatches(tokens, row * width, window, patchSize, (x) => (x - scale.mean) / scale.scale);
      return scale;
    });
    return { tokens, scales };
  }

  #executable(batch: number, result: TirexResult): { executable: Executable; size: number } {
    const { network, engine, memories } = this.#model;
    const { patchSize, quantiles, embeddingDim, numBlocks } = network.config;
    const length = this.#length(result);
    const size =
      result === 'hidden'
        ? batch * length * numBlocks * embeddingDim
        : batch * result.patches * quantiles.length * patchSize;
    const key = `${batch} × ${result === 'hidden' ? result : result.patches}`;
    const executable = this.#executables.use(key, () => {
      const io = new Region('io');
      const tokens = leaf(io, 'tokens', [batch, length, 2 * patchSize]);
      const read =
        result === 'hidden' ? undefined : { first: length - result.patches, count: result.patches };
      const { y, hidden } = network.forward(tokens, new Pass(), {}, undefined, read);
      const value = read ? network.quantiles(y) : concat(hidden);
      const root = assign(leaf(io, 'result', value.shape), value);
      return engine.bind(plan(`tirex ${key}`, { io, roots: [root], limits: engine.limits }), memories);
    });
    return { executable, size };
  }
}
