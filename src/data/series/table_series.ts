import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import { columnOf, isMissing, numericColumns, type Table } from '../table.ts';
import { timeFormat } from './time_format.ts';
import { assembleSeries, type TimeSeries } from './time_series.ts';
import { TimeZone } from './time_zone.ts';

/** Which columns of a table make a series. */
export interface SeriesOptions {
  /** What is forecast, one column or several. Default: the only column of numbers besides the others. */
  readonly target?: string | readonly string[];
  /** The times of the rows. Default: the only column of dates; without one, rows are one step apart. */
  readonly time?: string;
  /** What tells several series of one table apart. Default: there is one. */
  readonly id?: string;
  /** Covariates that are known up to the last value of the target. */
  readonly past?: readonly string[];
  /** Covariates that are known beyond it, in rows that have no target. */
  readonly known?: readonly string[];
  /** Of times without an offset, such as Europe/Berlin. Default: UTC. */
  readonly timeZone?: string;
}

/** The series of a table, in the order of their first rows, and the columns that they were taken from. */
export interface TableSeries {
  /** The columns that are forecast. */
  readonly targets: readonly string[];
  /** Undefined where rows are one step apart. */
  readonly time: string | undefined;
  /** One for each name of the id column, or one; of several targets one for each, with the same id and as many steps. */
  readonly series: readonly TimeSeries[];
}

/**
 * Takes series out of a table. An empty cell, NaN or null is a missing value. Throws a data error that names line and
 * column for what is no finite number or no time, near columns for one that is not there, and the series for fewer
 * than 3 values.
 */
export function seriesOfTable(table: Table, options: SeriesOptions): TableSeries {
  const { id, past = [], known = [] } = options;
  const zone = options.timeZone === undefined ? undefined : new TimeZone(options.timeZone);
  const named = typeof options.target === 'string' ? [options.target] : (options.target ?? []);
  for (const name of [...named, options.time, id, ...past, ...known]) {
    if (name !== undefined) columnOf(table, name);
  }
  requireOneUse(table, { target: named, time: options.time, id, past, known });
  const time = options.time ?? onlyTimes(table, [...named, id, ...past, ...known]);
  const targets = named.length > 0 ? named : [onlyNumbers(table, [time, id, ...past, ...known])];
  const groups = id === undefined ? new Map([['', table.rows.map((_, r) => r)]]) : groupsOf(table, id);
  const series = [...groups].flatMap(([name, rows]) => {
    const columns = (names: readonly string[]): Record<string, Float64Array> =>
      Object.fromEntries(names.map((column) => [column, numbersIn(table, column, rows)]));
    const t = time === undefined ? undefined : columnOf(table, time);
    const called = id === undefined ? '' : `, series ${quote(name)}`;
    return assembleSeries(
      {
        id: name,
        times: t === undefined ? undefined : rows.map((r) => table.rows[r][t]),
        targets: targets.map((target) => ({ name: target, values: numbersIn(table, target, rows) })),
        past: columns(past),
        known: columns(known),
      },
      {
        target: (column) => `${table.name}${called}, column ${quote(column)}`,
        time: (row) => `${table.name}, line ${table.lines[rows[row]]}, column ${quote(time)}`,
      },
      zone,
    );
  });
  return { targets, time, series };
}

/** A column that is read twice would tell of itself, or what is to come. */
function requireOneUse(
  table: Table,
  uses: Readonly<Record<string, string | readonly string[] | undefined>>,
): void {
  const used = new Map<string, string>();
  for (const [use, names] of Object.entries(uses)) {
    for (const name of typeof names === 'string' ? [names] : (names ?? [])) {
      const before = used.get(name);
      if (before !== undefined) {
        throw new XlstmError(
          'data',
          `${table.name}, column ${quote(name)}: expected one use of it, found ${before === use ? `${use} twice` : `${before} and ${use}`}`,
        );
      }
      used.set(name, use);
    }
  }
}

/** The rows of each name, in the order of the first ones. Throws a data error for a row without a name. */
export function groupsOf(table: Table, id: string): Map<string, number[]> {
  const column = columnOf(table, id);
  const groups = new Map<string, number[]>();
  for (const [r, row] of table.rows.entries()) {
    const name = row[column];
    if (name === '') {
      throw new XlstmError(
        'data',
        `${table.name}, line ${table.lines[r]}, column ${quote(id)}: expected the name of a series, found none`,
      );
    }
    const rows = groups.get(name);
    if (rows) rows.push(r);
    else groups.set(name, [r]);
  }
  return groups;
}

/** The numbers of a column in some rows, NaN where one is missing. Throws a data error that names line and column. */
export function numbersIn(table: Table, column: string, rows: readonly number[]): Float64Array {
  const c = columnOf(table, column);
  return Float64Array.from(rows, (r) => {
    const cell = table.rows[r][c];
    if (isMissing(cell)) return Number.NaN;
    const value = Number(cell);
    if (Number.isFinite(value)) return value;
    const where = `${table.name}, line ${table.lines[r]}, column ${quote(column)}`;
    throw Number.isNaN(value) && !/^[+-]?inf(inity)?$/i.test(cell)
      ? new XlstmError('data', `${where}: expected a number or nothing, found ${quote(cell)}`)
      : new XlstmError(
          'data',
          `${where}: expected a finite number, found ${quote(cell)}`,
          'Leave the cell empty where a value is missing.',
        );
  });
}

/** The only column of dates; numbers may be anything. */
function onlyTimes(table: Table, taken: readonly (string | undefined)[]): string | undefined {
  const { columns, rows } = table;
  const found = columns.filter((name, c) => {
    if (taken.includes(name)) return false;
    const cells = rows.map((row) => row[c]);
    if (cells.some((cell) => cell === '' || Number.isFinite(Number(cell)))) return false;
    const format = timeFormat(cells, `${table.name}, column ${quote(name)}`);
    return format !== undefined && cells.every((cell) => format.read(cell) !== undefined);
  });
  if (found.length <= 1) return found[0];
  throw new XlstmError(
    'data',
    `${table.name}: expected one column of times, found ${found.map((name) => quote(name)).join(', ')}`,
    `Name the one to take: --time ${found[0]}`,
  );
}

const mostlyNumeric = ({ columns, rows }: Table): string[] =>
  columns.filter((_, c) => {
    const cells = rows.map((row) => row[c]).filter((cell) => !isMissing(cell));
    return cells.filter((cell) => !Number.isNaN(Number(cell))).length > cells.length / 2;
  });

function onlyNumbers(table: Table, taken: readonly (string | undefined)[]): string {
  const free = (names: readonly string[]): string[] => names.filter((name) => !taken.includes(name));
  const whole = free(numericColumns(table));
  // Where there is none, one with a few other cells is meant: reading it tells which.
  const found = whole.length > 0 ? whole : free(mostlyNumeric(table));
  if (found.length === 1) return found[0];
  throw new XlstmError(
    'data',
    found.length === 0
      ? `${table.name}: expected a column of numbers to forecast, found none`
      : `${table.name}: expected one column of numbers to forecast, found ${found.map((name) => quote(name)).join(', ')}`,
    found.length === 0 ? undefined : `Name the one to forecast: --target ${found[0]}`,
  );
}
