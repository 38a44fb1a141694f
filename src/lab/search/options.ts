import * as v from 'valibot';
import { XlstmError } from '../../errors.ts';
import { type ContestantName, contestantNames } from '../../models/baselines/contestants.ts';
import type { SettingsSchema } from '../cells/settings.ts';
import { tasks as formalTasks, isTask, taskByName } from '../tasks/registry.ts';

export interface SearchOptions {
  readonly tasks: readonly string[];
  readonly models: readonly ContestantName[];
  /** Settings that every model may try at every task. */
  readonly trials: number;
  /** Tests of the chosen setting have the seeds 1 to so many. */
  readonly seeds: number;
  /** Parameters of the larger models; the smaller ones have half as many. */
  readonly budget: number;
  /** Read in the training of a trial and of a test, blanks behind shorter sequences included. */
  readonly tokens: number;
  /** Wall-clock time for the whole search: a cell that no longer fits is not started. */
  readonly minutes: number;
  /** Fewer sequences of trials and tests. */
  readonly quick: boolean;
  /** What computes, in words. */
  readonly engine: string;
}

type Preset = Omit<SearchOptions, 'engine' | 'quick'>;

export const FULL_SEARCH: Preset = {
  tasks: formalTasks.map(({ name }) => name),
  models: contestantNames,
  trials: 8,
  seeds: 3,
  budget: 50_000,
  tokens: 50_000_000,
  minutes: 600,
};

/** The tasks that tell most, and the models that they tell most of. */
export const QUICK_SEARCH: Preset = {
  tasks: ['parity', 'mqar', 'cycle-navigation', 'modular-arithmetic', 'selective-copying'],
  models: ['lstm', 'transformer', 'mamba', 'gated-deltanet[-1:1]', 'xlstm[1:0]', 'xlstm[0:1]', 'xlstm[1:1]'],
  trials: 3,
  seeds: 3,
  budget: 50_000,
  tokens: 6_000_000,
  minutes: 120,
};

/** The name of a task with a score; throws where there is no such task. */
export function searchedTask(name: string): string {
  if (name !== 'text' && name !== 'cost') return taskByName(name).name;
  throw new XlstmError('usage', `${name} has no score to search for`, 'Name tasks that are learned.');
}

/** What all cells of a folder have in common: results of others would not stand side by side. */
export const SEARCH_COMMON = ['budget', 'tokens', 'quick', 'engine'] as const;
/** Of folders that are merged: machines may have different engines. */
export const MERGED_COMMON = ['budget', 'tokens', 'quick'] as const;

/** What `settings.json` holds. */
export interface KeptSettings extends SearchOptions {
  readonly study: 'search';
}

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));

/** `settings.json` of foreign origin: every part that is read. */
export const keptSettings: SettingsSchema<KeptSettings> = v.object({
  study: v.literal('search'),
  tasks: v.array(v.pipe(v.string(), v.check(isTask, 'the name of a task'))),
  models: v.array(v.picklist(contestantNames)),
  trials: v.pipe(whole, v.maxValue(1000)),
  seeds: v.pipe(whole, v.maxValue(1000)),
  budget: positive,
  tokens: positive,
  minutes: positive,
  quick: v.boolean(),
  engine: v.string(),
});
