import { join } from 'node:path';
import { makeFolder } from '../../checkpoints/files.ts';
import { FileLock } from '../../checkpoints/lock.ts';
import type { Engine } from '../../compute/engines/engine.ts';
import { codeVersion } from '../cells/code_version.ts';
import type { CellRunner } from '../cells/processes.ts';
import { RecordFile } from '../cells/record_file.ts';
import { type CellState, runCells, type StartedCell } from '../cells/run_cells.ts';
import { keepSettings } from '../cells/settings.ts';
import { type StudyCell, type StudyProgress, type StudySpec, studyCellKey } from './cell.ts';
import { studyHead } from './cell_model.ts';
import { type CorpusFacts, corpusFolder, prepareCorpus } from './corpus.ts';
import { cellFlops, estimatedSeconds, stepFlops } from './estimate.ts';
import { type SizedModel, sizedModel } from './models.ts';
import { type KeptSettings, STUDY_COMMON, type StudyOptions, studySettings } from './options.ts';
import {
  costCells,
  furtherSweepCells,
  measuresLong,
  type PlannedCell,
  plannedCells,
  sweepCells,
  trainedCells,
} from './plan.ts';
import { rateRule } from './rates.ts';
import { type StudyRecord, studyRecords } from './records.ts';

export type StudyRunner = CellRunner<StudySpec, StudyProgress, StudyRecord>;
export type StudyCellState = CellState<StudyProgress, StudyRecord>;

export interface StudyRun {
  readonly options: StudyOptions;
  /** `results.jsonl`, `settings.json`, the corpus, the report, and `lock` while a run writes them. */
  readonly folder: string;
  /** Cells at a time. */
  readonly jobs: number;
  readonly runner: StudyRunner;
  /** For which cells are planned; nothing runs on it. */
  readonly engine: Engine;
  /** An abort ends the cells in progress and writes the report on those that ended. */
  readonly signal: AbortSignal;
  readonly onChange?: (cell: StudyCell, state: StudyCellState) => void;
  /** What it is at before cells run. */
  readonly onPrepare?: (what: string) => void;
}

/** A cell that did not fit into the time, or that had to wait for one. */
export interface NotRun {
  readonly cell: StudyCell;
  /** What it was estimated to take; undefined where nothing like it had run. */
  readonly seconds: number | undefined;
}

export interface StudyResult {
  /** All that the folder holds. */
  readonly records: readonly StudyRecord[];
  readonly notRun: readonly NotRun[];
  readonly interrupted: boolean;
}

/**
 * Runs what is not in the folder yet, in the order of what it costs, several cells at a time, and writes the report. The
 * learning rates come first, then the trainings, then what measures time, alone. A cell that no longer fits into the time
 * is not started. One run at a time may write a folder. Whatever is wrong with the options or the folder is thrown before
 * anything runs.
 */
export async function runStudy(run: StudyRun): Promise<StudyResult> {
  const { options, folder } = run;
  const deadline = performance.now() / 1000 + 60 * options.minutes;
  run.onPrepare?.('sizes of the models');
  const sizes = sizesOf(options);
  await makeFolder(folder);
  const lock = await FileLock.acquire(join(folder, 'lock'), folder);
  try {
    const records = new RecordFile(join(folder, 'results.jsonl'), studyRecords);
    // Loaded where it is needed: the command line starts faster without it.
    const { checkStudyReport, writeStudyReport } = await import('./report/report.ts');
    await checkStudyReport(folder);
    run.onPrepare?.('tokenizer and texts');
    const facts = await prepareCorpus(corpusFolder(folder), options.data, options.vocabSize);
    const settings = studySettings(options);
    const kept: KeptSettings = { ...options, study: 'scaling', digest: facts.digest, settings };
    await keepSettings(folder, kept, STUDY_COMMON);
    run.onPrepare?.('operations of a step of each model');
    const study = new Study(run, records, sizes, facts, await codeVersion(), deadline);
    records.open();
    try {
      await study.run();
    } finally {
      records.close();
    }
    const result = { records: records.all, notRun: study.notRun, interrupted: run.signal.aborted };
    run.onPrepare?.('report');
    await writeStudyReport(folder, { ...result, facts, settings: kept });
    return result;
  } finally {
    await lock.release();
  }
}

const sizeKey = ({ model, size }: Pick<StudyCell, 'model' | 'size'>): string => `${model} ${size}`;

/** Of every model and size; throws where there is none. */
function sizesOf({ models, sizes, vocabSize }: StudyOptions): ReadonlyMap<string, SizedModel> {
  return new Map(
    models.flatMap((model) =>
      sizes.map((size) => [sizeKey({ model, size }), sizedModel(model, size, vocabSize)] as const),
    ),
  );
}

/** What a cell that measures time takes where nothing is known of its model. */
const COST_SECONDS = 10;

/** The most of the whole time that is kept for cells that measure time. */
const COST_SHARE = 0.2;

/** The cells of one run. */
class Study {
  readonly #run: StudyRun;
  readonly #records: RecordFile<StudyCell, StudyRecord>;
  readonly #sizes: ReadonlyMap<string, SizedModel>;
  readonly #facts: CorpusFacts;
  readonly #code: string;
  readonly #deadline: number;
  readonly #flops = new Map<string, number>();

