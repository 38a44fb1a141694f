import type { CellSpec } from '../arena/cell.ts';

/** What is run: a setting that is tried, on validation sequences, or the chosen one, on test sequences. */
export type SearchCellKind = 'trial' | 'test';

/** What tells one cell from every other. */
export interface SearchCell {
  kind: SearchCellKind;
  task: string;
  model: string;
  /** Which setting, from 1 on: the same numbers are the same settings for every model. */
  trial: number;
  /** Of the model's first parameters, and of all sequences. */
  seed: number;
}

export const searchCellKey = ({ kind, task, model, trial, seed }: SearchCell): string =>
  `${kind} ${task} × ${model}, setting ${trial}, seed ${seed}`;

/** Trials have it, tests the seeds from 1 on: no sequence of a trial is one of a test. */
export const TRIAL_SEED = 1000;

/** A cell to run, as it goes to the process that runs it: plain JSON. */
export interface SearchSpec {
  readonly cell: SearchCell;
  /** As the arena runs it. */
  readonly arena: CellSpec;
  /** Which code computes. */
  readonly code: string;
}
