import type { Tensor } from '../compute/graph/tensor.ts';
import { TirexNetwork } from '../models/tirex/network.ts';
import type { TokenRange } from '../models/tirex/tokens.ts';
import { Tirex2Network } from '../models/tirex2/network.ts';
import type { RowLayout } from '../models/tirex2/rows.ts';
import { type LayerOutput, type LayerState, type Network, Pass } from '../nn/layer.ts';
import type { LevelRows } from './levels.ts';
import { scaleOf } from './tirex_scale.ts';
import { type RowScale, rowScale, type ScaleNumbers, scaleFrom } from './tirex2_scale.ts';
import { hasTrend, summed, widened } from './tirex2_trend.ts';

/** What a stream asks of a network that reads patches. */
export interface PatchModel {
  readonly network: Network;
  readonly patchSize: number;
  readonly contextLength: number;
  readonly levels: readonly number[];
  readonly takesCovariates: boolean;
  /** tokens [rows, L, 2·P] to the vectors [rows, count, D] of those that are read, and to the state after `keep` of them. */
  forward(tokens: Tensor, layout: RowLayout, state: LayerState, keep: number, read: TokenRange): LayerOutput;
  /** Vectors [..., D] to scaled patches [..., Q·P]. */
  quantiles(y: Tensor): Tensor;
  /** That of the row's values, or of its differences where it has a trend. */
  scaleOf(row: Float64Array): RowScale;
  /** The one that `scaleOf` gave, from its numbers. */
  scaleFrom(numbers: ScaleNumbers): RowScale;
  hasTrend(row: Float64Array): boolean;
  /** What is forecast of a target, of what the network gave in the units of the row; with a trend the differences from `last` on. */
  finish(raw: LevelRows, trend: boolean, last: number, horizon: number): LevelRows;
}

/** That of a network; undefined for one of another kind. */
export function patchModel(network: Network): PatchModel | undefined {
  if (network instanceof TirexNetwork) return ofTirex(network);
  if (network instanceof Tirex2Network) return ofTirex2(network);
  return undefined;
}

function ofTirex(network: TirexNetwork): PatchModel {
  const { patchSize, contextLength, quantiles: levels } = network.config;
  return {
    ...{ network, patchSize, contextLength, levels, takesCovariates: false },
    forward: (tokens, _, state, keep, read) => network.forward(tokens, new Pass(), state, keep, read),
    quantiles: (y) => network.quantiles(y),
    scaleOf(row) {
      return scaleFrom({ ...scaleOf(row), isBinary: false }, false);
    },
    scaleFrom: (numbers) => scaleFrom(numbers, false),
    hasTrend: () => false,
    finish: (raw) => raw,
  };
}

function ofTirex2(network: Tirex2Network): PatchModel {
  const { config } = network;
  const { patchSize, contextLength, quantiles: levels, differencing } = config;
  return {
    ...{ network, patchSize, contextLength, levels, takesCovariates: true },
    forward: (tokens, layout, state, keep, read) =>
      network.forward(tokens, layout, new Pass(), state, keep, read),
    quantiles: (y) => network.quantiles(y),
    scaleOf: (row) => rowScale(row, config),
    scaleFrom: (numbers) => scaleFrom(numbers, config.arcsinh),
    hasTrend: (row) => differencing && hasTrend(row),
    finish: (raw, trend, last, horizon) => (trend ? summed(raw, last, horizon) : widened(raw)),
  };
}