  constructor(
    run: StudyRun,
    records: RecordFile<StudyCell, StudyRecord>,
    sizes: ReadonlyMap<string, SizedModel>,
    facts: CorpusFacts,
    code: string,
    deadline: number,
  ) {
    this.#run = run;
    this.#records = records;
    this.#sizes = sizes;
    this.#facts = facts;
    this.#code = code;
    this.#deadline = deadline;
  }

  async run(): Promise<void> {
    const { options } = this.#run;
    for (const cell of plannedCells(options)) {
      const record = this.#ended(cell);
      if (record) this.#run.onChange?.(cell, { kind: 'ended', record });
    }
    await this.#runCells(sweepCells(options), this.#run.jobs);
    await this.#runFurtherSweep();
    await this.#runCells(trainedCells(options), this.#run.jobs);
    await this.#runCells(costCells(options), 1);
  }

  get notRun(): readonly NotRun[] {
    const { options } = this.#run;
    return [...plannedCells(options), ...furtherSweepCells(options, this.#records.all)]
      .filter((cell) => !this.#records.get(cell))
      .map((cell) => ({ cell, seconds: this.#estimate(cell) }));
  }

  /** What failed may have been the machine's fault, and is tried again. */
  #ended(cell: StudyCell): StudyRecord | undefined {
    const record = this.#records.get(cell);
    return record?.status === 'failed' ? undefined : record;
  }

  /** Until the best rate of every model lies between others; what was asked for once and did not run is not asked again. */
  async #runFurtherSweep(): Promise<void> {
    const { options, jobs } = this.#run;
    const asked = new Set<string>();
    for (;;) {
      const further = furtherSweepCells(options, this.#records.all).filter(
        (cell) => !asked.has(studyCellKey(cell)),
      );
      if (further.length === 0) return;
      for (const cell of further) asked.add(studyCellKey(cell));
      await this.#runCells(further, jobs);
    }
  }

  async #runCells(cells: readonly PlannedCell[], jobs: number): Promise<void> {
    const { runner, signal, onChange } = this.#run;
    const waiting = cells
      .filter((cell) => !this.#ended(cell))
      .map((cell) => ({ cell, flops: this.#flopsOf(cell) }))
      .sort((a, b) => a.flops - b.flops || a.cell.seed - b.cell.seed)
      .map(({ cell }) => cell);
    await runCells<StudyCell, StudySpec, StudyProgress, StudyRecord>({
      ...{ runner, signal, onChange, jobs, records: this.#records },
      cells: waiting,
      start: (cell) => this.#start(cell as PlannedCell, jobs),
      failure: (spec, error) => ({
        ...studyHead(spec, ''),
        status: 'failed',
        message: error instanceof Error ? error.message : String(error),
        ...{ steps: 0, tokens: 0, flops: 0, seconds: 0, cpuSeconds: 0, wallSeconds: 0, curve: [] },
      }),
    });
  }

  #start(cell: PlannedCell, jobs: number): StartedCell<StudySpec> | undefined {
    const left = this.#deadline - performance.now() / 1000 - this.#reserved(cell);
    if (left < (this.#estimate(cell) ?? 0)) return undefined;
    const learningRate = this.#learningRate(cell);
    const sized = this.#sizes.get(sizeKey(cell));
    if (learningRate === undefined || !sized) return undefined;
    const { options, folder } = this.#run;
    return {
      spec: {
        ...sized,
        ...{ cell, learningRate, jobs },
        long: measuresLong(cell, options),
        settings: studySettings(options),
        corpus: corpusFolder(folder),
        digest: this.#facts.digest,
        code: this.#code,
      },
    };
  }

  /** Of a training by the rule that the sweep gave; undefined where it gave none. */
  #learningRate({ kind, rate = 0, model, size }: PlannedCell): number | undefined {
    return kind === 'train' ? rateRule(this.#records.all, model)?.rate(size) : rate;
  }

  /** Seconds that are kept for what measures time, at the end. */
  #reserved({ kind }: StudyCell): number {
    if (kind === 'cost') return 0;
    const { options } = this.#run;
    const wanted = costCells(options)
      .filter((cell) => !this.#ended(cell))
      .reduce((sum, cell) => sum + (this.#estimate(cell) ?? COST_SECONDS), 0);
    return Math.min(wanted, COST_SHARE * 60 * options.minutes);
  }

  #estimate(cell: PlannedCell): number | undefined {
    return estimatedSeconds(cell, this.#flopsOf(cell), this.#records.all);
  }

  #flopsOf(cell: PlannedCell): number {
    const { options, engine } = this.#run;
    const settings = studySettings(options);
    // What measures time has no context of its own.
    const context = cell.context || options.contexts[0];
    const key = `${sizeKey(cell)} ${context}`;
    let flops = this.#flops.get(key);
    if (flops === undefined) {
      const { config } = this.#sizes.get(sizeKey(cell)) as SizedModel;
      flops = stepFlops(engine, cell.model, config, context, settings.tokensPerStep);
      this.#flops.set(key, flops);
    }
    return cellFlops(cell, flops, settings);
  }
}
