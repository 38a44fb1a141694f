import type { EngineChoice } from '../../compute/engines/choose.ts';
import * as cells from '../cells/processes.ts';
import type { CellSpec } from './cell.ts';
import type { CellRecord } from './records.ts';
import type { CourseProgress } from './training.ts';

/** Runs a cell of the arena to its record; an abort ends it without one. */
export type CellRunner = cells.CellRunner<CellSpec, CourseProgress, CellRecord>;

/** Runs each cell in a process of its own. Throws an engine error where no process may be started. */
export const inProcesses = (
  engine: EngineChoice,
  threads: number,
  module = new URL('./job.js', import.meta.url),
): CellRunner => cells.inProcesses(module, engine, threads);
