import { XlstmError } from '../errors.ts';
import { openParquet } from './parquet_file.ts';
import { parseTable, requireRows, type Table } from './table.ts';
import { readText } from './text.ts';

/**
 * Reads a CSV file whose first row names the columns; where the name ends in .jsonl or .ndjson, JSON lines; in .parquet,
 * the columns of a Parquet file that hold numbers, texts, dates or truth values.
 */
export async function readTable(path: string): Promise<Table> {
  if (/\.parquet$/i.test(path)) return parquetTable(path);
  const found = await readText(path);
  if (!found) throw new XlstmError('data', `${path}: expected a table, found a folder`);
  return parseTable(found.text, found.name);
}

async function parquetTable(path: string): Promise<Table> {
  const file = await openParquet(path, path);
  try {
    const columns = file.columns
      .filter(({ type, isRepeated }) => type !== undefined && !isRepeated)
      .map(({ name }) => name);
    const rows: string[][] = [];
    for (const count of file.groups) {
      const records = await file.rows(columns, rows.length, rows.length + count);
      for (const record of records) {
        rows.push(columns.map((column) => cellText(record[column])));
      }
    }
    await file.checkUnchanged();
    const table = { name: path, columns, rows, lines: rows.map((_, r) => r + 1) };
    requireRows(table);
    return table;
  } finally {
    await file.close();
  }
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  return value instanceof Date ? value.toISOString().replace('.000Z', 'Z') : String(value);
}
