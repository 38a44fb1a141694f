import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Checkpoint,
  type CheckpointFiles,
  checkpointFiles,
  writeCheckpoint,
} from '../checkpoints/checkpoint.ts';
import { type BatchPosition, TokenBatches } from '../data/batches.ts';
import { DOCUMENT, type Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import type { Model } from '../nn/model.ts';
import type { XlstmLanguageModel } from '../xlstm/language_model.ts';
import { Evaluator } from './evaluate.ts';
import { MetricsFile } from './metrics_file.ts';
import { warmupCosine } from './schedule.ts';
import { Trainer } from './trainer.ts';

/** Everything that decides what a run computes; stored with its checkpoints. */
export interface RunOptions {
  readonly steps: number;
  readonly batchSize: number;
  /** Tokens of each sequence of a batch. */
  readonly length: number;
  /** Batches whose gradients make one step. */
  readonly microBatches: number;
  /** Learning rate after the warm-up. */
  readonly learningRate: number;
  readonly warmupSteps: number;
  /** Learning rate at the end as a fraction of `learningRate`. */
  readonly finalFraction: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  /** Bound on the gradient's norm; 0: none. */
  readonly clipNorm: number;
  /** 'contiguous': batches continue each other and the state is carried; 'shuffled': windows in random order. */
  readonly order: 'contiguous' | 'shuffled';
  readonly seed: number;
  /** Steps between two measurements on the validation text; the last step is always measured. */
  readonly evaluateEvery: number;
  /** Steps between two checkpoints; the last step always makes one. */
  readonly checkpointEvery: number;
}

export interface TrainingRun {
  readonly model: Model<XlstmLanguageModel>;
  readonly tokenizer: Tokenizer;
  readonly options: RunOptions;
  readonly train: Int32Array;
  readonly validation: Int32Array;
  /** The run's folder: `metrics.jsonl` and `checkpoint/`. */
  readonly folder: string;
  /** The training part of the checkpoint to go on from. */
  readonly resume?: Checkpoint['training'];
  /** Recorded in the checkpoint: what to know of the data to go on. */
  readonly source: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
  readonly onStep?: (event: StepEvent) => void;
}

export interface StepEvent {
  /** Steps made, this one included. */
  readonly step: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Of this step alone. */
  readonly tokensPerSecond: number;
  /** Since the run began, evaluation included. */
  readonly elapsedSeconds: number;
  /** Where the step was followed by a measurement. */
  readonly validationLoss?: number;
}

export interface RunResult {
  readonly steps: number;
  readonly interrupted: boolean;
  readonly validationLoss: number | undefined;
  readonly trainingSeconds: number;
}

interface Progress {
  readonly step: number;
  readonly position: BatchPosition;
  readonly elapsedSeconds: number;
  readonly options: RunOptions;
  readonly source: Readonly<Record<string, unknown>>;
}

/** Lanes of a measurement: enough for an efficient batch, few enough to start cold seldom. */
const EVALUATION_LANES = 16;

/** The options and the data source that a checkpoint's training state was made with. */
export function readProgress({ progress }: NonNullable<Checkpoint['training']>, source: string): Progress {
  const { step, position, options } = progress as Partial<Progress>;
  if (!Number.isInteger(step) || typeof position !== 'object' || typeof options !== 'object') {
    throw new XlstmError('checkpoint', `${source}: training.json is not that of a training run`);
  }
  return progress as unknown as Progress;
}

/** Throws if the folder holds files of a run (or anything else) that a new run would mix with. */
export async function requireNewFolder(folder: string): Promise<void> {
  const found = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw new XlstmError('data', `${folder}: cannot be used as the output folder (${error.code})`);
  });
  if (found.length === 0) return;
  const isRun = found.includes('metrics.jsonl') || found.includes('checkpoint');
  throw new XlstmError(
    'data',
    isRun ? `${folder} already holds a run` : `${folder} is not empty: expected a new or empty output folder`,
    isRun
      ? `Go on with it: xlstm train --resume ${folder} — or choose another folder with --out.`
      : 'Choose another folder with --out.',
  );
}

/**
 * Trains a model, measures it on the validation text, keeps metrics and checkpoints. On an abort it stops after the
 * step in progress, with a checkpoint. A loss that is not finite stops the run; the last good checkpoint stays.
 */
