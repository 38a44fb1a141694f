import type { CellRunner } from './processes.ts';
import type { RecordFile } from './record_file.ts';

export type CellState<Progress, Result> =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'running'; readonly progress: Progress | undefined }
  | { readonly kind: 'ended'; readonly record: Result };

/** A cell whose turn has come. */
export interface StartedCell<Spec> {
  readonly spec: Spec;
  /** Called when it has ended, whatever came of it. */
  readonly end?: () => void;
}

export interface CellsToRun<Cell, Spec, Progress, Result extends Cell> {
  readonly cells: readonly Cell[];
  /** Cells at a time. */
  readonly jobs: number;
  readonly runner: CellRunner<Spec, Progress, Result>;
  /** Where the records go. */
  readonly records: RecordFile<Cell, Result>;
  /** An abort ends the cells in progress, without records. */
  readonly signal: AbortSignal;
  /** Asked when a cell's turn has come; where it gives nothing, the cell is not run. */
  readonly start: (cell: Cell) => StartedCell<Spec> | undefined;
  /** The record of a cell that could not be run to its end. */
  readonly failure: (spec: Spec, error: unknown) => Result;
  readonly onChange?: ((cell: Cell, state: CellState<Progress, Result>) => void) | undefined;
}

/** Runs cells in their order, several at a time. Rejects where a record cannot be written. */
export async function runCells<Cell, Spec, Progress, Result extends Cell>(
  run: CellsToRun<Cell, Spec, Progress, Result>,
): Promise<void> {
  // A record that cannot be written ends the other cells, too.
  const failed = new AbortController();
  const signal = AbortSignal.any([run.signal, failed.signal]);
  const waiting = [...run.cells];
  const worker = async (): Promise<void> => {
    for (let cell = waiting.shift(); cell !== undefined && !signal.aborted; cell = waiting.shift()) {
      const started = run.start(cell);
      if (!started) continue;
      await runOne(run, cell, started.spec, signal);
      started.end?.();
    }
  };
  const workers = Array.from({ length: run.jobs }, () =>
    worker().catch((error: unknown) => failed.abort(error)),
  );
  await Promise.all(workers);
  failed.signal.throwIfAborted();
}

async function runOne<Cell, Spec, Progress, Result extends Cell>(
  { runner, records, failure, onChange }: CellsToRun<Cell, Spec, Progress, Result>,
  cell: Cell,
  spec: Spec,
  signal: AbortSignal,
): Promise<void> {
  onChange?.(cell, { kind: 'running', progress: undefined });
  let record: Result;
  try {
    record = await runner(spec, (progress) => onChange?.(cell, { kind: 'running', progress }), signal);
  } catch (error) {
    if (signal.aborted) {
      onChange?.(cell, { kind: 'waiting' });
      return;
    }
    record = failure(spec, error);
  }
  records.add(record);
  onChange?.(cell, { kind: 'ended', record });
}
