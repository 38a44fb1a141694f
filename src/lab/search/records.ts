import * as v from 'valibot';
import type { RecordKind } from '../cells/record_file.ts';
import { isTask } from '../tasks/registry.ts';
import { type SearchCell, searchCellKey } from './cell.ts';

/** What one cell of a search was and did. One line of `results.jsonl`. */
export interface SearchRecord extends SearchCell {
  status: 'done' | 'diverged' | 'failed';
  /** Of a cell that diverged or failed: what happened. */
  message?: string | undefined;
  parameters: number;
  settings: Record<string, number | string | boolean>;
  steps: number;
  /** Read in training, blanks behind shorter sequences included. */
  tokens: number;
  trainSeconds: number;
  /** Of the whole cell, measurements included. */
  wallSeconds: number;
  /** The mean of the last stretch of the training. */
  loss?: number | undefined;
  /** By length: `length` is the longest of its bucket; of a task with running answers, the last position. */
  accuracy?: { length: number; accuracy: number; scaled: number; count: number }[] | undefined;
  /** Scaled accuracy over all test lengths: 0 is chance, 1 perfect. */
  score?: number | undefined;
  engine: string;
  machine: string;
  code: string;
}

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const measured = v.pipe(v.number(), v.finite());
const amount = v.pipe(measured, v.minValue(0));
const atMostOne = v.pipe(measured, v.maxValue(1));

const schema = v.object({
  kind: v.picklist(['trial', 'test']),
  task: v.pipe(v.string(), v.check(isTask)),
  model: v.string(),
  trial: v.pipe(whole, v.minValue(1)),
  seed: whole,
  status: v.picklist(['done', 'diverged', 'failed']),
  message: v.optional(v.string()),
  parameters: whole,
  settings: v.record(v.string(), v.union([measured, v.string(), v.boolean()])),
  steps: whole,
  tokens: whole,
  trainSeconds: amount,
  wallSeconds: amount,
  loss: v.optional(measured),
  accuracy: v.optional(
    v.array(v.object({ length: whole, accuracy: atMostOne, scaled: atMostOne, count: whole })),
  ),
  score: v.optional(atMostOne),
  engine: v.string(),
  machine: v.string(),
  code: v.string(),
});

/** The lines of `results.jsonl`. */
export const searchRecords: RecordKind<SearchCell, SearchRecord> = {
  format: {
    is: (value): value is SearchRecord => v.safeParse(schema, value, { abortEarly: true }).success,
    expected: 'the record of a cell of a search',
    hint: 'Remove the line, and its cell runs again; or choose another folder with --out.',
  },
  key: searchCellKey,
};
