import { XlstmError } from '../../errors.ts';
import type { Random } from '../../random.ts';
import { NOT_SCORED, PAD, type Task } from './task.ts';

/** The arrays are [B, T] but for `lengths`. */
export interface TaskBatch {
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
  /** 1 where a row starts. */
  readonly reset: Uint8Array;
  /** The length that each row was drawn for, [B]. */
  readonly lengths: Int32Array;
}

/**
 * Draws a batch of new examples, one a row, each of a length from `minLength` to `maxLength`, all equally likely. The
 * generator is the stream: it moves on, and nothing is kept.
 */
export function taskBatch(
  task: Task,
  random: Random,
  batchSize: number,
  minLength: number,
  maxLength: number,
  paddedLength: number,
): TaskBatch {
  for (const [name, value] of Object.entries({ batchSize, minLength, maxLength, paddedLength })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new XlstmError('config', `${name}: expected a whole number above 0, found ${value}`);
    }
  }
  if (minLength > maxLength) {
    throw new XlstmError(
      'config',
      `expected lengths from small to large, found ${minLength} to ${maxLength}`,
    );
  }
  if (paddedLength < maxLength) {
    throw new XlstmError('config', `rows of ${paddedLength} tokens cannot hold sequences of ${maxLength}`);
  }
  const tokens = new Int32Array(batchSize * paddedLength).fill(PAD);
  const targets = new Int32Array(batchSize * paddedLength).fill(NOT_SCORED);
  const reset = new Uint8Array(batchSize * paddedLength);
  const lengths = new Int32Array(batchSize);
  for (let row = 0; row < batchSize; row++) {
    lengths[row] = minLength + random.integer(maxLength - minLength + 1);
    const sample = task.sample(random, lengths[row]);
    tokens.set(sample.tokens, row * paddedLength);
    targets.set(sample.targets, row * paddedLength);
    reset[row * paddedLength] = 1;
  }
  return { tokens, targets, reset, lengths };
}
