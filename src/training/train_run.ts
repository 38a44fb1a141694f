import type { CheckpointFiles } from '../checkpoints/checkpoint.ts';
import { sumOverRanks } from '../distributed/collective.ts';
import { XlstmError } from '../errors.ts';
import type { BestMeasurement } from './best_model.ts';
import { type MeasuredSum, meanOverRanks } from './evaluate.ts';
import { Run, type TrainingRun } from './run.ts';
import { runSchedule } from './run_options.ts';

/** What a run tells and is told while it goes on. */
export interface RunControl {
  /** When it aborts, the run stops after the step in progress, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** Called after each step and its measurement. */
  readonly onStep?: (event: StepEvent) => void;
  /** What went wrong and did not end the run: a checkpoint or a line of metrics that could not be written yet. */
  readonly onWarning?: (message: string) => void;
}

/** What a run tells of a step, and writes as a line of its metrics. */
export interface StepEvent {
  /** Steps made, this one included. */
  readonly step: number;
  /** Mean loss of the step's targets, in nats. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  /** Of this step. */
  readonly learningRate: number;
  /** Of this step alone. */
  readonly tokensPerSecond: number;
  /** Since the run began, evaluation included. */
  readonly elapsedSeconds: number;
  /** Mean loss of the validation text, in nats, where the step was followed by a measurement. */
  readonly validationLoss?: number;
}

/** How a run ended. */
export interface RunResult {
  /** Steps made, those before a resumption included. */
  readonly steps: number;
  /** Steps or the last measurement are missing. */
  readonly interrupted: boolean;
  /** Of the last measurement, in nats; undefined where there was none. */
  readonly validationLoss: number | undefined;
  /** The least that was measured; the folder's `best/` holds that model. */
  readonly best: BestMeasurement | undefined;
  /** Since the run began, measurements included, but not the time between a checkpoint and its resumption. */
  readonly trainingSeconds: number;
}

/** Pieces of a text that is measured whole: few enough to start cold seldom. */
const EVALUATION_PIECES = 16;

/**
 * Begins a run, trains to its end or an abort, and closes it. Rejects with a data error for a folder that holds something,
 * and for texts that are too short; else as `trainRun`.
 *
 * @param run What it is made of, and what it tells and is told.
 */
export async function runTraining({
  signal,
  onStep,
  onWarning,
  ...parts
}: TrainingRun & RunControl): Promise<RunResult> {
  const run = await Run.create(parts);
  try {
    return await trainRun(run, { signal, onStep, onWarning });
  } finally {
    await run.close();
  }
}

/**
 * Trains, measures on the validation text, keeps metrics and checkpoints. On an abort it stops after the step in
 * progress, with a checkpoint. A loss that is not finite ends the run with a diverged error; the last good checkpoint
 * stays. What cannot be written, because a disk is full for one, is told and tried again later; where the last try fails,
 * that is the error.
 *
 * @param control What it tells and is told.
 */
export async function trainRun(run: Run, { signal, onStep, onWarning }: RunControl = {}): Promise<RunResult> {
  const { options, trainer, batches, evaluator, metrics, best, collective } = run;
  const { steps, batchSize, length, microBatches } = options;
  const schedule = runSchedule(options);

  const measures = options.evaluationTokens !== 0;

  /** Whether a rank was told to stop; all ranks find the same. */
  const stopped = async (): Promise<boolean> =>
    (await sumOverRanks(collective, [signal?.aborted ? 1 : 0]))[0] > 0;
  /** Each rank measures its share. Nothing where an abort ended it on one, or where nothing is measured. */
  const measure = async (): Promise<number | undefined> => {
    if (!evaluator) return undefined;
    const share = { pieces: EVALUATION_PIECES, share: collective };
    let own: readonly MeasuredSum[] | undefined;
    try {
      own = await evaluator.sumStream(run.validation, run.measuredTokens, { signal, ...share });
    } catch (error) {
      if (!signal?.aborted) throw error;
    }
    const [missing] = await sumOverRanks(collective, [own ? 0 : 1]);
    return own && missing === 0 ? (await meanOverRanks(collective, own)).loss : undefined;
  };
  const warned = new Set<string>();
  /** What fails for the same reason again and again is told once. */
  const attempt = async (write: () => void | Promise<void>, later: string): Promise<void> => {
    try {
      await write();
    } catch (error) {
      if (!(error instanceof XlstmError)) throw error;
      const text = `${error.message}; training goes on, ${later}`;
      if (!warned.has(text)) onWarning?.(text);
      warned.add(text);
    }
  };

  let validationLoss: number | undefined;
  // A checkpoint of weights that no loss was computed with yet: it takes the last one's place when they prove good.
  let unproven: CheckpointFiles | undefined;
  // The first checkpoint shows at once whether the folder can be written; one that was given more steps keeps that. The
  // first measurement takes its memory now, so that the memory of a run does not grow later.
  if (trainer.steps === (options.extension?.step ?? 0)) {
    const first = await run.snapshot();
    if (first) await run.write(first);
  }
  await evaluator?.run(run.validation, { tokens: 2 });
  let stopping = await stopped();
  while (trainer.steps < steps && !stopping) {
    const learningRate = schedule(trainer.steps + 1);
    const stepStart = performance.now();
    const { loss, gradientNorm } = await trainer.step(batches.next(), learningRate);
    const stepSeconds = (performance.now() - stepStart) / 1000;
    run.checkFinite({ loss, 'gradient norm': gradientNorm });
    const proven = unproven;
    unproven = undefined;
    if (proven) {
      await attempt(
        () => run.write(proven),
        `the next checkpoint is tried after ${options.checkpointEvery} steps`,
      );
      await attempt(async () => best?.write(), 'the best model is tried again with the next checkpoint');
    }
    const last = trainer.steps === steps;
    const measured = last || trainer.steps % options.evaluateEvery === 0;
    if (measured) {
      validationLoss = await measure();
      if (validationLoss !== undefined) {
        run.checkFinite({ 'validation loss': validationLoss });
        await best?.offer(run.model, run.tokenizer, { step: trainer.steps, validationLoss });
        await attempt(async () => best?.write(), 'the best model is tried again with the next checkpoint');
      }
    }
    const event: StepEvent = {
      step: trainer.steps,
      loss,
      gradientNorm,
      learningRate,
      tokensPerSecond: (microBatches * batchSize * length) / stepSeconds,
      elapsedSeconds: run.elapsedSeconds,
      ...(measured && validationLoss !== undefined ? { validationLoss } : {}),
    };
    await attempt(() => metrics?.append({ ...event }), 'its lines are kept and written with a later one');
    onStep?.(event);
    if (last || trainer.steps % options.checkpointEvery === 0) unproven = await run.snapshot();
    // Lets signals and timers through between steps that ran on this thread.
    await new Promise((resolve) => setImmediate(resolve));
    stopping = await stopped();
  }
  if (stopping) unproven = await run.snapshot();
  if (unproven) await run.write(unproven);
  await best?.write();
  metrics?.flush();
  return {
    steps: trainer.steps,
    interrupted: trainer.steps < steps || (measures && validationLoss === undefined),
    validationLoss,
    best: best?.measured,
    trainingSeconds: run.elapsedSeconds,
  };
}
