import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import { readTimes, type TimeAxis } from './time_axis.ts';
import { TimeZone } from './time_zone.ts';

/** Numbers one step apart. A NaN is a value that is missing. */
export interface TimeSeries {
  /** What tells it from others of the same file; empty where it is alone. */
  readonly id: string;
  /** The target, from its first value to its last. */
  readonly values: Float64Array;
  /** Undefined where rows follow each other without times. */
  readonly times: TimeAxis | undefined;
  /** Covariates that are known up to the last value, each as long as `values`. */
  readonly past: Readonly<Record<string, Float64Array>>;
  /** Covariates that are known beyond it: at least as long as `values`. */
  readonly known: Readonly<Record<string, Float64Array>>;
}

/** A value and when it was; null, undefined and NaN are missing values. */
export interface TimedValue {
  /** A date, a number or a text. */
  readonly time: Date | number | string;
  /** Missing, or a finite number. */
  readonly value: number | null | undefined;
}

/** Points below which there is nothing to go on. */
const FEWEST = 3;

/** Columns of one series, before gaps are filled. */
export interface SeriesColumns {
  /** Empty where it is alone. */
  readonly id: string;
  /** Of each row, undefined where there are none. */
  readonly times: readonly string[] | undefined;
  /** Of each row; NaN where it is missing. */
  readonly values: Float64Array;
  /** Covariates up to the last value, of each row. */
  readonly past: Readonly<Record<string, Float64Array>>;
  /** Covariates beyond it, of each row. */
  readonly known: Readonly<Record<string, Float64Array>>;
}

/**
 * Makes a series of its rows: steps without a row become missing values; rows behind the last value are the future, in
 * which covariates are known. `where` begins messages about the series, or about one of its rows. Throws a data error
 * for fewer than 3 values and for times that are no times, do not ascend, or lie on no steps.
 */
export function assembleSeries(
  { id, times, values, past, known }: SeriesColumns,
  where: (row?: number) => string,
  zone?: TimeZone,
): TimeSeries {
  const present = values.reduce((count, value) => count + (Number.isNaN(value) ? 0 : 1), 0);
  if (present === 0 && values.length > 0) {
    throw new XlstmError('data', `${where()}: expected a series, found only missing values`);
  }
  if (present < FEWEST) {
    throw new XlstmError('data', `${where()}: expected at least ${FEWEST} values, found ${present}`);
  }
  const found = times && readTimes(times, where, zone);
  const steps = found?.steps ?? values.map((_, row) => row);
  const spread = (column: Float64Array): Float64Array => {
    const filled = new Float64Array((steps.at(-1) as number) + 1).fill(Number.NaN);
    for (const [row, value] of column.entries()) filled[steps[row]] = value;
    return filled;
  };
  const filled = spread(values);
  const end = filled.findLastIndex((value) => !Number.isNaN(value)) + 1;
  const columns = (given: typeof past, length?: number): Record<string, Float64Array> =>
    Object.fromEntries(
      Object.entries(given).map(([name, column]) => [name, spread(column).slice(0, length)]),
    );
  return {
    id,
    values: filled.slice(0, end),
    times: found?.axis.endingAt(end),
    past: columns(past, end),
    known: columns(known),
  };
}

/**
 * A series from a program's own numbers: an array, or rows of times and values, which may leave steps out. A null or a
 * NaN is a missing value. Throws a data error that names the position of what is no number, and as `assembleSeries`
 * does.
 *
 * @param zone Of times without an offset, such as Europe/Berlin. Default: UTC.
 */
export function timeSeries(
  given: ArrayLike<number | null | undefined> | readonly TimedValue[],
  zone?: string,
): TimeSeries {
  const rows = Array.from(given as ArrayLike<number | null | undefined | TimedValue>);
  const isTimed = (row: unknown): row is TimedValue => typeof row === 'object' && row !== null;
  const timed = rows.some(isTimed);
  const values = Float64Array.from(rows, (row, i) => {
    const value = timed ? (isTimed(row) ? row.value : row) : (row as number | null | undefined);
    if (timed && !isTimed(row)) {
      throw new XlstmError('data', `series: position ${i}: expected { time, value }, found ${quote(row)}`);
    }
    if (value === null || value === undefined) return Number.NaN;
    if (typeof value === 'number' && (Number.isFinite(value) || Number.isNaN(value))) return value;
    throw new XlstmError(
      'data',
      `series: position ${i}: expected a finite number or null, found ${quote(value)}`,
    );
  });
  const times = timed ? (rows as readonly TimedValue[]).map(({ time }, i) => timeText(time, i)) : undefined;
  return assembleSeries(
    { id: '', times, values, past: {}, known: {} },
    (row) => (row === undefined ? 'series' : `series: position ${row}: time`),
    zone === undefined ? undefined : new TimeZone(zone),
  );
}

function timeText(time: unknown, i: number): string {
  if (time instanceof Date && !Number.isNaN(time.getTime())) return time.toISOString();
  if (typeof time === 'string' || typeof time === 'number') return String(time);
  throw new XlstmError(
    'data',
    `series: position ${i}: time: expected a date, a number or a text, found ${quote(time instanceof Date ? 'no date' : time)}`,
  );
}

/**
 * Checks that covariates are known for a forecast. Throws a data error that names the first that ends before the
 * horizon does.
 */
export function requireKnown({ id, values, known, times }: TimeSeries, horizon: number): void {
  for (const [name, column] of Object.entries(known)) {
    const end = column.findLastIndex((value) => !Number.isNaN(value)) + 1;
    const needed = values.length + horizon;
    if (end >= needed) continue;
    const at = (step: number): string => (times ? ` (${times.text(step)})` : '');
    const there = Math.max(0, end - values.length);
    throw new XlstmError(
      'data',
      `${id === '' ? '' : `series ${quote(id)}: `}the known covariate ${quote(name)} ends too early: expected ${horizon} values behind the last one of the target, up to step ${needed}${at(needed - 1)}, found ${there}`,
      'Add rows with its values and no target, or forecast fewer steps.',
    );
  }
}
