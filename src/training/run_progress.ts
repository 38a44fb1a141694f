import * as v from 'valibot';
import { precisions } from '../compute/graph/plan.ts';
import { BATCH_ORDERS, type BatchOrder } from '../data/batches.ts';
import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';

const whole = (least: number) => v.pipe(v.number(), v.safeInteger(), v.minValue(least));
const fromZero = v.pipe(v.number(), v.finite(), v.minValue(0));
const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
const decay = v.pipe(v.number(), v.minValue(0), v.ltValue(1));
/** Larger than any tensor that a batch could make. */
const MOST = 2 ** 31;
const size = v.pipe(whole(1), v.maxValue(MOST));

const optionsSchema = v.object({
  steps: whole(1),
  batchSize: size,
  length: size,
  microBatches: size,
  learningRate: positive,
  warmupSteps: whole(0),
  finalFraction: v.pipe(fromZero, v.maxValue(1)),
  optimizer: v.object({ beta1: decay, beta2: decay, epsilon: positive, weightDecay: fromZero }),
  clipNorm: fromZero,
  precision: v.optional(v.picklist(precisions)),
  order: v.picklist(BATCH_ORDERS),
  seed: whole(0),
  evaluateEvery: whole(1),
  checkpointEvery: whole(1),
  evaluationTokens: v.optional(whole(0)),
  extension: v.optional(v.object({ step: whole(0), learningRate: fromZero })),
});

/**
 * How windows follow each other: shuffled or by documents, how that follows from the seed; contiguous or by documents, that
 * each micro-batch has lanes of its own. Checkpoints that name none, or another, are of runs with another order.
 */
export const windowOrderOf = (order: BatchOrder): string => WINDOW_ORDERS[order];

const WINDOW_ORDERS = { contiguous: 'lanes', documents: 'feistel-8 lanes', shuffled: 'feistel-8' } as const;

const progressSchema = v.object({
  step: whole(0),
  position: v.object({ epoch: whole(0), batch: whole(0) }),
  elapsedSeconds: fromZero,
  windowOrder: v.optional(v.string()),
  options: optionsSchema,
  source: v.record(v.string(), v.unknown()),
  data: v.optional(v.object({ tokens: whole(1), sha256: v.string() })),
});

/** Where a run stands: the content of training.json. */
export type Progress = v.InferOutput<typeof progressSchema>;

/** Checks what was read from training.json, which `source` names in errors. */
export function parseProgress(json: unknown, source: string): Progress {
  const result = v.safeParse(progressSchema, json, { abortEarly: true });
  if (result.success) return result.output;
  throw new XlstmError(
    'checkpoint',
    `${source}: ${described(result.issues[0])}`,
    'The file is damaged, or not that of a training run.',
  );
}

/** Checks what a run would keep in its checkpoints: it could not go on from anything else. Throws a usage error. */
export function checkKept(options: unknown, source: unknown): void {
  const kept = v.object({ options: optionsSchema, source: progressSchema.entries.source });
  const result = v.safeParse(kept, { options, source }, { abortEarly: true });
  if (!result.success) throw new XlstmError('usage', `a run's ${described(result.issues[0])}`);
}

function described(issue: v.BaseIssue<unknown>): string {
  const at = v.getDotPath(issue);
  const found = issue.input === undefined ? 'nothing' : quote(issue.input);
  return `${at ? `${at}: ` : ''}expected ${issue.expected ?? issue.requirement}, found ${found}`;
}
