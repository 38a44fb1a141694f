import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';

/** What the lines of a file are. */
export interface LineFormat<T> {
  is(value: unknown): value is T;
  /** Completes "expected …, found". */
  readonly expected: string;
  readonly hint: string;
}

export interface Line<T> {
  readonly value: T;
  /** The length of the file up to and with this line. */
  readonly end: number;
}

/**
 * The whole lines of a file of JSON, one value a line; undefined where there is no file. Empty lines count for nothing. What
 * a crash leaves, the beginning of a line without its end or zero bytes in place of what was not yet on the disk, ends
 * the file; any other line that is not of the format is someone's text, and an error.
 */
export function readJsonLines<T>(path: string, format: LineFormat<T>): Line<T>[] | undefined {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new XlstmError('data', `${path}: cannot be read (${(error as Error).message})`);
  }
  return parseJsonLines(content, path, format);
}

function parseJsonLines<T>(content: Buffer, path: string, format: LineFormat<T>): Line<T>[] {
  const lines: Line<T>[] = [];
  for (let start = 0, number = 1; start < content.length; number++) {
    const newline = content.indexOf(10, start);
    const stop = newline < 0 ? content.length : newline;
    const text = content.toString('utf8', start, stop);
    start = stop + 1;
    if (text.trim() === '') continue;
    if (text.includes('\0') || (newline < 0 && text.startsWith('{'))) break;
    const value = parsed(text);
    if (!format.is(value)) {
      throw new XlstmError(
        'data',
        `${path}:${number}: expected ${format.expected}, found ${quote(text)}`,
        format.hint,
      );
    }
    lines.push({ value, end: start });
  }
  return lines;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Appends values to a file, each in one piece on a line of its own. */
export class JsonLinesFile<T> {
  /** The file, as it was named when it was opened. */
  readonly path: string;
  #file: number | null = null;
  #size = 0;
  #unwritten: string[] = [];
  readonly #format: LineFormat<T>;

  /** Opens or makes the file. What comes behind the last whole line that is to be kept is removed. */
  constructor(path: string, format: LineFormat<T>, keep: (value: T) => boolean = () => true) {
    this.path = path;
    this.#format = format;
    try {
      this.#file = openSync(path, 'a+');
      const lines = parseJsonLines(readFileSync(this.#file), path, format);
      const first = lines.findIndex(({ value }) => !keep(value));
      const kept = first < 0 ? lines : lines.slice(0, first);
      this.#size = kept.at(-1)?.end ?? 0;
      ftruncateSync(this.#file, this.#size);
    } catch (error) {
      this.close();
      if (error instanceof XlstmError) throw error;
      throw new XlstmError('data', `${path}: cannot be opened (${(error as Error).message})`);
    }
  }

  /** A value that cannot be written is kept and written with the next one; the error says so. */
  append(value: T): void {
    const { is, expected } = this.#format;
    if (!is(value))
      throw new XlstmError('usage', `${this.path}: expected ${expected}, found ${quote(value)}`);
    this.#unwritten.push(`${JSON.stringify(value)}\n`);
    this.flush();
  }

  /** Writes what could not be written before. */
  flush(): void {
    if (this.#file === null) throw new XlstmError('usage', `${this.path}: append after close`);
    for (let line = this.#unwritten[0]; line !== undefined; line = this.#unwritten[0]) {
      const bytes = Buffer.from(line);
      try {
        const written = writeSync(this.#file, bytes);
        if (written !== bytes.length) throw new Error(`${written} of ${bytes.length} bytes were written`);
      } catch (error) {
        ftruncateSync(this.#file, this.#size);
        throw new XlstmError(
          'data',
          `${this.path}: cannot be written (${(error as Error).message})`,
          'Is the disk full?',
        );
      }
      this.#size += bytes.length;
      this.#unwritten.shift();
    }
  }

  /** Brings everything that was written to the disk. */
  close(): void {
    if (this.#file === null) return;
    try {
      fsyncSync(this.#file);
    } catch (error) {
      // Node's permission model has no fsync: there the system writes to the disk when it likes.
      if ((error as NodeJS.ErrnoException).code !== 'ERR_ACCESS_DENIED') throw error;
    } finally {
      closeSync(this.#file);
      this.#file = null;
    }
  }
}
