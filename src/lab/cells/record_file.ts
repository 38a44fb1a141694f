import { JsonLinesFile, type LineFormat, readJsonLines } from '../../checkpoints/json_lines.ts';

/** What records are, and what tells the cell of one from every other. */
export interface RecordKind<Cell, Result extends Cell> {
  readonly format: LineFormat<Result>;
  readonly key: (cell: Cell) => string;
}

/** The whole records of a file, of a cell that was run again its last one; none where there is no file. */
export function readRecords<Cell, Result extends Cell>(
  path: string,
  { format, key }: RecordKind<Cell, Result>,
): Result[] {
  const records = (readJsonLines(path, format) ?? []).map(({ value }) => value);
  return [...new Map(records.map((record) => [key(record), record])).values()];
}

/** The records of a folder's cells, in memory and, from `open` on, in the file that they are appended to. */
export class RecordFile<Cell, Result extends Cell> {
  readonly #path: string;
  readonly #kind: RecordKind<Cell, Result>;
  readonly #records: Map<string, Result>;
  #file: JsonLinesFile<Result> | undefined;

  /** Reads what is there; throws a data error where a line is no record. */
  constructor(path: string, kind: RecordKind<Cell, Result>) {
    this.#path = path;
    this.#kind = kind;
    this.#records = new Map(readRecords(path, kind).map((record) => [kind.key(record), record]));
  }

  get(cell: Cell): Result | undefined {
    return this.#records.get(this.#kind.key(cell));
  }

  /** In the order in which their cells first ended. */
  get all(): Result[] {
    return [...this.#records.values()];
  }

  /** Opens or makes the file; what a crash left of a record at its end is removed. */
  open(): void {
    this.#file = new JsonLinesFile(this.#path, this.#kind.format);
  }

  add(record: Result): void {
    this.#file?.append(record);
    this.#records.set(this.#kind.key(record), record);
  }

  close(): void {
    this.#file?.close();
  }
}
