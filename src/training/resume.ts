import { join } from 'node:path';
import { loadTraining } from '../checkpoints/checkpoint_folder.ts';
import { checkWhole } from '../checks.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { type Collective, oneProcess } from '../distributed/collective.ts';
import { XlstmError } from '../errors.ts';
import { Run } from './run.ts';
import { type ResumeData, readRunData } from './run_data.ts';
import { CHECKPOINT, RunFolder } from './run_folder.ts';
import { type RunOptions, runSchedule } from './run_options.ts';
import { type Progress, parseProgress, windowOrderOf } from './run_progress.ts';
import type { Wire } from './sharded_update.ts';
import { type RunControl, type RunResult, trainRun } from './train_run.ts';

/** How a run goes on: with which texts, and how far. */
export interface ResumeOptions extends ResumeData {
  /**
   * More steps than the run was planned with, for one that is complete or that was stopped; counted from its beginning.
   * The learning rate goes from where it stands, within as many steps as the warm-up had, to the cosine that ends there.
   */
  readonly steps?: number | undefined;
  /** As of a TrainingRun; not necessarily as many ranks as before. Default: one process. */
  readonly collective?: Collective | undefined;
  /** As of a TrainingRun. */
  readonly wire?: Wire | undefined;
}

/**
 * Opens a run where its last checkpoint stands, to the bit. Its texts are read again from where they were, or from
 * `data`; others than before are refused unless `acceptNewData` is set. Rejects with a checkpoint error where there is
 * nothing to go on from or the run is complete, a usage error for `steps` that are no more than were planned, a data error
 * for texts that are missing or refused and for a folder that another process writes.
 *
 * @param options Where the texts are, and more steps.
 */
export async function openRun(
  engine: Engine,
  path: string,
  { steps, collective = oneProcess, wire, ...data }: ResumeOptions = {},
): Promise<{
  /** Where it stood; to be closed by the caller. */
  readonly run: Run;
  /** That the texts are new, or may be, for people; undefined where they are those of before. */
  readonly note?: string;
}> {
  const folder = collective.rank === 0 ? await RunFolder.open(path) : undefined;
  try {
    // What is left of a crash is put in order before others read.
    await collective.barrier();
    const { model, tokenizer, training } = await loadTraining(engine, path);
    const progress = parseProgress(training.progress, join(path, CHECKPOINT, 'training.json'));
    const options = steps === undefined ? progress.options : extended(progress, steps, path);
    if (progress.step >= options.steps) {
      throw new XlstmError(
        'checkpoint',
        `${path}: the run is complete (${progress.step} of ${options.steps} steps)`,
        `To train on: xlstm train --resume ${path} --steps ${2 * options.steps}, or any number above ${options.steps}`,
      );
    }
    checkOrder(progress, path);
    const { note, source, ...texts } = await readRunData(tokenizer, path, progress, data);
    const parts = {
      model,
      tokenizer,
      options,
      folder: path,
      source: { ...source },
      collective,
      wire,
      ...texts,
    };
    return { run: await Run.resume(parts, folder, training), note };
  } catch (error) {
    await folder?.release();
    throw error;
  }
}

/** A run with windows in another order would read some twice in an epoch and others never. */
function checkOrder({ options, windowOrder }: Progress, path: string): void {
  // One micro-batch has the same lanes in any version.
  if (options.order === 'contiguous' && options.microBatches === 1) return;
  const expected = windowOrderOf(options.order);
  if (windowOrder === expected) return;
  throw new XlstmError(
    'checkpoint',
    `${path}: its windows are in the order ${windowOrder ?? 'of earlier versions'}, expected ${expected}`,
    `Go on with the version of xlstm that began it, or start a new run with its weights: xlstm train --init ${path}`,
  );
}

function extended({ step, options }: Progress, steps: number, path: string): RunOptions {
  checkWhole('steps', steps, 1);
  if (steps <= options.steps) {
    throw new XlstmError(
      'usage',
      `${path}: the run has ${options.steps} steps, of which ${step} are made: to go on beyond them expected more, found ${steps}`,
      'Steps are counted from the beginning of the run; without --steps it goes on to the planned end.',
    );
  }
  return { ...options, steps, extension: { step, learningRate: runSchedule(options)(step) } };
}

/**
 * Goes on with a run to its end or an abort, and closes it. Rejects as `openRun` and `trainRun` do.
 *
 * @param options As those of `openRun` and `trainRun`.
 */
export async function resumeTraining(
  engine: Engine,
  folder: string,
  { data, validation, acceptNewData, steps, collective, wire, ...control }: ResumeOptions & RunControl = {},
): Promise<RunResult> {
  const { run, note } = await openRun(engine, folder, {
    ...{ data, validation, acceptNewData, steps, collective, wire },
  });
  try {
    if (note) control.onWarning?.(note);
    return await trainRun(run, control);
  } finally {
    await run.close();
  }
}
