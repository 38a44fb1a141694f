import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';
import { nearest } from './nearest.ts';

/** Rows of named columns, as texts; what a row lacks is an empty text. */
export interface Table {
  /** That of its file. */
  readonly name: string;
  /** Their names. */
  readonly columns: readonly string[];
  /** Of each a text for every column. */
  readonly rows: readonly (readonly string[])[];
  /** The line of the file on which a row ends, counted from 1; of a Parquet file its row. */
  readonly lines: readonly number[];
}

/** What a value that is missing becomes: an error, or the value of the row before. */
export type MissingPolicy = 'refuse' | 'previous';

/**
 * The table of a text: CSV whose first row names the columns, or JSON lines where the name ends in .jsonl or .ndjson. The
 * name begins messages. Rejects with a data error that names the line of what is neither, and for a table without rows.
 */
export async function parseTable(text: string, name: string): Promise<Table> {
  const table = /\.(jsonl|ndjson)$/i.test(name) ? parseJsonLines(text, name) : await parseCsv(text, name);
  requireRows(table);
  return table;
}

/** Throws a data error for a table without rows. */
export function requireRows({ name, rows }: Table): void {
  if (rows.length > 0) return;
  throw new XlstmError(
    'data',
    `${name}: expected at least one row below the names of the columns, found none`,
  );
}

async function parseCsv(text: string, name: string): Promise<Table> {
  const { parse, CsvError } = await import('csv-parse/sync');
  const delimiter = delimiterOf(text);
  try {
    const parsed = parse(text, { delimiter, bom: true, trim: true, skip_empty_lines: true, info: true });
    const records = parsed as unknown as { record: string[]; info: { lines: number } }[];
    const columns = records[0]?.record ?? [];
    checkColumns(columns, name);
    const body = records.slice(1);
    return {
      name,
      columns,
      rows: body.map(({ record }) => record),
      lines: body.map(({ info }) => info.lines),
    };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = (error as { lines?: number }).lines;
    throw new XlstmError(
      'data',
      `${name}${line ? `, line ${line}` : ''}: ${error.message.split('\n', 1)[0]}`,
    );
  }
}

/** The one of comma, semicolon and tab that the first line has most of. */
function delimiterOf(text: string): string {
  const first = text.slice(0, text.indexOf('\n') >>> 0);
  const count = (mark: string): number => first.split(mark).length;
  return [',', ';', '\t'].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
}

function parseJsonLines(text: string, name: string): Table {
  const columns: string[] = [];
  const places = new Map<string, number>();
  const rows: string[][] = [];
  const lines: number[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const where = `${name}, line ${i + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw new XlstmError('data', `${where}: ${(error as Error).message}`);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new XlstmError('data', `${where}: expected an object of columns, found ${quote(value)}`);
    }
    const row: string[] = [];
    for (const [key, cell] of Object.entries(value)) {
      let place = places.get(key);
      if (place === undefined) {
        place = columns.push(key) - 1;
        places.set(key, place);
      }
      if (typeof cell === 'object' && cell !== null) {
        throw new XlstmError(
          'data',
          `${where}, column ${quote(key)}: expected a number or a text, found ${quote(cell)}`,
        );
      }
      row[place] = cell === null ? '' : String(cell);
    }
    rows.push(row);
    lines.push(i + 1);
  }
  checkColumns(columns, name);
  return { name, columns, rows: rows.map((row) => columns.map((_, c) => row[c] ?? '')), lines };
}

function checkColumns(columns: readonly string[], name: string): void {
  const twice = columns.find((column, i) => columns.indexOf(column) !== i);
  if (twice !== undefined) throw new XlstmError('data', `${name}: two columns are called ${quote(twice)}`);
}

/** The place of a column. Throws a data error that names those that are there. */
export function columnOf({ name, columns }: Table, column: string): number {
  const place = columns.indexOf(column);
  if (place >= 0) return place;
  throw new XlstmError('data', `${name}: there is no column ${quote(column)}`, nearby(column, columns));
}

function nearby(column: string, columns: readonly string[]): string {
  const near = nearest(column, columns);
  const list = (names: readonly string[]): string => names.map((each) => quote(each)).join(', ');
  return `${near.length > 0 ? `Near it: ${list(near)}. ` : ''}It has ${list(columns)}.`;
}

/** Whether a cell says that there is no value. */
export const isMissing = (cell: string): boolean => cell === '' || /^(na|nan|null|\?)$/i.test(cell);

/** The columns in which every value that is there is a number, and one is there. */
export const numericColumns = (table: Table): readonly string[] =>
  table.columns.filter((_, c) => {
    const present = table.rows.filter((row) => !isMissing(row[c]));
    return present.length > 0 && present.every((row) => Number.isFinite(Number(row[c])));
  });

/** The numbers of a column. Throws a data error that names line and column. */
export function numbersOf(table: Table, column: string, missing: MissingPolicy): Float64Array {
  const c = columnOf(table, column);
  let previous: number | undefined;
  return Float64Array.from(table.rows, (row, r) => {
    const cell = row[c];
    const value = isMissing(cell) ? (missing === 'previous' ? previous : undefined) : Number(cell);
    if (value !== undefined && Number.isFinite(value)) {
      previous = value;
      return value;
    }
    throw new XlstmError(
      'data',
      `${table.name}, line ${table.lines[r]}, column ${quote(column)}: expected a number, found ${isMissing(cell) ? 'none' : quote(cell)}`,
      isMissing(cell)
        ? missing === 'previous'
          ? 'There is no value before it.'
          : 'To take the value of the row before: --missing previous.'
        : undefined,
    );
  });
}

/** The texts of a column. Throws a data error where one is missing. */
export function labelsOf(table: Table, column: string): string[] {
  const c = columnOf(table, column);
  return table.rows.map((row, r) => {
    if (row[c] !== '') return row[c];
    throw new XlstmError(
      'data',
      `${table.name}, line ${table.lines[r]}, column ${quote(column)}: expected a label, found none`,
    );
  });
}
