import { Random } from '../../random.ts';
import type { TrainingBatch } from '../../training/objective.ts';
import { NOT_SCORED, PAD, type Sample, type Task } from '../tasks/task.ts';

/**
 * A stream of training batches of a task: each row holds as many sequences as fit, one after the other, with a reset
 * where each starts. A sequence that does not fit begins the next row, so lengths are as likely as they were drawn.
 */
export class PackedBatches {
  readonly #task: Task;
  readonly #random: Random;
  readonly #batchSize: number;
  readonly #curriculum: number;
  #next: Sample | undefined;

  constructor(task: Task, seed: number, batchSize: number, curriculum: number) {
    this.#task = task;
    this.#random = new Random(seed);
    this.#batchSize = batchSize;
    this.#curriculum = curriculum;
  }

  /** Tokens of a row. */
  get length(): number {
    return this.#task.trainLengths[1];
  }

  /** While the curriculum lasts, lengths go from the shortest that the task has to a bound that grows. */
  next(fraction: number): TrainingBatch & { readonly reset: ArrayLike<number> } {
    const { shortest, trainLengths } = this.#task;
    const [least, longest] = trainLengths;
    const learning = fraction < this.#curriculum;
    const from = learning ? Math.min(shortest, least) : least;
    const to = learning ? Math.round(from + ((longest - from) * fraction) / this.#curriculum) : longest;
    const count = this.#batchSize * longest;
    const tokens = new Int32Array(count).fill(PAD);
    const targets = new Int32Array(count).fill(NOT_SCORED);
    const reset = new Uint8Array(count);
    for (let row = 0; row < this.#batchSize; row++) {
      for (let used = 0; ; ) {
        const sample = this.#next ?? this.#draw(from, to);
        if (used + sample.tokens.length > longest) {
          this.#next = sample;
          break;
        }
        this.#next = undefined;
        tokens.set(sample.tokens, row * longest + used);
        targets.set(sample.targets, row * longest + used);
        reset[row * longest + used] = 1;
        used += sample.tokens.length;
      }
    }
    return { tokens, targets, reset };
  }

  #draw(from: number, to: number): Sample {
    return this.#task.sample(this.#random, from + this.#random.integer(to - from + 1));
  }
}
