import { XlstmError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import { defineTask, drawDistinct, NOT_SCORED, PAD, type Task } from './task.ts';

export interface AssociativeRecallOptions {
  /** Tokens of a sequence. */
  readonly context: number;
  /** Keys with their values. */
  readonly pairs: number;
  /** Keys are the lower half of the vocabulary, values the upper. */
  readonly vocabulary: number;
}

/** Exponent of the power law of the distance from the pairs to a query (Zoology, arXiv 2312.04927). */
const POWER = 0.01;

/** Multi-query associative recall: k v k v … and then every key once more among blanks; there its value is asked. */
export function associativeRecall({ context, pairs, vocabulary }: AssociativeRecallOptions): Task {
  const firstValue = Math.floor(vocabulary / 2);
  const values = vocabulary - firstValue;
  const name = `mqar[${context},${pairs},${vocabulary}]`;
  for (const [what, value] of Object.entries({ context, pairs, vocabulary })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new XlstmError('config', `${name}: ${what}: expected a whole number above 0, found ${value}`);
    }
  }
  if (context < 4 * pairs) {
    throw new XlstmError(
      'config',
      `${name}: ${pairs} pairs and their queries take a context of at least ${4 * pairs}, found ${context}`,
    );
  }
  if (firstValue - 1 < pairs) {
    throw new XlstmError(
      'config',
      `${name}: ${pairs} different keys take a vocabulary of at least ${2 * pairs + 2}, found ${vocabulary}`,
    );
  }
  return defineTask({
    name,
    title: `Associative recall, ${pairs} pairs`,
    group: 'recall',
    symbols: [
      'PAD',
      ...Array.from({ length: firstValue - 1 }, (_, k) => `k${k + 1}`),
      ...Array.from({ length: values }, (_, k) => `v${k + 1}`),
    ],
    chanceAccuracy: 1 / values,
    accuracyOf: 'answers',
    running: false,
    shortest: 4 * pairs,
    trainLengths: [context, context],
    testLengths: [context, context],
    definition: `${pairs} keys with a value each, then the keys again in another order; their values are asked.`,
    draw(random, length) {
      const tokens = new Array<number>(length).fill(PAD);
      const targets = new Array<number>(length).fill(NOT_SCORED);
      const keys = drawDistinct(random, pairs, firstValue - 1, 1);
      const answers = drawDistinct(random, pairs, values, firstValue);
      const places = drawPlaces(random, pairs, Math.floor(length / 2) - pairs);
      for (let pair = 0; pair < pairs; pair++) {
        tokens[2 * pair] = keys[pair];
        tokens[2 * pair + 1] = answers[pair];
        const query = 2 * (pairs + places[pair]);
        tokens[query] = keys[pair];
        targets[query] = answers[pair];
      }
      return { tokens, targets };
    },
  });
}

/** `count` different places below `space`, one after the other with probability ∝ (place + 1)^(POWER − 1). */
function drawPlaces(random: Random, count: number, space: number): number[] {
  const weights = Array.from({ length: space }, (_, place) => (place + 1) ** (POWER - 1));
  return Array.from({ length: count }, () => {
    let left = random.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
    let chosen = -1;
    for (let place = 0; place < space && (left >= 0 || chosen < 0); place++) {
      if (weights[place] === 0) continue;
      chosen = place;
      left -= weights[place];
    }
    weights[chosen] = 0;
    return chosen;
  });
}
