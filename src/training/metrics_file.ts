import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { XlstmError } from '../errors.ts';

/** One line: numbers and texts by name. A number that is not finite becomes null, as JSON has no other word. */
export type MetricsRecord = Readonly<Record<string, number | string | boolean | null>> & {
  readonly step: number;
};

/**
 * Appends records to a file, one JSON object a line. A line is written in one piece; what a crash leaves of a line
 * is removed when the file is opened again.
 */
export class MetricsFile {
  readonly path: string;
  #file: number | null;

  /**
   * Opens or makes the file. A run that goes on from a checkpoint at step `resumeAt` writes the later steps again:
   * their old lines are removed.
   */
  constructor(path: string, resumeAt = Number.POSITIVE_INFINITY) {
    this.path = path;
    let content: Buffer;
    try {
      this.#file = openSync(path, 'a+');
      content = readFileSync(this.#file);
    } catch (error) {
      throw new XlstmError('data', `${path}: cannot be opened (${(error as Error).message})`);
    }
    try {
      ftruncateSync(this.#file, keptBytes(content, path, resumeAt));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  append(record: MetricsRecord): void {
    if (this.#file === null) throw new XlstmError('internal', `${this.path}: append after close`);
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    const written = writeSync(this.#file, line);
    if (written !== line.length) {
      throw new XlstmError(
        'data',
        `${this.path}: ${written} of ${line.length} bytes were written`,
        'is the disk full?',
      );
    }
  }

  /** Brings everything to the disk. */
  close(): void {
    if (this.#file === null) return;
    fsyncSync(this.#file);
    closeSync(this.#file);
    this.#file = null;
  }
}

/** All whole lines of a metrics file. */
export function readMetrics(path: string): MetricsRecord[] {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    throw new XlstmError('data', `${path}: cannot be read (${(error as Error).message})`);
  }
  return [...lines(content, path)].map(({ record }) => record);
}

/** The length of the file up to, not including, the first record of a later step or a line without an end. */
function keptBytes(content: Buffer, path: string, resumeAt: number): number {
  let kept = 0;
  for (const { record, end } of lines(content, path)) {
    if (record.step > resumeAt) break;
    kept = end;
  }
  return kept;
}

function* lines(content: Buffer, path: string): Generator<{ record: MetricsRecord; end: number }> {
  let start = 0;
  for (let number = 1; ; number++) {
    const newline = content.indexOf(10, start);
    const text = content.toString('utf8', start, newline < 0 ? content.length : newline);
    // The beginning of a record without its end is what a crash leaves; anything else is someone's text.
    if (newline < 0 && (text === '' || text.startsWith('{'))) return;
    let record: unknown;
    try {
      record = JSON.parse(text);
    } catch {
      record = null;
    }
    if (
      typeof record !== 'object' ||
      record === null ||
      !('step' in record) ||
      typeof record.step !== 'number'
    ) {
      throw new XlstmError(
        'data',
        `${path}:${number}: expected a JSON object with a step, found ${JSON.stringify(text.slice(0, 80))}`,
        'this is no metrics file; choose another path',
      );
    }
    start = newline + 1;
    yield { record: record as MetricsRecord, end: start };
  }
}
