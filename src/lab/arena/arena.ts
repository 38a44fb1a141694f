import { join } from 'node:path';
import { makeFolder } from '../../checkpoints/files.ts';
import { FileLock } from '../../checkpoints/lock.ts';
import { RecordFile } from '../cells/record_file.ts';
import * as cells from '../cells/run_cells.ts';
import { keepSettings } from '../cells/settings.ts';
import { type CellSpec, measuresTime, taskTitle } from './cell.ts';
import { type ArenaOptions, COMMON, checkedModel } from './options.ts';
import type { CellRunner } from './processes.ts';
import { type CellName, type CellRecord, cellRecords } from './records.ts';
import { checkCell } from './run_cell.ts';
import type { CourseProgress } from './training.ts';

export type CellState = cells.CellState<CourseProgress, CellRecord>;

export interface ArenaRun {
  readonly options: ArenaOptions;
  /** `results.jsonl`, `settings.json`, `report.html`, `report.md`, and `lock` while a run writes them. */
  readonly folder: string;
  /** Cells at a time. */
  readonly jobs: number;
  readonly runner: CellRunner;
  /** An abort ends the cells in progress and writes the report on those that ended. */
  readonly signal: AbortSignal;
  readonly onChange?: (cell: CellName, state: CellState) => void;
}

export interface ArenaResult {
  /** All that the folder holds. */
  readonly records: readonly CellRecord[];
  /** Those of the cells that this run was asked for, also where an earlier run made them. */
  readonly asked: readonly CellRecord[];
  readonly interrupted: boolean;
}

/** All cells: every task and model with the first seed, then with the second, so that a run cut short covers them all. */
export function cellsOf({
  tasks,
  models,
  seeds,
}: Pick<ArenaOptions, 'tasks' | 'models' | 'seeds'>): CellName[] {
  return Array.from({ length: seeds }, (_, i) =>
    tasks.flatMap((task) => models.map((model) => ({ task, model, seed: i + 1 }))),
  ).flat();
}

/**
 * Runs what is not in the folder yet, several cells at a time, and writes the report. Cells that measure time come last,
 * one at a time, alone. One run at a time may write a folder. Whatever is wrong with the options or the folder is thrown
 * before anything runs.
 */
export async function runArena(run: ArenaRun): Promise<ArenaResult> {
  const { options, folder } = run;
  for (const cell of cellsOf({ ...options, seeds: 1 })) checkCell(specOf(cell, options, 0));
  await makeFolder(folder);
  const lock = await FileLock.acquire(join(folder, 'lock'), folder);
  try {
    const records = new RecordFile(join(folder, 'results.jsonl'), cellRecords);
    // Loaded where it is needed: the command line starts faster without it.
    const { checkReport, writeReport } = await import('./report/report.ts');
    await checkReport(folder);
    await keepSettings(folder, options, COMMON);
    records.open();
    try {
      await runWaiting(run, records);
    } finally {
      records.close();
    }
    await writeReport(folder, records.all);
    const asked = cellsOf(options).flatMap((cell) => records.get(cell) ?? []);
    return { records: records.all, asked, interrupted: run.signal.aborted };
  } finally {
    await lock.release();
  }
}

/** Runs the cells without a record and adds theirs. */
async function runWaiting(run: ArenaRun, records: RecordFile<CellName, CellRecord>): Promise<void> {
  const { options, jobs } = run;
  const waiting: CellName[] = [];
  for (const cell of cellsOf(options)) {
    const record = records.get(cell);
    // What failed may have been the machine's fault, and is tried again.
    if (record && record.status !== 'failed') run.onChange?.(cell, { kind: 'ended', record });
    else waiting.push(cell);
  }
  const { runner, signal, onChange } = run;
  const common = { runner, records, signal, failure, onChange };
  const trained = waiting.filter((cell) => !measuresTime(cell));
  const timed = waiting.filter(measuresTime);
  const shares = new TimeShares(options.minutes * 60, jobs, trained.length, timed.length);
  await cells.runCells({
    ...common,
    cells: trained,
    jobs,
    start(cell) {
      const { seconds, end } = shares.start();
      return { spec: specOf(cell, options, seconds), end };
    },
  });
  await cells.runCells({
    ...common,
    cells: timed,
    jobs: 1,
    start: (cell) => ({ spec: specOf(cell, options, Number.POSITIVE_INFINITY) }),
  });
}

function specOf({ task, model, seed }: CellName, options: ArenaOptions, seconds: number): CellSpec {
  const { budget, quick, data, learningRate, steps } = options;
  return {
    task,
    model: checkedModel(model),
    seed,
    budget,
    quick,
    // JSON knows no infinity.
    seconds: Math.min(seconds, 1e9),
    ...(data ? { data } : {}),
    ...(learningRate === undefined ? {} : { learningRate }),
    ...(steps === undefined ? {} : { steps }),
  };
}

function failure({ task, model, seed, budget }: CellSpec, error: unknown): CellRecord {
  const message = error instanceof Error ? error.message : String(error);
  return {
    kind: 'cell',
    task,
    taskTitle: taskTitle(task),
    model,
    seed,
    status: 'failed',
    message,
    parameters: 0,
    budget,
    settings: {},
    engine: '',
    steps: 0,
    tokens: 0,
    trainSeconds: 0,
    curve: [],
  };
}

/** What a cell that only measures time is expected to take. */
const TIMED_CELL_SECONDS = 6;

/** Part of a cell's time that goes to what is not training: starting, the final measurement. */
const OVERHEAD = 0.15;

/** Divides the time that is left among the cells that are left: what an early end saves goes to the others. */
class TimeShares {
  readonly #deadline: number;
  readonly #jobs: number;
  #left: number;
  readonly #running = new Set<number>();

  constructor(seconds: number, jobs: number, cells: number, timedCells: number) {
    const now = performance.now() / 1000;
    this.#deadline = now + Math.max(seconds / 2, seconds - timedCells * TIMED_CELL_SECONDS);
    this.#jobs = jobs;
    this.#left = cells;
  }

  start(): { seconds: number; end: () => void } {
    const now = performance.now() / 1000;
    const promised = [...this.#running].reduce((sum, until) => sum + Math.max(0, until - now), 0);
    const capacity = Math.max(0, this.#deadline - now) * this.#jobs - promised;
    // Once the time is over, what is left is still run, briefly: no cell is dropped.
    const share = Math.max(1, capacity / this.#left);
    this.#left--;
    // Equal ends are told apart: a set holds each once.
    let until = now + share;
    while (this.#running.has(until)) until += 1e-6;
    this.#running.add(until);
    return { seconds: share * (1 - OVERHEAD), end: () => this.#running.delete(until) };
  }
}
