import { join } from 'node:path';
import { makeFolder } from '../../checkpoints/files.ts';
import { FileLock } from '../../checkpoints/lock.ts';
import type { CellSpec } from '../arena/cell.ts';
import { taskSettings } from '../arena/cell_settings.ts';
import { checkedModel } from '../arena/options.ts';
import { checkCell } from '../arena/run_cell.ts';
import type { CourseProgress } from '../arena/training.ts';
import { codeVersion } from '../cells/code_version.ts';
import type { CellRunner } from '../cells/processes.ts';
import { RecordFile } from '../cells/record_file.ts';
import { type CellState, runCells, type StartedCell } from '../cells/run_cells.ts';
import { keepSettings } from '../cells/settings.ts';
import { taskByName } from '../tasks/registry.ts';
import { type SearchCell, type SearchSpec, searchCellKey } from './cell.ts';
import { type KeptSettings, SEARCH_COMMON, type SearchOptions } from './options.ts';
import { isSolved, testCells, trialCells } from './plan.ts';
import { type SearchRecord, searchRecords } from './records.ts';
import { trialOf } from './trials.ts';

export type SearchRunner = CellRunner<SearchSpec, CourseProgress, SearchRecord>;
export type SearchCellState = CellState<CourseProgress, SearchRecord>;

export interface SearchRun {
  readonly options: SearchOptions;
  /** `results.jsonl`, `settings.json`, the report, and `lock` while a run writes them. */
  readonly folder: string;
  /** Cells at a time. */
  readonly jobs: number;
  readonly runner: SearchRunner;
  /** An abort ends the cells in progress and writes the report on those that ended. */
  readonly signal: AbortSignal;
  readonly onChange?: (cell: SearchCell, state: SearchCellState) => void;
}

export interface SearchResult {
  /** All that the folder holds. */
  readonly records: readonly SearchRecord[];
  /** Cells that did not fit into the time. */
  readonly notRun: readonly SearchCell[];
  readonly interrupted: boolean;
}

/**
 * Searches task by task: every model tries the same settings, as many as the others unless one solves the task, on
 * sequences of the trials' seed; then the best of each is trained and measured with every seed of the tests. What is in
 * the folder is not run again. A cell that no longer fits into the time is not started. One run at a time may write a
 * folder. Whatever is wrong with the options or the folder is thrown before anything runs.
 */
export async function runSearch(run: SearchRun): Promise<SearchResult> {
  const { options, folder } = run;
  const deadline = performance.now() / 1000 + 60 * options.minutes;
  for (const task of options.tasks) {
    for (const cell of trialCells(task, options)) checkCell(arenaSpec(cell, options));
  }
  await makeFolder(folder);
  const lock = await FileLock.acquire(join(folder, 'lock'), folder);
  try {
    const records = new RecordFile(join(folder, 'results.jsonl'), searchRecords);
    // Loaded where it is needed: the command line starts faster without it.
    const { checkSearchReport, writeSearchReport } = await import('./report/report.ts');
    await checkSearchReport(folder);
    const kept: KeptSettings = { ...options, study: 'search' };
    await keepSettings(folder, kept, SEARCH_COMMON);
    const search = new Search(run, records, await codeVersion(), deadline);
    records.open();
    try {
      for (const task of options.tasks) await search.run(task);
    } finally {
      records.close();
    }
    await writeSearchReport(folder, records.all, kept);
    return { records: records.all, notRun: search.notRun, interrupted: run.signal.aborted };
  } finally {
    await lock.release();
  }
}

function arenaSpec({ task, model, trial, seed }: SearchCell, options: SearchOptions): CellSpec {
  const { learningRate, curriculum, weightDecay, size } = trialOf(trial);
  const { budget, quick, tokens } = options;
  const checked = checkedModel(model);
  const definition = taskByName(task);
  const { batchSize } = taskSettings(definition, { model: checked, seed, quick }).training;
  return {
    ...{ task, model: checked, seed, quick, budget: Math.round(budget * size) },
    ...{ learningRate, curriculum, weightDecay },
    steps: Math.max(1, Math.round(tokens / (batchSize * definition.trainLengths[1]))),
    // Steps alone end a training: every model reads as much. JSON knows no infinity.
    seconds: 1e9,
  };
}

class Search {
  readonly notRun: SearchCell[] = [];
  readonly #run: SearchRun;
  readonly #records: RecordFile<SearchCell, SearchRecord>;
  readonly #code: string;
  readonly #deadline: number;

  constructor(run: SearchRun, records: RecordFile<SearchCell, SearchRecord>, code: string, deadline: number) {
    this.#run = run;
    this.#records = records;
    this.#code = code;
    this.#deadline = deadline;
  }

  async run(task: string): Promise<void> {
    const { options } = this.#run;
    await this.#runCells(trialCells(task, options));
    await this.#runCells(testCells(task, options, this.#records.all));
  }

  async #runCells(cells: readonly SearchCell[]): Promise<void> {
    const { runner, signal, onChange, jobs } = this.#run;
    const waiting = cells.filter((cell) => {
      const record = this.#records.get(cell);
      // What failed may have been the machine's fault, and is tried again.
      if (!record || record.status === 'failed') return true;
      onChange?.(cell, { kind: 'ended', record });
      return false;
    });
    await runCells<SearchCell, SearchSpec, CourseProgress, SearchRecord>({
      ...{ runner, signal, onChange, jobs, records: this.#records },
      cells: waiting,
      start: (cell) => this.#start(cell),
      failure: ({ cell, code }, error) => ({
        ...cell,
        status: 'failed',
        message: error instanceof Error ? error.message : String(error),
        ...{ parameters: 0, settings: {}, steps: 0, tokens: 0, trainSeconds: 0, wallSeconds: 0 },
        ...{ engine: '', machine: '', code },
      }),
    });
  }

  #start(cell: SearchCell): StartedCell<SearchSpec> | undefined {
    if (cell.kind === 'trial' && isSolved(this.#records.all, cell)) return undefined;
    if (this.#deadline - performance.now() / 1000 < (this.#estimate(cell) ?? 0)) {
      this.notRun.push(cell);
      return undefined;
    }
    return { spec: { cell, arena: arenaSpec(cell, this.#run.options), code: this.#code } };
  }

  /** What the longest ended cell of the model at the task took; undefined where none has ended. */
  #estimate({ task, model }: SearchCell): number | undefined {
    const took = this.#records.all.flatMap((record) =>
      record.task === task && record.model === model && record.status === 'done' ? [record.wallSeconds] : [],
    );
    return took.length > 0 ? Math.max(...took) : undefined;
  }
}

/** A cell in words, for displays. */
export const searchRecordLine = (record: SearchRecord): string => {
  const { status, message, score, wallSeconds } = record;
  const outcome = status === 'done' ? `score ${score?.toFixed(3)}` : `${status}: ${message ?? ''}`;
  return `${searchCellKey(record)}: ${outcome} (${wallSeconds.toFixed(0)} s)`;
};
