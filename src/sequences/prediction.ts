import type { SequenceConfig } from '../models/sequence/config.ts';

/** What a model says of a step or a sequence, in the units of the data it was trained on. */
export interface Prediction {
  /** Outputs: each one's value, or its median or the quantile next to it. */
  readonly values: readonly number[];
  /** The first of `values`: of a model of one output, the prediction. */
  readonly value: number;
  /** Classes: the likeliest one. */
  readonly label: string | undefined;
  /** Classes: the probability of each. */
  readonly probabilities: Readonly<Record<string, number>>;
  /** Quantiles of the first output by name: q50 is the median, q97.5 97.5 %. They ascend. */
  readonly [quantile: `q${number}`]: number;
  /** Quantiles: of each output, ascending, in the order of the model's `quantiles`. */
  readonly quantiles: readonly (readonly number[])[];
}

/** The name of a quantile, such as q50 or q2.5. */
export const quantileName = (quantile: number): `q${number}` => `q${Number((quantile * 100).toFixed(6))}`;

/** y holds the network's numbers for one result, from `at` on. */
export function prediction(
  config: SequenceConfig,
  y: ArrayLike<number>,
  at: number,
  width: number,
): Prediction {
  const numbers = Array.from({ length: width }, (_, i) => y[at + i]);
  const { classes, quantiles, outputs } = config;
  if (classes.length > 0) return classified(classes, numbers);
  if (quantiles.length === 0) return named(numbers, [], []);
  // Quantiles are learned one by one: where they cross, they are put in order.
  const perOutput = Array.from({ length: outputs }, (_, o) =>
    quantiles.map((_, q) => numbers[q * outputs + o]).sort((a, b) => a - b),
  );
  const middle = quantiles.reduce(
    (best, q, i) => (Math.abs(q - 0.5) < Math.abs(quantiles[best] - 0.5) ? i : best),
    0,
  );
  return named(
    perOutput.map((values) => values[middle]),
    perOutput,
    quantiles,
  );
}

function named(
  values: readonly number[],
  perOutput: readonly (readonly number[])[],
  quantiles: readonly number[],
): Prediction {
  const byName = Object.fromEntries(quantiles.map((q, i) => [quantileName(q), perOutput[0][i]]));
  return { ...byName, values, value: values[0], label: undefined, probabilities: {}, quantiles: perOutput };
}

function classified(classes: readonly string[], logits: readonly number[]): Prediction {
  const largest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - largest));
  const total = weights.reduce((a, b) => a + b, 0);
  const shares = weights.map((weight) => weight / total);
  const label = classes[shares.indexOf(Math.max(...shares))];
  const probabilities = Object.fromEntries(classes.map((name, i) => [name, shares[i]]));
  return { values: shares, value: shares[0], label, probabilities, quantiles: [] };
}
