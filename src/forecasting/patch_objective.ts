import { multiply } from '../compute/graph/elementwise.ts';
import type { Tensor } from '../compute/graph/tensor.ts';
import { concat } from '../compute/graph/views.ts';
import type { TirexNetwork } from '../models/tirex/network.ts';
import { Tirex2Network } from '../models/tirex2/network.ts';
import type { RowLayout } from '../models/tirex2/rows.ts';
import type { LayerOutput, LayerState, Pass } from '../nn/layer.ts';
import { quantileLoss } from '../training/losses.ts';
import type { Objective, SequenceBatch } from '../training/objective.ts';

/** A batch of rows of patches, scaled. */
export interface PatchBatch extends SequenceBatch {
  /** [rows, L, 2·P], as the networks take them. */
  readonly tokens: ArrayLike<number>;
  /** The values of the patch after each token: [rows, L, P]. */
  readonly next: ArrayLike<number>;
  /** 1 where such a value is to be forecast, 0 where it is missing or no target's: [rows, L, P]. */
  readonly counts: ArrayLike<number>;
}

/** The networks that read patches. */
export type PatchNetwork = TirexNetwork | Tirex2Network;

/**
 * What these networks are trained for: the next patch of every token, by the mean over the quantiles of the pinball loss, in scaled units.
 * `batchSize` is the number of rows. `layout`: which of them belong together, for a network that reads several variates;
 * left out, each is a series by itself.
 */
export const patchObjective = (layout?: Omit<RowLayout, 'series'>): Objective<PatchNetwork, PatchBatch> => ({
  inputs({ config }, { batchSize, length }) {
    const shape = [batchSize, length, config.patchSize];
    return {
      tokens: { shape: [batchSize, length, 2 * config.patchSize], range: 'finite' },
      next: { shape, range: 'finite' },
      counts: { shape, range: 'flags' },
    };
  },
  count({ counts }) {
    let count = 0;
    for (let i = 0; i < counts.length; i++) count += counts[i];
    return count;
  },
  losses(network, { tokens, next, counts }, pass, state) {
    const { quantiles } = network.config;
    const after = forward(network, tokens, layout, pass, state);
    const losses = quantileLoss(quantiles)(network.quantiles(after.y), next);
    const each = multiply(counts, 1 / quantiles.length);
    return { losses: multiply(losses, concat(quantiles.map(() => each))), state: after.state };
  },
});

function forward(
  network: PatchNetwork,
  tokens: Tensor,
  { targets, past, known }: Omit<RowLayout, 'series'> = { targets: 1, past: 0, known: 0 },
  pass: Pass,
  state: LayerState,
): LayerOutput {
  if (!(network instanceof Tirex2Network)) return network.forward(tokens, pass, state);
  const series = tokens.shape[0] / (targets + past + known);
  return network.forward(tokens, { series, targets, past, known }, pass, state);
}
