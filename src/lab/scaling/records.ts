import * as v from 'valibot';
import type { RecordKind } from '../cells/record_file.ts';
import { type StudyCell, studyCellKey } from './cell.ts';

/** What one cell of a scaling study was and did. One line of `results.jsonl`. */
export interface StudyRecord extends StudyCell {
  status: 'done' | 'diverged' | 'failed';
  /** Of a cell that diverged or failed: what happened. */
  message?: string | undefined;
  /** Beside the embedding and the output matrix. */
  parameters: number;
  embeddingParameters: number;
  /** The model's sizes. */
  config: Record<string, number>;
  learningRate: number;
  steps: number;
  tokens: number;
  /** Floating-point operations of the training, counted from its Program. */
  flops: number;
  /** Of the training alone. */
  seconds: number;
  /** Of all processors, of the training alone. */
  cpuSeconds: number;
  /** Of the whole cell, measurements included. */
  wallSeconds: number;
  curve: { tokens: number; loss: number }[];
  /** On held-out text, in nats: of a token, and of a byte of the text. */
  loss?: { token: number; byte: number } | undefined;
  /** In nats per token, of held-out sequences: tokens from the place `from` to before `to`. */
  positions?: { from: number; to: number; loss: number }[] | undefined;
  /** In nats per token: of the second half of a fact that comes again, and of one that comes for the first time. */
  recall?: { distance: number; planted: number; control: number }[] | undefined;
  cost?:
    | {
        batch: number;
        length: number;
        /** Reading as many tokens as `length` says, of all sequences. */
        firstMs: number;
        /** Of every further token of all sequences. */
        tokenMs: number;
        stateBytes: number;
        programBytes: number;
      }[]
    | undefined;
  /** Cells at a time: they share the machine. */
  jobs: number;
  engine: string;
  machine: string;
  code: string;
  /** Of the texts as tokens. */
  digest: string;
}

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** No quantity is larger or finer; charts and fits take what lies between. */
const MOST = 1e30;
const LEAST = 1e-12;
const measured = v.pipe(v.number(), v.minValue(-MOST), v.maxValue(MOST));
const amount = v.pipe(measured, v.minValue(0));
const positive = v.pipe(measured, v.minValue(LEAST));

const schema = v.object({
  kind: v.picklist(['rate', 'train', 'cost']),
  model: v.string(),
  size: positive,
  tokensPerParameter: amount,
  context: whole,
  seed: whole,
  rate: v.optional(positive),
  status: v.picklist(['done', 'diverged', 'failed']),
  message: v.optional(v.string()),
  parameters: whole,
  embeddingParameters: whole,
  config: v.record(v.string(), measured),
  learningRate: amount,
  steps: whole,
  tokens: whole,
  flops: amount,
  seconds: amount,
  cpuSeconds: amount,
  wallSeconds: amount,
  curve: v.array(v.object({ tokens: whole, loss: measured })),
  loss: v.optional(v.object({ token: positive, byte: positive })),
  positions: v.optional(v.array(v.object({ from: whole, to: whole, loss: measured }))),
  recall: v.optional(v.array(v.object({ distance: whole, planted: measured, control: measured }))),
  cost: v.optional(
    v.array(
      v.object({
        batch: whole,
        length: whole,
        firstMs: amount,
        tokenMs: amount,
        stateBytes: amount,
        programBytes: amount,
      }),
    ),
  ),
  jobs: whole,
  engine: v.string(),
  machine: v.string(),
  code: v.string(),
  digest: v.string(),
});

/** The lines of `results.jsonl`. */
export const studyRecords: RecordKind<StudyCell, StudyRecord> = {
  format: {
    is: (value): value is StudyRecord => v.safeParse(schema, value, { abortEarly: true }).success,
    expected: 'the record of a cell of a scaling study',
    hint: 'Remove the line, and its cell runs again; or choose another folder with --out.',
  },
  key: studyCellKey,
};
