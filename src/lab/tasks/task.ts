import { XlstmError } from '../../errors.ts';
import type { Random } from '../../random.ts';

/** The blank: what follows a sequence, and what is fed where an answer is asked for. */
export const PAD = 0;

/** The target of a position that is not scored. */
export const NOT_SCORED = -1;

export interface Sample {
  readonly tokens: readonly number[];
  /** The right output at each position, `NOT_SCORED` where none is asked for; as many as tokens. */
  readonly targets: readonly number[];
}

/** Shortest and longest, both included. */
export type LengthRange = readonly [number, number];

interface TaskTraits {
  /** What a command line calls it. */
  readonly name: string;
  readonly title: string;
  readonly group: 'regular' | 'context-free' | 'context-sensitive' | 'counting' | 'state tracking' | 'recall';
  /** How a person reads token 0, 1, …; the first is PAD. */
  readonly symbols: readonly string[];
  /** The published chance level where there is one: one over the number of possible answers. */
  readonly chanceAccuracy: number;
  /** What accuracy counts: right answers, or sequences in which every answer is right. */
  readonly accuracyOf: 'answers' | 'sequences';
  /** Every prefix has its answer: accuracy is a matter of the position, not of the whole length. */
  readonly running: boolean;
  /** The smallest length that `sample` takes. */
  readonly shortest: number;
  readonly trainLengths: LengthRange;
  readonly testLengths: LengthRange;
}

/** A stream of examples. Pure: what it draws depends on the generator handed in and on nothing else. */
export interface Task extends TaskTraits {
  readonly vocabSize: number;
  describe(): string;
  /**
   * One example. `length` counts a sequence as its papers do, answers included; where a task cannot fill it (pairs in
   * an odd length), the longest example below it is drawn. Never more than `length` tokens.
   */
  sample(random: Random, length: number): Sample;
}

export interface TaskDefinition extends TaskTraits {
  /** What is asked, in a sentence or two. */
  readonly definition: string;
  readonly draw: (random: Random, length: number) => Sample;
}

/** Lengths of the formal-language tasks of the xLSTM paper (arXiv 2405.04517). */
export const FORMAL_LENGTHS = { trainLengths: [3, 40], testLengths: [40, 256] } as const;

/** A formal-language task as most of them are: answers counted one by one, at the end of the sequence. */
export const FORMAL = { ...FORMAL_LENGTHS, accuracyOf: 'answers', running: false, shortest: 3 } as const;

export function defineTask({ definition, draw, ...traits }: TaskDefinition): Task {
  const { title, symbols, shortest, trainLengths, testLengths } = traits;
  const vocabSize = symbols.length;
  return {
    ...traits,
    vocabSize,
    describe: () =>
      `${title}: ${definition} ${vocabSize} symbols; trained at ${rangeText(trainLengths)}, tested at ${rangeText(testLengths)}.`,
    sample(random, length) {
      if (!Number.isSafeInteger(length) || length < shortest) {
        throw new XlstmError(
          'config',
          `${title}: expected a length of at least ${shortest}, found ${length}`,
        );
      }
      return draw(random, length);
    },
  };
}

const rangeText = ([shortest, longest]: LengthRange): string =>
  shortest === longest ? `length ${shortest}` : `lengths ${shortest} to ${longest}`;

/**
 * The layout of the official xLSTM experiments: the sequence is the prompt and then the answers, in the input the
 * answers are blank, and each is predicted one position early, the first where the last symbol of the prompt is read.
 */
export function answered(prompt: readonly number[], answers: readonly number[]): Sample {
  const tokens = prompt.slice();
  const targets = prompt.map(() => NOT_SCORED);
  targets[prompt.length - 1] = answers[0];
  for (const answer of answers.slice(1)) {
    tokens.push(PAD);
    targets.push(answer);
  }
  return { tokens, targets };
}

/** `count` numbers from `first` to `first + kinds − 1`, each equally likely. */
export const drawMany = (random: Random, count: number, kinds: number, first: number): number[] =>
  Array.from({ length: count }, () => first + random.integer(kinds));

/** `count` different numbers from `first` to `first + kinds − 1` in random order. */
export function drawDistinct(random: Random, count: number, kinds: number, first: number): number[] {
  const drawn = new Set<number>();
  while (drawn.size < count) drawn.add(first + random.integer(kinds));
  return [...drawn];
}

/** '0', '1', … */
export const numerals = (count: number, first = 0): string[] =>
  Array.from({ length: count }, (_, k) => String(first + k));
