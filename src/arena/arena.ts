import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type ContestantName, contestantNames } from '../baselines/contestants.ts';
import { tasks as formalTasks, taskByName } from '../data/tasks/registry.ts';
import { XlstmError } from '../errors.ts';
import { type CellSpec, COST, measuresTime, TEXT, taskTitle } from './cell.ts';
import type { CellRunner } from './processes.ts';
import {
  appendRecord,
  type CellName,
  type CellRecord,
  cellKey,
  mendRecords,
  readRecords,
} from './records.ts';
import { writeReport } from './report/report.ts';
import { keepSettings } from './run_settings.ts';
import type { CourseProgress } from './training.ts';

export interface ArenaOptions {
  readonly tasks: readonly string[];
  readonly models: readonly ContestantName[];
  /** Each cell is run with the seeds 1 to so many. */
  readonly seeds: number;
  /** Parameters of each model. */
  readonly budget: number;
  /** Wall-clock time that the whole run should take; text, which reads equal tokens, and cost take what they need. */
  readonly minutes: number;
  /** Fewer test sequences, less text. */
  readonly quick: boolean;
  /** Text files for the text task. */
  readonly data?: readonly string[];
  readonly learningRate?: number;
  readonly steps?: number;
  /** What computes, in words. */
  readonly engine: string;
}

export type CellState =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'running'; readonly progress: CourseProgress | undefined }
  | { readonly kind: 'ended'; readonly record: CellRecord };

export interface ArenaRun {
  readonly options: ArenaOptions;
  /** `results.jsonl`, `settings.json`, `report.html`, `report.md`. */
  readonly folder: string;
  /** Cells at a time. */
  readonly jobs: number;
  readonly runner: CellRunner;
  /** An abort ends the cells in progress and writes the report on those that ended. */
  readonly signal: AbortSignal;
  readonly onChange?: (cell: CellName, state: CellState) => void;
}

export interface ArenaResult {
  readonly records: readonly CellRecord[];
  readonly interrupted: boolean;
}

export const QUICK: Pick<ArenaOptions, 'tasks' | 'models' | 'seeds' | 'budget' | 'minutes'> = {
  tasks: ['parity', 's3', 'mqar', TEXT, COST],
  models: ['lstm', 'transformer', 'mamba', 'xlstm[1:0]', 'xlstm[0:1]', 'xlstm[1:1]'],
  seeds: 1,
  budget: 100_000,
  minutes: 5,
};

export const FULL: typeof QUICK = {
  tasks: [...formalTasks.map(({ name }) => name), TEXT, COST],
  models: contestantNames,
  seeds: 3,
  budget: 200_000,
  minutes: 600,
};

/** The name of a task as it is written in records; throws where there is no such task. */
export function checkedTask(name: string): string {
  return name === TEXT || name === COST ? name : taskByName(name).name;
}

export function checkedModel(name: string): ContestantName {
  const found = contestantNames.find((known) => known === name.toLowerCase());
  if (found) return found;
  throw new XlstmError('usage', `no model is called "${name}"`, `the models: ${contestantNames.join(', ')}`);
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
 * one at a time, alone.
 */
export async function runArena(run: ArenaRun): Promise<ArenaResult> {
  const { options, folder, signal } = run;
  const path = join(folder, 'results.jsonl');
  await mkdir(folder, { recursive: true });
  await keepSettings(folder, options);
  mendRecords(path);
  const ended = new Map(readRecords(path).map((record) => [cellKey(record), record]));
  const waiting: CellName[] = [];
  for (const cell of cellsOf(options)) {
    const record = ended.get(cellKey(cell));
    // What failed may have been the machine's fault, and is tried again.
    if (record && record.status !== 'failed') run.onChange?.(cell, { kind: 'ended', record });
    else waiting.push(cell);
  }

  const runOne = async (cell: CellName, seconds: number): Promise<void> => {
    run.onChange?.(cell, { kind: 'running', progress: undefined });
    const spec = specOf(cell, options, seconds);
    let record: CellRecord;
    try {
      record = await run.runner(
        spec,
        (progress) => run.onChange?.(cell, { kind: 'running', progress }),
        signal,
      );
    } catch (error) {
      if (signal.aborted) {
        run.onChange?.(cell, { kind: 'waiting' });
        return;
      }
      record = failure(spec, error);
    }
    appendRecord(path, record);
    run.onChange?.(cell, { kind: 'ended', record });
  };

  const trained = waiting.filter((cell) => !measuresTime(cell));
  const timed = waiting.filter(measuresTime);
  const shares = new TimeShares(options.minutes * 60, run.jobs, trained.length, timed.length);
  const worker = async (): Promise<void> => {
    for (let cell = trained.shift(); cell && !signal.aborted; cell = trained.shift()) {
      const share = shares.start();
      await runOne(cell, share.seconds);
      share.end();
    }
  };
  await Promise.all(Array.from({ length: run.jobs }, worker));
  for (const cell of timed) if (!signal.aborted) await runOne(cell, Number.POSITIVE_INFINITY);

  const records = readRecords(path);
  await writeReport(folder, records);
  return { records, interrupted: signal.aborted };
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
