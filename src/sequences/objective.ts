import { multiply } from '../compute/graph/elementwise.ts';
import { crossEntropy } from '../compute/graph/loss.ts';
import { reshape } from '../compute/graph/views.ts';
import type { SequenceNetwork } from '../models/sequence/network.ts';
import { type ElementLoss, quantileLoss } from '../training/losses.ts';
import type { InputSpec, Objective, SequenceBatch } from '../training/objective.ts';

/** A batch of sequences of numbers. R is T, or 1 where the network pools. */
export interface SequenceArrays extends SequenceBatch {
  /** [B, T, inputs] */
  readonly x: ArrayLike<number>;
  /** [B, R, outputs], or [B, R]: numbers of classes. */
  readonly targets: ArrayLike<number>;
  /** 1 where a target counts, 0 where there is none: [B, R]. */
  readonly weights: ArrayLike<number>;
  /** Steps of each row, from 1 to T: [B, 1]. For an objective of padded batches alone. */
  readonly lengths?: ArrayLike<number>;
}

/**
 * What a sequence network is trained for: cross entropy in nats where it has classes, the pinball loss where it has
 * quantiles, `loss` of its outputs else; all in standardised units, and means over targets.
 */
export const sequenceObjective = (
  loss: ElementLoss,
  padded: boolean,
): Objective<SequenceNetwork, SequenceArrays> => ({
  inputs(
    { config },
    { batchSize, length },
  ): Readonly<Record<'x' | 'targets' | 'weights' | 'lengths', InputSpec>> {
    const { inputs, outputs, classes, pool } = config;
    const results = pool === 'none' ? length : 1;
    const specs = {
      x: { shape: [batchSize, length, inputs], range: 'finite' },
      targets:
        classes.length > 0
          ? { shape: [batchSize, results], range: { ids: classes.length } }
          : { shape: [batchSize, results, outputs], range: 'finite' },
      weights: { shape: [batchSize, results], range: 'flags' },
    } as const;
    const lengths = { shape: [batchSize, 1], range: { ids: length + 1 } } as const;
    return (padded ? { ...specs, lengths } : specs) as Record<keyof typeof specs | 'lengths', InputSpec>;
  },
  count({ weights }) {
    let count = 0;
    for (let i = 0; i < weights.length; i++) count += weights[i];
    return count;
  },
  losses(network, { x, targets, weights }, pass, state) {
    const { classes, quantiles } = network.config;
    const { y, state: after } = network.forward(x, pass, state);
    if (classes.length > 0) {
      return { losses: multiply(crossEntropy(y, targets), weights), state: after };
    }
    const elements = (quantiles.length > 0 ? quantileLoss(quantiles) : loss)(
      y,
      network.standardiseTargets(targets),
    );
    // A target's loss is the mean over its outputs and quantiles.
    const share = multiply(reshape(weights, [...weights.shape, 1]), 1 / network.width);
    return { losses: multiply(elements, share), state: after };
  },
});
