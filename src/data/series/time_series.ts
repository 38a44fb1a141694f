import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import { readTimes, type TimeAxis } from './time_axis.ts';
import { TimeZone } from './time_zone.ts';

/** Numbers one step apart. A NaN is a value that is missing. */
export interface TimeSeries {
  /** What tells it from others of the same file; empty where it is alone. */
  readonly id: string;
  /** The column that it was taken from; empty where it was taken from none. */
  readonly target: string;
  /** The target, from its first row to the last value of it or of a target beside it. */
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

/** A column that is forecast. */
interface TargetColumn {
  readonly name: string;
  /** Of each row; NaN where it is missing. */
  readonly values: Float64Array;
}

/** Columns of the series of one name, before gaps are filled. */
export interface SeriesColumns {
  /** Empty where it is alone. */
  readonly id: string;
  /** Of each row, undefined where there are none. */
  readonly times: readonly string[] | undefined;
  /** One at least; they are one series each, of the same steps. */
  readonly targets: readonly TargetColumn[];
  /** Covariates up to the last value, of each row. */
  readonly past: Readonly<Record<string, Float64Array>>;
  /** Covariates beyond it, of each row. */
  readonly known: Readonly<Record<string, Float64Array>>;
}

/** How messages begin. */
export interface SeriesPlaces {
  /** About what is forecast. */
  target(name: string): string;
  /** About the time of a row. */
  time(row: number): string;
}

/**
 * Makes a series of each target: steps without a row become missing values; rows behind the last value of any target are
 * the future, in which covariates are known. Throws a data error for fewer than 3 values and for times that are no times,
 * do not ascend, or lie on no steps.
 */
export function assembleSeries(
  { id, times, targets, past, known }: SeriesColumns,
  where: SeriesPlaces,
  zone?: TimeZone,
): TimeSeries[] {
  for (const { name, values } of targets) {
    const present = values.reduce((count, value) => count + (Number.isNaN(value) ? 0 : 1), 0);
    if (present === 0 && values.length > 0) {
      throw new XlstmError('data', `${where.target(name)}: expected a series, found only missing values`);
    }
    if (present < FEWEST) {
      throw new XlstmError(
        'data',
        `${where.target(name)}: expected at least ${FEWEST} values, found ${present}`,
      );
    }
  }
  const found = times && readTimes(times, where.time, zone);
  const steps = found?.steps ?? targets[0].values.map((_, row) => row);
  const spread = (column: Float64Array): Float64Array => {
    const filled = new Float64Array((steps.at(-1) as number) + 1).fill(Number.NaN);
    for (const [row, value] of column.entries()) filled[steps[row]] = value;
    return filled;
  };
  const filled = targets.map(({ values }) => spread(values));
  const end = Math.max(...filled.map((row) => row.findLastIndex((value) => !Number.isNaN(value)))) + 1;
  const columns = (given: typeof past, length?: number): Record<string, Float64Array> =>
    Object.fromEntries(
      Object.entries(given).map(([name, column]) => [name, spread(column).slice(0, length)]),
    );
  const common = {
    ...{ id, times: found?.axis.endingAt(end) },
    ...{ past: columns(past, end), known: columns(known) },
  };
  return targets.map(({ name }, i) => ({ ...common, target: name, values: filled[i].slice(0, end) }));
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
  const [series] = assembleSeries(
    { id: '', times, targets: [{ name: '', values }], past: {}, known: {} },
    {
      target: () => 'series',
      time: (row) => `series: position ${row}: time`,
    },
    zone === undefined ? undefined : new TimeZone(zone),
  );
  return series;
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