export async function runTraining(run: TrainingRun): Promise<RunResult> {
  const { model, options, folder, signal } = run;
  const { steps, batchSize, length, microBatches } = options;
  const documentStart = run.tokenizer.specials.get(DOCUMENT);
  const batches = new TokenBatches(run.train, {
    batchSize,
    length,
    order: options.order,
    seed: options.seed,
    documentStart,
  });
  if (run.validation.length < 2) {
    throw new XlstmError(
      'data',
      `the held-out text is too short to measure on: expected at least 2 tokens, found ${run.validation.length}`,
      'use more text',
    );
  }
  const schedule = warmupCosine({
    peak: options.learningRate,
    warmupSteps: options.warmupSteps,
    totalSteps: steps,
    finalFraction: options.finalFraction,
  });
  const { beta1, beta2, epsilon, weightDecay, clipNorm, seed } = options;
  const carryState = options.order === 'contiguous';
  const trainer = new Trainer(model, {
    batchSize,
    length,
    carryState,
    seed,
    beta1,
    beta2,
    epsilon,
    weightDecay,
    clipNorm,
  });
  const evaluator = new Evaluator(model, { lanes: EVALUATION_LANES, length, documentStart });

  let elapsedBefore = 0;
  if (run.resume) {
    const progress = readProgress(run.resume, folder);
    trainer.restore(run.resume.tensors, progress.step, join(folder, 'checkpoint', 'optimizer.safetensors'));
    batches.seek(progress.position);
    elapsedBefore = progress.elapsedSeconds;
  }
  await mkdir(folder, { recursive: true });
  const metrics = new MetricsFile(join(folder, 'metrics.jsonl'), run.resume ? trainer.steps : undefined);
  const start = performance.now();
  const elapsedSeconds = (): number => elapsedBefore + (performance.now() - start) / 1000;
  const checkpointPath = join(folder, 'checkpoint');
  let files: CheckpointFiles | undefined;
  const snapshot = async (): Promise<CheckpointFiles> => {
    const progress: Progress = {
      step: trainer.steps,
      position: batches.position(),
      elapsedSeconds: elapsedSeconds(),
      options,
      source: run.source,
    };
    const training = { progress: { ...progress }, tensors: await trainer.save() };
    files = await checkpointFiles({ model, tokenizer: run.tokenizer, training }, files);
    return files;
  };
  const checkFinite = (values: Readonly<Record<string, number>>): void => {
    if (Object.values(values).every(Number.isFinite)) return;
    const found = Object.entries(values).map(([name, value]) => `${name} ${value}`);
    throw new XlstmError(
      'diverged',
      `training diverged at step ${trainer.steps}: ${found.join(', ')}`,
      `The last good checkpoint is in ${checkpointPath}. A lower --learning-rate or a longer --warmup-steps may help.`,
    );
  };

  let validationLoss: number | undefined;
  // A checkpoint of weights that no loss was computed with yet: it takes the last one's place when they prove good.
  let unproven: CheckpointFiles | undefined;
  try {
    // The first checkpoint shows at once whether the folder can be written, and the first measurement takes its memory
    // now, so that the memory of a run does not grow later.
    if (!run.resume) await writeCheckpoint(checkpointPath, await snapshot());
    await evaluator.run(run.validation.subarray(0, 2));
    while (trainer.steps < steps && !signal?.aborted) {
      const learningRate = schedule(trainer.steps + 1);
      const stepStart = performance.now();
      const pieces = Array.from({ length: microBatches }, () => batches.next());
      if (carryState && pieces.some((piece) => !piece.continues)) trainer.clearState();
      const { loss, gradientNorm } = await trainer.step(pieces, learningRate);
      const stepSeconds = (performance.now() - stepStart) / 1000;
      checkFinite({ loss, 'gradient norm': gradientNorm });
      if (unproven) await writeCheckpoint(checkpointPath, unproven);
      unproven = undefined;
      const last = trainer.steps === steps;
      const measured = last || trainer.steps % options.evaluateEvery === 0;
      if (measured) {
        validationLoss = (await evaluator.run(run.validation)).loss;
        checkFinite({ 'validation loss': validationLoss });
      }
      const event: StepEvent = {
        step: trainer.steps,
        loss,
        gradientNorm,
        learningRate,
        tokensPerSecond: (microBatches * batchSize * length) / stepSeconds,
        elapsedSeconds: elapsedSeconds(),
        ...(measured ? { validationLoss } : {}),
      };
      metrics.append({ ...event });
      run.onStep?.(event);
      if (last || trainer.steps % options.checkpointEvery === 0) unproven = await snapshot();
      // Lets signals and timers through between steps that ran on this thread.
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (signal?.aborted) unproven = await snapshot();
    if (unproven) await writeCheckpoint(checkpointPath, unproven);
  } finally {
    metrics.close();
  }
  return {
    steps: trainer.steps,
    interrupted: trainer.steps < steps,
    validationLoss,
    trainingSeconds: elapsedSeconds(),
  };
}
