import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CheckpointFiles, checkpointFiles, type TrainingState } from '../checkpoints/checkpoint.ts';
import type { EncodedCorpus } from '../data/corpus.ts';
import { type TokenSource, tokenSource } from '../data/token_source.ts';
import { startToken, type Tokenizer } from '../data/tokenizer.ts';
import { type Collective, oneProcess } from '../distributed/collective.ts';
import { XlstmError } from '../errors.ts';
import { formatDesign } from '../models/registry.ts';
import { modelFingerprint } from '../nn/fingerprint.ts';
import type { Model } from '../nn/model.ts';
import { engineFact, type Facts, requireAgreement } from './agreement.ts';
import { BestModel } from './best_model.ts';
import { Evaluator } from './evaluate.ts';
import type { MetricsFile } from './metrics_file.ts';
import { type DataMark, markOf } from './run_data.ts';
import { CHECKPOINT, RunFolder } from './run_folder.ts';
import type { RunOptions } from './run_options.ts';
import { checkKept, type Progress, parseProgress, windowOrderOf } from './run_progress.ts';
import type { Wire } from './sharded_update.ts';
import { StepBatches } from './step_batches.ts';
import { Trainer } from './trainer.ts';

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

/** What tells measurements that can be compared: the texts, and which windows of them. */
const measuredMark = (data: DataMark, { evaluationTokens }: RunOptions): DataMark =>
  evaluationTokens ? { ...data, sha256: `${data.sha256}, ${evaluationTokens} tokens spread` } : data;

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
