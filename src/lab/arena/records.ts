import * as v from 'valibot';
import type { RecordKind } from '../cells/record_file.ts';

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

/** The lines of `results.jsonl`. */
export const cellRecords: RecordKind<CellName, CellRecord> = {
  format: {
    is: isCellRecord,
    expected: 'the record of a cell',
    hint: 'Remove the line, and its cell runs again; or choose another folder with --out.',
  },
  key: cellKey,
};
