import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CheckpointFiles, checkpointFiles, type TrainingState } from '../checkpoints/checkpoint.ts';
import type { AdamwOptions } from '../compute/graph/optimizer.ts';
import type { Precision } from '../compute/graph/plan.ts';
import type { BatchOrder } from '../data/batches.ts';
import type { EncodedCorpus } from '../data/corpus.ts';
import { type TokenSource, tokenSource } from '../data/token_source.ts';
import { startToken, type Tokenizer } from '../data/tokenizer.ts';
import { type Collective, oneProcess, sumOverRanks } from '../distributed/collective.ts';
import { XlstmError } from '../errors.ts';
import { formatDesign } from '../models/registry.ts';
import { modelFingerprint } from '../nn/fingerprint.ts';
import type { Model } from '../nn/model.ts';
import { engineFact, type Facts, requireAgreement } from './agreement.ts';
import { type BestMeasurement, BestModel } from './best_model.ts';
import { Evaluator, type MeasuredSum, meanOverRanks } from './evaluate.ts';
import type { MetricsFile } from './metrics_file.ts';
import { type DataMark, markOf } from './run_data.ts';
import { CHECKPOINT, RunFolder } from './run_folder.ts';
import { checkKept, type Progress, parseProgress, windowOrderOf } from './run_progress.ts';
import { extendedSchedule, type RunExtension, type Schedule, warmupCosine } from './schedule.ts';
import type { Wire } from './sharded_update.ts';
import { StepBatches } from './step_batches.ts';
import { Trainer } from './trainer.ts';

/** Everything that decides what a run computes; stored with its checkpoints. */
export interface RunOptions {
  /** Updates of the parameters, from the run's first on. */
  readonly steps: number;
  /** Sequences of a batch. */
  readonly batchSize: number;
  /** Tokens of each sequence of a batch. */
  readonly length: number;
  /** Batches whose gradients make one step. */
  readonly microBatches: number;
  /** Learning rate after the warm-up. */
  readonly learningRate: number;
  /** The step at which it reaches `learningRate`. */
  readonly warmupSteps: number;
  /** Learning rate at the end as a fraction of `learningRate`. */
  readonly finalFraction: number;
  /** Constants of AdamW. */
  readonly optimizer: AdamwOptions;
  /** Bound on the gradient's norm; 0: none. */
  readonly clipNorm: number;
  /** What the operands of products are rounded to, as TrainerOptions say. Default: f32. */
  readonly precision?: Precision | undefined;
  /**
   * 'contiguous': batches continue those of the step before, micro-batch by micro-batch, and the state is carried;
   * 'documents': the same, with documents in random order; 'shuffled': windows in random order.
   */
  readonly order: BatchOrder;
  /** Decides the order of windows, and what dropout drops. */
  readonly seed: number;
  /** Steps between two measurements on the validation text; the last step is always measured. */
  readonly evaluateEvery: number;
  /** Steps between two checkpoints; the last step always makes one. */
  readonly checkpointEvery: number;
  /**
   * Tokens of the validation text that are measured at most, in windows evenly over it; 0: nothing is measured. Default:
   * all.
   */
  readonly evaluationTokens?: number | undefined;
  /**
   * Where a run was given more steps than it was begun with: the learning rate goes from there, within `warmupSteps`, to
   * the cosine that ends at `steps`.
   */
  readonly extension?: RunExtension | undefined;
}

/** The learning rate of a run's steps, counted from 1. */
export function runSchedule({
  learningRate,
  warmupSteps,
  steps,
  finalFraction,
  extension,
}: RunOptions): Schedule {
  const schedule = warmupCosine({ peak: learningRate, warmupSteps, totalSteps: steps, finalFraction });
  return extension ? extendedSchedule(schedule, extension, warmupSteps) : schedule;
}

/** What a run is made of. */
export interface TrainingRun extends EncodedCorpus {
  /** A language model; it is trained in place. */
  readonly model: Model;
  /** The one that made the tokens; checkpoints hold it. */
  readonly tokenizer: Tokenizer;
  /** What decides what the run computes. */
  readonly options: RunOptions;
  /** The run's folder: `metrics.jsonl`, `checkpoint/` and `best/`; new or empty. */
  readonly folder: string;
  /** Recorded in the checkpoint: what to know of the data to go on. */
  readonly source: Readonly<Record<string, unknown>>;
  /**
   * Processes that share the micro-batches of each step, which all make the same run: `await mpi()`. Rank 0 writes the
   * folder; the others are to tell nothing. Default: one process.
   */
  readonly collective?: Collective | undefined;
  /** How they send each other gradients; see TrainerOptions. Default: f32. */
  readonly wire?: Wire | undefined;
}

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

