import { type SearchCell, TRIAL_SEED } from './cell.ts';
import type { SearchOptions } from './options.ts';
import type { SearchRecord } from './records.ts';

/** A setting with such a score on validation sequences ends the search of a model. */
export const SOLVED = 0.99;

type Planned = Pick<SearchOptions, 'models' | 'trials' | 'seeds'>;

/** The trials of a task: of every model the first, then the second, so that a search cut short is equal for all. */
export const trialCells = (task: string, { models, trials }: Planned): SearchCell[] =>
  Array.from({ length: trials }, (_, i) =>
    models.map((model) => ({ kind: 'trial' as const, task, model, trial: i + 1, seed: TRIAL_SEED })),
  ).flat();

const trialsOf = (
  records: readonly SearchRecord[],
  { task, model }: Pick<SearchCell, 'task' | 'model'>,
): SearchRecord[] =>
  records.filter((record) => record.kind === 'trial' && record.task === task && record.model === model);

/** Whether a model needs no further trial at a task, because one has solved it. */
export const isSolved = (
  records: readonly SearchRecord[],
  cell: Pick<SearchCell, 'task' | 'model'>,
): boolean => trialsOf(records, cell).some(({ score = 0 }) => score >= SOLVED);

/** Whether all trials of a model at a task have ended, or one has solved it. A cell that failed has not ended. */
export const isSearched = (
  records: readonly SearchRecord[],
  cell: Pick<SearchCell, 'task' | 'model'>,
  trials: number,
): boolean =>
  isSolved(records, cell) ||
  trialsOf(records, cell).filter(({ status, trial }) => status !== 'failed' && trial <= trials).length ===
    trials;

/** The trial with the highest score on validation sequences, of equal ones the first; undefined where none has one. */
export function chosenTrial(
  records: readonly SearchRecord[],
  cell: Pick<SearchCell, 'task' | 'model'>,
): SearchRecord | undefined {
  const scored = trialsOf(records, cell)
    .filter(({ score }) => score !== undefined)
    .sort((a, b) => a.trial - b.trial);
  return scored.reduce<SearchRecord | undefined>(
    (best, trial) => (best && (best.score as number) >= (trial.score as number) ? best : trial),
    undefined,
  );
}

/** The tests of a task: none before all models have been searched, so that none has more to choose from. */
export function testCells(
  task: string,
  { models, trials, seeds }: Planned,
  records: readonly SearchRecord[],
): SearchCell[] {
  if (!models.every((model) => isSearched(records, { task, model }, trials))) return [];
  return Array.from({ length: seeds }, (_, i) =>
    models.flatMap((model) => {
      const chosen = chosenTrial(records, { task, model });
      return chosen ? [{ kind: 'test' as const, task, model, trial: chosen.trial, seed: i + 1 }] : [];
    }),
  ).flat();
}
