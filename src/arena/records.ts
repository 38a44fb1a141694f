import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { XlstmError } from '../errors.ts';

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

/** What tells one cell from every other. */
export type CellName = Pick<CellRecord, 'task' | 'model' | 'seed'>;

export const cellKey = ({ task, model, seed }: CellName): string => `${task} × ${model} × seed ${seed}`;

/** Appends a record in one piece and brings it to the disk. */
export function appendRecord(path: string, record: CellRecord): void {
  const file = openSync(path, 'a');
  try {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    const written = writeSync(file, line);
    if (written !== line.length) {
      throw new XlstmError(
        'data',
        `${path}: ${written} of ${line.length} bytes were written`,
        'is the disk full?',
      );
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** The whole records of a file, of a cell that was run again its last one; none where there is no file. */
export function readRecords(path: string): CellRecord[] {
  return [...new Map(parse(path).records.map((record) => [cellKey(record), record])).values()];
}

/** Removes what a crash left of a record: the next one starts on a line of its own. */
export function mendRecords(path: string): void {
  const { content, whole } = parse(path);
  if (whole === content.length) return;
  const file = openSync(path, 'r+');
  ftruncateSync(file, whole);
  closeSync(file);
}

function parse(path: string): { records: CellRecord[]; content: Buffer; whole: number } {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return { records: [], content: Buffer.alloc(0), whole: 0 };
    }
    throw new XlstmError('data', `${path}: cannot be read (${(error as Error).message})`);
  }
  const whole = content.lastIndexOf(10) + 1;
  const lines = content.toString('utf8', 0, whole).split('\n').slice(0, -1);
  const records = lines.map((line, index) => {
    let record: unknown;
    try {
      record = JSON.parse(line);
    } catch {
      record = undefined;
    }
    if (isRecord(record)) return record;
    throw new XlstmError(
      'data',
      `${path}:${index + 1}: expected the record of a cell, found ${JSON.stringify(line.slice(0, 80))}`,
      'This is no results file of the arena; choose another folder with --out.',
    );
  });
  return { records, content, whole };
}

function isRecord(value: unknown): value is CellRecord {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'cell';
}
