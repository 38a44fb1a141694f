import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import { columnOf, isMissing, numericColumns, type Table } from '../table.ts';
import { groupsOf, numbersIn } from './table_series.ts';

/** Which columns of a table make samples. */
export interface SampleOptions {
  /** What tells the samples apart: rows of one name are one sample, in their order. */
  readonly id: string;
  /** What is read of each, numbers. Default: every column of numbers besides the others. */
  readonly inputs?: readonly string[] | undefined;
  /** What is said of each, once or the same in all of its rows. Left out: nothing. */
  readonly label?: string | undefined;
}

/** Samples of series, all of the same columns. */
export interface TableSamples {
  /** Their names, in the order of their first rows. */
  readonly ids: readonly string[];
  /** The columns that are read. */
  readonly inputs: readonly string[];
  /** Of each sample a row for every column. */
  readonly samples: readonly (readonly Float64Array[])[];
  /** Of each sample its label; undefined where none was asked for. */
  readonly labels: readonly string[] | undefined;
}

const LEAST_OBSERVED = 3;

/**
 * Takes samples out of a table. An empty cell, NaN or null is a missing value. Throws a data error that names line and column for
 * what is no finite number, near columns for one that is not there, and the sample for fewer than 3 values, a label that is
 * missing, or two of them.
 */
export function samplesOfTable(table: Table, { id, inputs: given, label }: SampleOptions): TableSamples {
  for (const name of [id, ...(given ?? []), label]) if (name !== undefined) columnOf(table, name);
  const inputs = given ?? numericColumns(table).filter((name) => name !== id && name !== label);
  if (inputs.length === 0) {
    throw new XlstmError(
      'data',
      `${table.name}: expected columns of numbers besides ${quote(id)}${label === undefined ? '' : ` and ${quote(label)}`}, found none`,
    );
  }
  const groups = groupsOf(table, id);
  const samples = [...groups].map(([name, rows]) =>
    inputs.map((column) => {
      const values = numbersIn(table, column, rows);
      const observed = values.filter((value) => !Number.isNaN(value)).length;
      if (observed >= LEAST_OBSERVED) return values;
      throw new XlstmError(
        'data',
        `${table.name}, sample ${quote(name)}, column ${quote(column)}: expected at least ${LEAST_OBSERVED} values, found ${observed}`,
      );
    }),
  );
  const labels =
    label === undefined ? undefined : [...groups].map(([name, rows]) => labelOf(table, label, name, rows));
  return { ids: [...groups.keys()], inputs, samples, labels };
}

function labelOf(table: Table, column: string, name: string, rows: readonly number[]): string {
  const c = columnOf(table, column);
  const said = rows.filter((r) => !isMissing(table.rows[r][c]));
  const where = `${table.name}, sample ${quote(name)}, column ${quote(column)}`;
  if (said.length === 0) throw new XlstmError('data', `${where}: expected a label, found none`);
  const label = table.rows[said[0]][c];
  const other = said.find((r) => table.rows[r][c] !== label);
  if (other === undefined) return label;
  throw new XlstmError(
    'data',
    `${table.name}, line ${table.lines[other]}, column ${quote(column)}: expected ${quote(label)}, as before in sample ${quote(name)}, found ${quote(table.rows[other][c])}`,
    'A sample has one label: the same in all of its rows, or in one of them.',
  );
}