/** What tells measurements that can be compared: the texts, and which windows of them. */
const measuredMark = (data: DataMark, { evaluationTokens }: RunOptions): DataMark =>
  evaluationTokens ? { ...data, sha256: `${data.sha256}, ${evaluationTokens} tokens spread` } : data;

/** Pieces of a text that is measured whole: few enough to start cold seldom. */
const EVALUATION_PIECES = 16;

/** As many are read at a time: what ranks share, and still enough for an efficient batch. */
const EVALUATION_LANES = 4;

/** A run of training, alone in its folder: its state, and how that becomes a checkpoint. To be closed at the end. */
export class Run {
  /** What is trained. */
  readonly model: Model;
  /** What made the tokens. */
  readonly tokenizer: Tokenizer;
  /** What decides what the run computes. */
  readonly options: RunOptions;
  /** The tokens to train on. */
  readonly train: TokenSource;
  /** The tokens that are held out. */
  readonly validation: TokenSource;
  /** How many of them are measured at most: all, some in windows evenly over them, or none. */
  readonly measuredTokens: number;
  /** The path of its folder. */
  readonly folder: string;
  /** Who makes its steps. */
  readonly collective: Collective;
  /** What makes its steps; carries the state where the order is contiguous. */
  readonly trainer: Trainer;
  /** What measures this rank's share of the held-out text; undefined where nothing is measured. */
  readonly evaluator: Evaluator | undefined;
  /** The model of the least validation loss so far; undefined on other ranks than 0. */
  readonly best: BestModel | undefined;
  /** Batches of `train`; the next ones are those of the next step. */
  readonly batches: StepBatches;
  /** Open until the run is closed; undefined on other ranks than 0. */
  readonly metrics: MetricsFile | undefined;
  /** Rank 0 holds it. */
  readonly #folder: RunFolder | undefined;
  readonly #source: TrainingRun['source'];
  readonly #data: DataMark;
  readonly #elapsedBefore: number;
  readonly #wire: Wire;
  readonly #closeData: (() => void) | undefined;
  readonly #start = performance.now();
  #files: CheckpointFiles | undefined;

  private constructor(
    parts: TrainingRun,
    folder: RunFolder | undefined,
    best: BestModel | undefined,
    data: DataMark,
    resume?: TrainingState,
  ) {
    const {
      model,
      tokenizer,
      options,
      train,
      validation,
      source,
      collective = oneProcess,
      wire = 'f32',
    } = parts;
    const { batchSize, length, microBatches, order, seed, optimizer, clipNorm, precision } = options;
    const { evaluationTokens } = options;
    if (microBatches < collective.size) {
      throw new XlstmError(
        'usage',
        `a step of this run has ${microBatches} micro-batches: ${collective.size} ranks cannot share them`,
        `Start at most ${microBatches}, or begin a run with more micro-batches.`,
      );
    }
    const documentStart = startToken(tokenizer);
    this.model = model;
    this.tokenizer = tokenizer;
    this.options = options;
    this.train = tokenSource(train, 'train');
    this.validation = tokenSource(validation, 'validation');
    this.measuredTokens = Math.min(this.validation.length, evaluationTokens ?? Number.POSITIVE_INFINITY);
    this.folder = parts.folder;
    this.collective = collective;
    this.#wire = wire;
    this.#folder = folder;
    this.#source = source;
    this.#data = data;
    this.#closeData = parts.close;
    this.best = best;
    const cut = { batchSize, length, microBatches, order, seed, documentStart };
    this.batches = new StepBatches(this.train, cut, collective);
    const measures = evaluationTokens !== 0;
    if (measures && this.measuredTokens < 2) {
      throw new XlstmError(
        'data',
        `the held-out text is too short to measure on: expected at least 2 tokens, found ${this.measuredTokens}`,
        'Use more text, or measure nothing: --evaluation-tokens 0',
      );
    }
    this.trainer = new Trainer(model, {
      batchSize,
      length,
      carryState: order !== 'shuffled',
      seed,
      optimizer,
      clipNorm,
      collective,
      wire,
      precision,
    });
    this.evaluator = measures
      ? new Evaluator(model, { lanes: EVALUATION_LANES, length, documentStart })
      : undefined;
    this.#elapsedBefore = 0;
    if (resume) {
      const checkpoint = join(parts.folder, CHECKPOINT);
      const { step, position, elapsedSeconds } = parseProgress(
        resume.progress,
        join(checkpoint, 'training.json'),
      );
      this.trainer.restore(resume.tensors, join(checkpoint, 'optimizer.safetensors'), step);
      this.batches.seek(position);
      this.#elapsedBefore = elapsedSeconds;
    }
    this.metrics = folder?.metrics(resume && this.trainer.steps);
  }

