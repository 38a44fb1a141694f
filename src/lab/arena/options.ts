import * as v from 'valibot';
import { XlstmError } from '../../errors.ts';
import { type ContestantName, contestantNames } from '../../models/baselines/contestants.ts';
import type { SettingsSchema } from '../cells/settings.ts';
import { tasks as formalTasks, taskByName } from '../tasks/registry.ts';
import { COST, TEXT } from './cell.ts';

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

/** What all cells of a folder have in common: results of other settings would not stand side by side. */
export const COMMON = [
  'budget',
  'quick',
  'data',
  'learningRate',
  'steps',
  'engine',
] as const satisfies (keyof ArenaOptions)[];

/** Nothing but what has to be equal is read of the settings of folders that are merged. */
export const mergedSettings: SettingsSchema<Partial<ArenaOptions>> = v.looseObject({});

/** Of folders that are merged: machines may have different engines. */
export const MERGED_COMMON = COMMON.filter((key) => key !== 'engine');
