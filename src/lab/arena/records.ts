import * as v from 'valibot';
import { JsonLinesFile, type LineFormat, readJsonLines } from '../../checkpoints/json_lines.ts';

/** What one cell of the arena, a task × model × seed, was and did. One line of `results.jsonl`. */
export interface CellRecord {
  kind: 'cell';
  task: string;
  taskTitle: string;
  model: string;
  seed: number;
  status: 'done' | 'diverged' | 'failed';
  /** Of a cell that diverged or failed: what happened. */
  message?: string;
  parameters: number;
  /** The number of parameters that was asked for. */
  budget: number;
  settings: Record<string, number | string | boolean>;
  engine: string;
  steps: number;
  /** Read in training, blanks behind shorter sequences included. */
  tokens: number;
  trainSeconds: number;
  curve: { step: number; tokens: number; seconds: number; loss: number }[];
  /** By length: `length` is the longest of its bucket; of a task with running answers, the last position. */
  accuracy?: { length: number; accuracy: number; scaled: number; count: number }[];
  /** Over all test lengths. */
  scaledAccuracy?: number;
  chance?: number;
  /** Loss in nats per token at `factor` times the training length. */
  text?: { factor: number; length: number; loss: number }[];
  cost?: {
    length: number;
    trainMsPerToken: number;
    decodeMsPerToken: number;
    stateBytes: number;
    programBytes: number;
  }[];
}

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const measured = v.pipe(v.number(), v.finite());
/** JSON has no word for what is not finite: the loss of a cell that diverged. */
const loss = v.nullable(measured);

const schema = v.object({
  kind: v.literal('cell'),
  task: v.string(),
  taskTitle: v.string(),
  model: v.string(),
  seed: whole,
  status: v.picklist(['done', 'diverged', 'failed']),
  message: v.optional(v.string()),
  parameters: whole,
  budget: measured,
  settings: v.record(v.string(), v.union([v.number(), v.string(), v.boolean()])),
  engine: v.string(),
  steps: whole,
  tokens: whole,
  trainSeconds: measured,
  curve: v.array(v.object({ step: whole, tokens: whole, seconds: measured, loss })),
  accuracy: v.optional(
    v.array(v.object({ length: whole, accuracy: measured, scaled: measured, count: whole })),
  ),
  scaledAccuracy: v.optional(measured),
  chance: v.optional(measured),
  text: v.optional(v.array(v.object({ factor: measured, length: whole, loss }))),
  cost: v.optional(
    v.array(
      v.object({
        length: whole,
        trainMsPerToken: measured,
        decodeMsPerToken: measured,
        stateBytes: measured,
        programBytes: measured,
      }),
    ),
  ),
});

/** Whether a line is the record of a cell in every part: the report reads them all without another look. */
const isCellRecord = (value: unknown): value is CellRecord =>
  v.safeParse(schema, value, { abortEarly: true }).success;

/** What tells one cell from every other. */
export type CellName = Pick<CellRecord, 'task' | 'model' | 'seed'>;

export const cellKey = ({ task, model, seed }: CellName): string => `${task} × ${model} × seed ${seed}`;

const format: LineFormat<CellRecord> = {
  is: isCellRecord,
  expected: 'the record of a cell',
  hint: 'Remove the line, and its cell runs again; or choose another folder with --out.',
};

/** Opens or makes a file of records to append to; what a crash left of one at its end is removed. */
export const openRecords = (path: string): JsonLinesFile<CellRecord> => new JsonLinesFile(path, format);

/** The whole records of a file, of a cell that was run again its last one; none where there is no file. */
export function readRecords(path: string): CellRecord[] {
  const records = (readJsonLines(path, format) ?? []).map(({ value }) => value);
  return [...new Map(records.map((record) => [cellKey(record), record])).values()];
}
