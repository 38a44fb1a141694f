import fc from 'fast-check';
import { Random } from '../../../random.ts';
import { type LengthRange, NOT_SCORED, PAD, type Task } from '../task.ts';

/** An example read back: what is given, and what is asked after it, in symbols. */
export interface Example {
  readonly prompt: readonly string[];
  readonly answers: readonly string[];
  /** Of prompt and answers together. */
  readonly size: number;
}

/**
 * Takes apart the layout "prompt, then blanks where the answers are, each asked one position early" and throws where
 * a sample does not follow it.
 */
export function readAnswered(task: Task, seed: number, length: number): Example {
  const { tokens, targets } = task.sample(new Random(seed), length);
  const last = targets.findIndex((target) => target !== NOT_SCORED);
  if (last < 0 || targets.slice(last).includes(NOT_SCORED))
    throw new Error(`answers are not at the end: ${targets}`);
  if (tokens.slice(0, last + 1).includes(PAD)) throw new Error(`a blank in the prompt: ${tokens}`);
  if (tokens.slice(last + 1).some((token) => token !== PAD))
    throw new Error(`an answer can be read: ${tokens}`);
  const names = (ids: readonly number[]): string[] => ids.map((id) => task.symbols[id]);
  const answers = names(targets.slice(last));
  return { prompt: names(tokens.slice(0, last + 1)), answers, size: last + 1 + answers.length };
}

/** Seeds and lengths, both ends of the range included. */
export const examples = ([shortest, longest]: LengthRange): fc.Arbitrary<{ seed: number; length: number }> =>
  fc.record({ seed: fc.nat(), length: fc.integer({ min: shortest, max: longest }) });
