import { XlstmError } from '../../errors.ts';
import type { TaskBatch } from './batch.ts';
import type { LengthRange, Task } from './task.ts';

/** 0 is chance, 1 perfect; slightly below 0 is possible. */
export const scaledAccuracy = (accuracy: number, chance: number): number =>
  (accuracy - chance) / (1 - chance);

export interface Accuracy {
  readonly right: number;
  readonly asked: number;
  /** right / asked; NaN when nothing was asked. */
  readonly accuracy: number;
  readonly scaled: number;
}

export interface BucketAccuracy extends Accuracy {
  /** Lengths, or positions from 1 on for a running task; both included. */
  readonly lengths: LengthRange;
}

/** The most likely token where one is asked for, −1 elsewhere; logits are [B, T, V]. */
export function predictedTokens(
  logits: ArrayLike<number>,
  targets: ArrayLike<number>,
  vocabSize: number,
): Int32Array {
  return Int32Array.from(targets, (target, at) => {
    let best = -1;
    if (target < 0) return best;
    let highest = Number.NEGATIVE_INFINITY;
    for (let token = 0; token < vocabSize; token++) {
      const logit = logits[at * vocabSize + token];
      if (logit > highest) {
        highest = logit;
        best = token;
      }
    }
    return best;
  });
}

/** Counts right answers of a task over many batches, in all and by length. */
export class TaskScore {
  readonly #task: Task;
  readonly #buckets: readonly LengthRange[];
  /** Of each bucket; the last of what lies in none. */
  readonly #right: number[];
  readonly #asked: number[];

  constructor(task: Task, buckets: readonly LengthRange[]) {
    this.#task = task;
    this.#buckets = buckets;
    this.#right = new Array<number>(buckets.length + 1).fill(0);
    this.#asked = new Array<number>(buckets.length + 1).fill(0);
  }

  /** `predictions` [B, T]: the token that the model found most likely. */
  add(batch: TaskBatch, predictions: ArrayLike<number>): void {
    const { targets, lengths } = batch;
    if (predictions.length !== targets.length) {
      throw new XlstmError('shape', `expected ${targets.length} predictions, found ${predictions.length}`);
    }
    const { accuracyOf, running } = this.#task;
    const width = targets.length / lengths.length;
    for (let row = 0; row < lengths.length; row++) {
      let allRight = true;
      for (let t = 0; t < width; t++) {
        const at = row * width + t;
        if (targets[at] < 0) continue;
        const right = predictions[at] === targets[at];
        allRight &&= right;
        if (accuracyOf === 'answers') this.#count(running ? t + 1 : lengths[row], right);
      }
      if (accuracyOf === 'sequences') this.#count(lengths[row], allRight);
    }
  }

  #count(length: number, right: boolean): void {
    const found = this.#buckets.findIndex(([from, to]) => from <= length && length <= to);
    const bucket = found < 0 ? this.#buckets.length : found;
    this.#asked[bucket]++;
    if (right) this.#right[bucket]++;
  }

  total(): Accuracy {
    const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
    return this.#accuracy(sum(this.#right), sum(this.#asked));
  }

  buckets(): BucketAccuracy[] {
    return this.#buckets.map((lengths, k) => ({
      lengths,
      ...this.#accuracy(this.#right[k], this.#asked[k]),
    }));
  }

  #accuracy(right: number, asked: number): Accuracy {
    const accuracy = right / asked;
    return { right, asked, accuracy, scaled: scaledAccuracy(accuracy, this.#task.chanceAccuracy) };
  }
}
