import { ByteTokenizer, type NamedConfig, Random, TokenBatches, type TrainingBatch } from 'xlstm';
import { refusal } from './refusal.ts';

/** What models are asked, side by side. */
export interface Contest {
  readonly vocabSize: number;
  /** Loss of one that guesses. */
  readonly guessing: number;
  /** The next batch of B sequences of so many tokens. */
  batch(batchSize: number, length: number): TrainingBatch;
}

export type TaskName = 'parity' | 'recall';
export type ContestName = TaskName | 'text';

const NONE = -1;

/** Of each bit: whether so far there was an odd number of ones. It takes a state; attention alone has none. */
function parity(seed: number): Contest {
  const random = new Random(seed);
  return {
    vocabSize: 2,
    guessing: Math.log(2),
    batch(batchSize, length) {
      const tokens = Int32Array.from({ length: batchSize * length }, () => random.integer(2));
      let odd = 0;
      const targets = tokens.map((bit, i) => {
        odd = (i % length === 0 ? 0 : odd) ^ bit;
        return odd;
      });
      return { tokens, targets };
    },
  };
}

const KEYS = 16;
const VALUES = 16;

/** Keys with a value each, then the keys again in another order, each with its value, which is asked. It takes a memory that is addressed. */
function recall(seed: number): Contest {
  const random = new Random(seed);
  return {
    vocabSize: KEYS + VALUES,
    guessing: Math.log(VALUES),
    batch(batchSize, length) {
      const tokens = new Int32Array(batchSize * length);
      const targets = new Int32Array(batchSize * length).fill(NONE);
      const pairs = Math.min(KEYS, Math.floor(length / 4));
      for (let b = 0; b < batchSize; b++) {
        const keys = shuffled(random, pairs);
        const values = keys.map(() => KEYS + random.integer(VALUES));
        const order = shuffled(random, pairs, pairs);
        for (const [p, key] of keys.entries()) {
          const at = b * length + 2 * p;
          tokens[at] = key;
          tokens[at + 1] = values[p];
          const asked = order[p];
          const question = b * length + 2 * (pairs + p);
          tokens[question] = keys[asked];
          tokens[question + 1] = values[asked];
          targets[question] = values[asked];
        }
      }
      return { tokens, targets };
    },
  };
}

/** `count` different whole numbers below `most`, in random order. */
function shuffled(random: Random, count: number, most = KEYS): number[] {
  const all = Array.from({ length: most }, (_, i) => i);
  for (let i = 0; i < count; i++) {
    const j = i + random.integer(most - i);
    [all[i], all[j]] = [all[j], all[i]];
  }
  return all.slice(0, count);
}

/** The next byte of a text. */
function reading(text: string, seed: number): Contest {
  const tokenizer = new ByteTokenizer();
  const tokens = tokenizer.encode(text.slice(0, 4e6));
  const cut = new Map<string, TokenBatches>();
  return {
    vocabSize: tokenizer.vocabSize,
    guessing: Math.log(tokenizer.vocabSize),
    batch(batchSize, length) {
      if (tokens.length < batchSize * length + 1)
        throw refusal(
          `The text is too short: expected at least ${batchSize * length + 1} bytes, found ${tokens.length}.`,
          'Take a longer one.',
        );
      const key = `${batchSize} ${length}`;
      const batches =
        cut.get(key) ?? new TokenBatches(tokens, { batchSize, length, order: 'shuffled', seed });
      cut.set(key, batches);
      return batches.next();
    },
  };
}

/** What a token of a task is called, as one that is read and as one that is answered. */
export const taskLabels = (
  task: TaskName,
  token: number,
): { readonly read: string; readonly told: string } => {
  if (task === 'parity') return { read: `${token}`, told: token === 1 ? 'odd' : 'even' };
  const label = token < KEYS ? String.fromCharCode(97 + token) : `${token - KEYS}`;
  return { read: label, told: label };
};

export const contest = (name: ContestName, text: string, seed: number): Contest =>
  name === 'parity' ? parity(seed) : name === 'recall' ? recall(seed) : reading(text, seed);

/** The three of them at about the same number of parameters. */
export const contestants = (
  vocabSize: number,
): readonly { readonly name: string; readonly config: NamedConfig }[] => [
  {
    name: 'xLSTM[1:1]',
    config: {
      architecture: 'xlstm',
      vocabSize,
      embeddingDim: 32,
      numBlocks: 2,
      numHeads: 2,
      slstmAt: [1],
    } as NamedConfig,
  },
  {
    name: 'Transformer',
    config: {
      architecture: 'transformer',
      vocabSize,
      embeddingDim: 32,
      numBlocks: 2,
      numHeads: 2,
      contextLength: 2048,
    } as NamedConfig,
  },
  {
    name: 'LSTM',
    config: { architecture: 'lstm', vocabSize, embeddingDim: 40, numBlocks: 2 } as NamedConfig,
  },
];
