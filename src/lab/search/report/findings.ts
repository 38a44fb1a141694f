import { type Contestant, contestantsOf } from '../../arena/report/appearance.ts';
import { taskByName } from '../../tasks/registry.ts';
import type { Task } from '../../tasks/task.ts';
import { chosenTrial, isSearched } from '../plan.ts';
import type { SearchRecord } from '../records.ts';

/** From such a score on, over all test lengths, a model has learned a task. */
export const LEARNED = 0.95;

/** All that is known of a model at a task. */
export interface Finding {
  readonly task: Task;
  readonly contestant: Contestant;
  readonly trials: readonly SearchRecord[];
  readonly chosen: SearchRecord | undefined;
  /** Of the chosen setting. */
  readonly tests: readonly SearchRecord[];
  /** Whether the model had as many trials as all, or solved the task. */
  readonly searched: boolean;
  /** Scores of the tests; one that diverged has 0. */
  readonly scores: readonly number[];
}

export interface Findings {
  readonly tasks: readonly Task[];
  readonly contestants: readonly Contestant[];
  at(task: Task, contestant: Contestant): Finding;
}

export function findingsOf(records: readonly SearchRecord[], trials: number): Findings {
  const names = [...new Set(records.map(({ task }) => task))];
  return {
    tasks: names.map((name) => ({ ...taskByName(name), name })),
    contestants: contestantsOf(records.map(({ model }) => model)),
    at(task, contestant) {
      const cell = { task: task.name, model: contestant.model };
      const own = records.filter((record) => record.task === cell.task && record.model === cell.model);
      const chosen = chosenTrial(own, cell);
      const tests = own.filter(
        ({ kind, trial, status }) => kind === 'test' && trial === chosen?.trial && status !== 'failed',
      );
      return {
        ...{ task, contestant, chosen, tests },
        trials: own.filter(({ kind }) => kind === 'trial').sort((a, b) => a.trial - b.trial),
        searched: isSearched(own, cell, trials),
        scores: tests.map(({ score = 0 }) => score),
      };
    },
  };
}

/** Whether test sequences are longer than those of training. */
export const asksBeyond = ({ trainLengths, testLengths }: Task): boolean => testLengths[1] > trainLengths[1];

/** Of how many seeds a task was learned; undefined where none was tested. */
export function learnedBy({ scores }: Finding): 'all' | 'some' | 'none' | undefined {
  if (scores.length === 0) return undefined;
  const learned = scores.filter((score) => score >= LEARNED).length;
  if (learned === scores.length) return 'all';
  return learned > 0 ? 'some' : 'none';
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
