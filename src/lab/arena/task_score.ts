import type { Model } from '../../nn/model.ts';
import { SequenceRunner } from '../../nn/sequence_runner.ts';
import { Random } from '../../random.ts';
import { type TaskBatch, taskBatch } from '../tasks/batch.ts';
import { type BucketAccuracy, predictedTokens, TaskScore } from '../tasks/score.ts';
import type { LengthRange, Task } from '../tasks/task.ts';
import type { CellRecord } from './records.ts';

/** Lengths told apart in reports, as multiples of this. */
const BUCKET = 32;

/** Cuts a range of lengths after multiples of 32: 40 to 64, 65 to 96, … */
export function evenBuckets([shortest, longest]: LengthRange): LengthRange[] {
  const buckets: LengthRange[] = [];
  for (let from = shortest; from <= longest; ) {
    const to = Math.min(longest, Math.max(BUCKET, Math.ceil(from / BUCKET) * BUCKET));
    buckets.push([from, to]);
    from = to + 1;
  }
  return buckets;
}

/** The lengths (positions, for a task with running answers) that a task's accuracy is told for. */
export interface Lengths {
  /** Those of training, where the test has others. */
  readonly trained: LengthRange | undefined;
  readonly tested: readonly LengthRange[];
}

export function reportedLengths({ running, trainLengths, testLengths }: Task): Lengths {
  if (trainLengths[0] === testLengths[0] && trainLengths[1] === testLengths[1]) {
    return { trained: undefined, tested: evenBuckets(running ? [1, testLengths[1]] : testLengths) };
  }
  if (!running) return { trained: trainLengths, tested: evenBuckets(testLengths) };
  return { trained: [1, trainLengths[1]], tested: evenBuckets([trainLengths[1] + 1, testLengths[1]]) };
}

export interface TaskResult {
  readonly accuracy: NonNullable<CellRecord['accuracy']>;
  /** Over all test lengths, each bucket as important as it is wide. */
  readonly scaledAccuracy: number;
}

/** Measures a model on a task: the likeliest token wherever one is asked for, with no memory from row to row. */
export class TaskEvaluator {
  readonly #model: Model;
  readonly #task: Task;
  readonly #batchSize: number;
  readonly #runner: SequenceRunner;

  constructor(model: Model, task: Task, batchSize: number) {
    this.#model = model;
    this.#task = task;
    this.#batchSize = batchSize;
    this.#runner = SequenceRunner.of(model, batchSize, 'all');
  }

  /** `sequences` of the stream of a seed, the same number in each bucket. */
  async run(seed: number, sequences: number): Promise<TaskResult> {
    const { running, testLengths } = this.#task;
    const { trained, tested } = reportedLengths(this.#task);
    const buckets = trained ? [trained, ...tested] : tested;
    const random = new Random(seed);
    const results: BucketAccuracy[] = [];
    if (running) {
      // Every sequence covers all positions.
      const longest: LengthRange = [testLengths[1], testLengths[1]];
      results.push(...(await this.#score(random, sequences, longest, buckets)).buckets());
    } else {
      // The lengths of training and of the test may overlap: each bucket has sequences of its own.
      for (const bucket of buckets) {
        const score = await this.#score(random, sequences / buckets.length, bucket, [bucket]);
        results.push({ lengths: bucket, ...score.total() });
      }
    }
    const accuracy = results.map(({ lengths, accuracy, scaled, asked }) => ({
      length: lengths[1],
      accuracy,
      scaled,
      count: asked,
    }));
    const measured = accuracy.slice(trained ? 1 : 0);
    const width = ([from, to]: LengthRange): number => to - from + 1;
    const total = tested.reduce((sum, bucket) => sum + width(bucket), 0);
    // Divided once: shares of the whole can add up to more than 1, which no record of a score may have.
    const sum = measured.reduce((sum, { scaled }, i) => sum + scaled * width(tested[i]), 0);
    return { accuracy, scaledAccuracy: sum / total };
  }

  async #score(
    random: Random,
    sequences: number,
    [from, to]: LengthRange,
    buckets: readonly LengthRange[],
  ): Promise<TaskScore> {
    const score = new TaskScore(this.#task, buckets);
    for (let i = 0; i < Math.ceil(sequences / this.#batchSize); i++) {
      const batch = taskBatch(this.#task, random, this.#batchSize, from, to, to);
      score.add(batch, await this.predict(batch, to));
    }
    return score;
  }

  async predict({ tokens, targets }: TaskBatch, length: number): Promise<Int32Array> {
    const executable = this.#runner.executable(length);
    this.#runner.state.clear();
    executable.io.write('tokens', tokens);
    await executable.run();
    return predictedTokens(await executable.io.read('logits'), targets, this.#model.network.vocabSize);
  }
}