  /** Begins a run in a new or empty folder. Every rank calls it, and finds the differences between them. */
  static async create(parts: TrainingRun): Promise<Run> {
    checkKept(parts.options, parts.source);
    const folder = writes(parts) ? await RunFolder.create(parts.folder) : undefined;
    try {
      const data = markOf(parts);
      const measured = measuredMark(data, parts.options);
      const best = folder && BestModel.none(folder.best, measured);
      return await Run.#agreed(new Run(parts, folder, best, data));
    } catch (error) {
      await folder?.release();
      throw error;
    }
  }

  /**
   * Goes on from the training state of a checkpoint in a folder, which rank 0 holds already. Every rank calls it, and finds
   * the differences between them.
   */
  static async resume(
    parts: TrainingRun,
    folder: RunFolder | undefined,
    training: TrainingState,
  ): Promise<Run> {
    const data = markOf(parts);
    const best = folder && (await BestModel.open(folder.best, measuredMark(data, parts.options)));
    return Run.#agreed(new Run(parts, folder, best, data, training));
  }

  static async #agreed(run: Run): Promise<Run> {
    try {
      await requireAgreement(run.collective, () => run.#facts());
      return run;
    } catch (error) {
      run.metrics?.close();
      throw error;
    }
  }

  /** Since the run began, not counting the time between a checkpoint and its resumption. */
  get elapsedSeconds(): number {
    return this.#elapsedBefore + (performance.now() - this.#start) / 1000;
  }

  /**
   * The checkpoint of this moment; it is written over by the next snapshot. Every rank calls it; on others than rank 0 it
   * is undefined.
   */
  async snapshot(): Promise<CheckpointFiles | undefined> {
    const tensors = await this.trainer.save();
    if (!this.#folder) return undefined;
    const progress: Progress = {
      step: this.trainer.steps,
      position: this.batches.position(),
      elapsedSeconds: this.elapsedSeconds,
      windowOrder: windowOrderOf(this.options.order),
      options: this.options,
      source: this.#source,
      data: this.#data,
    };
    const { model, tokenizer } = this;
    this.#files = await checkpointFiles({ model, tokenizer, training: { progress, tensors } }, this.#files);
    return this.#files;
  }

  /** Makes a snapshot the run's checkpoint; until that has succeeded the one before stays. */
  async write(snapshot: CheckpointFiles): Promise<void> {
    await this.#folder?.writeCheckpoint(snapshot);
  }

  /**
   * Throws a diverged error, which says where the last checkpoint is, unless all values are finite. They go by their
   * names in it.
   */
  checkFinite(values: Readonly<Record<string, number>>): void {
    if (Object.values(values).every(Number.isFinite)) return;
    const found = Object.entries(values).map(([name, value]) => `${name} ${value}`);
    throw new XlstmError(
      'diverged',
      `training diverged at step ${this.trainer.steps}: ${found.join(', ')}`,
      `The last good checkpoint is in ${join(this.folder, CHECKPOINT)}. A lower --learning-rate or a longer --warmup-steps may help.`,
    );
  }

  /** Lets other processes write the folder, and goes of the files that tokens are read from. */
  async close(): Promise<void> {
    try {
      this.#closeData?.();
      this.metrics?.close();
    } finally {
      await this.#folder?.release();
    }
  }

  /** What ranks could differ in. */
  async #facts(): Promise<Facts> {
    const { model, options, trainer } = this;
    const { tokens, sha256 } = this.#data;
    return {
      'version of xlstm': await packageVersion(),
      engine: engineFact(model.engine),
      model: JSON.stringify(model.design && formatDesign(model.design)),
      ...Object.fromEntries(
        Object.entries(options).map(([name, value]) => [`option ${name}`, JSON.stringify(value)]),
      ),
      weights: await modelFingerprint(model),
      'option wire': this.#wire,
      'number of steps made': `${trainer.steps}`,
      text: `${tokens} tokens, digest ${sha256.slice(0, 12)}`,
    };
  }
}

const writes = ({ collective }: TrainingRun): boolean => (collective ?? oneProcess).rank === 0;

/** Of the package that this file is part of. */
async function packageVersion(): Promise<string> {
  return JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

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
