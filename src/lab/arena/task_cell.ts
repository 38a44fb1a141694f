import type { Task } from '../tasks/task.ts';
import { type CellContext, cellModel, headOf, overridden, sizeModel } from './cell.ts';
import { taskSettings } from './cell_settings.ts';
import { PackedBatches } from './packed_batches.ts';
import type { CellRecord } from './records.ts';
import { TaskEvaluator } from './task_score.ts';
import { train } from './training.ts';

const EVALUATION_BATCH = 32;
/** Sequences of a check during training, and of the final measurement. */
const CHECK_SEQUENCES = 256;
const TEST_SEQUENCES = { quick: 1024, full: 4096 };

/** Examples of training, of checks and of the test must not meet: each has a stream of its own. */
const streams = { training: 0, check: 1, test: 2 } as const;
const streamSeed = (seed: number, purpose: keyof typeof streams): number => seed * 4 + streams[purpose];

/** Trains a model on a task's stream of examples and measures it at the lengths of training and of the test. */
export async function runTask(context: CellContext, task: Task): Promise<CellRecord> {
  const { spec, onProgress } = context;
  const settings = overridden(taskSettings(task, spec), spec);
  const sized = sizeModel(spec, task.vocabSize, settings.model);
  const model = cellModel(context, sized);
  const { batchSize, curriculum } = settings.training;
  const testSequences = TEST_SEQUENCES[spec.quick ? 'quick' : 'full'];
  const head = headOf(context, sized, {
    ...settings.training,
    trainLengths: task.trainLengths,
    testLengths: task.testLengths,
    testSequences,
    secondsAllowed: Math.round(spec.seconds),
  });

  const batches = new PackedBatches(task, streamSeed(spec.seed, 'training'), batchSize, curriculum);
  const evaluator = new TaskEvaluator(model, task, EVALUATION_BATCH);
  const { diverged, ...course } = await train(
    model,
    {
      settings: settings.training,
      seed: spec.seed,
      length: batches.length,
      seconds: spec.seconds,
      nextBatch: (fraction) => batches.next(fraction),
      chanceLoss: -Math.log(task.chanceAccuracy || 1 / task.vocabSize),
      check: async () => {
        const { scaledAccuracy } = await evaluator.run(streamSeed(spec.seed, 'check'), CHECK_SEQUENCES);
        return scaledAccuracy;
      },
    },
    onProgress,
  );
  const chance = task.chanceAccuracy;
  if (diverged) return { ...head, status: 'diverged', message: diverged, ...course, chance };
  const result = await evaluator.run(streamSeed(spec.seed, 'test'), testSequences);
  return { ...head, status: 'done', ...course, ...result, chance };
}
