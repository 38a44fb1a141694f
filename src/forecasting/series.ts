import { checkNames, checkOption } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';

/** Numbers of a variate in the order of time; null or NaN where one is missing. */
export type VariateValues = ArrayLike<number | null>;

/** When the steps of a series are. */
export interface StepTimes {
  /** The times of the `count` steps after the last one of the series. */
  following(count: number): readonly Date[];
}

/** What is known of a series: what is forecast, and what helps to. */
export interface ForecastSeries {
  /** What is forecast, by name: variates of one length, forecast together. */
  readonly targets: Readonly<Record<string, VariateValues>>;
  /** Variates of which the past alone is known, as long as the targets. Default: none. */
  readonly past?: Readonly<Record<string, VariateValues>> | undefined;
  /** Variates that are known ahead, by the horizon longer than the targets at least. Default: none. */
  readonly known?: Readonly<Record<string, VariateValues>> | undefined;
  /** Default: steps have no times, and neither has the forecast. */
  readonly times?: StepTimes | undefined;
}

/** A series as networks take it: rows of numbers, NaN where one is missing. */
export interface SeriesRows {
  /** Each of the same length. */
  readonly targets: readonly Float64Array[];
  /** As long as the targets. */
  readonly past: readonly Float64Array[];
  /** As long as the targets and the horizon. */
  readonly known: readonly Float64Array[];
}

/** The name of a target that is given without one. */
export const UNNAMED_TARGET = 'value';

/** Fewer observed values say nothing of a series. */
export const LEAST_OBSERVED = 3;

/** A series given as one row of numbers is that of one target. */
export function asSeries(given: VariateValues | ForecastSeries, where: string): ForecastSeries {
  if (typeof given !== 'object' || given === null)
    throw new XlstmError('data', `${where}: expected numbers or { targets }, found ${quote(given)}`);
  if ('targets' in given) {
    checkNames(where, given, ['targets', 'past', 'known', 'times']);
    return given;
  }
  return { targets: { [UNNAMED_TARGET]: given } };
}

/** Checks every number. Throws a data error that names the variate and the step. */
export function rowsOf(series: ForecastSeries, horizon: number, where: string): SeriesRows {
  const { targets, past = {}, known = {} } = series;
  const names = Object.keys(targets ?? {});
  checkOption(names.length > 0, `${where}: targets`, 'one variate at least', targets);
  const rows = names.map((name) => readRow(targets[name], `${where}: ${quote(name)}`));
  const { length } = rows[0];
  for (const [i, row] of rows.entries()) {
    const place = `${where}: ${quote(names[i])}`;
    requireLength(row, length, place, `as many steps as ${quote(names[0])}`);
    const observed = row.reduce((count, value) => count + Number(!Number.isNaN(value)), 0);
    if (observed >= LEAST_OBSERVED) continue;
    throw new XlstmError(
      'data',
      `${place}: expected at least ${LEAST_OBSERVED} values that are not missing, found ${observed}`,
    );
  }
  return {
    targets: rows,
    past: Object.entries(past).map(([name, values]) => {
      const place = `${where}: past ${quote(name)}`;
      const row = readRow(values, place);
      requireLength(row, length, place, 'as many steps as the targets');
      return row;
    }),
    known: Object.entries(known).map(([name, values]) => {
      const place = `${where}: known ${quote(name)}`;
      const row = readRow(values, place);
      const least = length + horizon;
      if (row.length < least) {
        throw new XlstmError(
          'data',
          `${place}: expected ${least} steps, ${length} of the series and ${horizon} of the horizon, found ${row.length}`,
          'Give what is known of the whole horizon, ask for a shorter one, or take it as past, of which the future is not known.',
        );
      }
      return row.slice(0, least);
    }),
  };
}

/** The variates of a sample. Throws a data error that names the variate and the step. */
export function sampleRows(sample: VariateValues | readonly VariateValues[], where: string): Float64Array[] {
  const several = Array.isArray(sample) && typeof sample[0] === 'object' && sample[0] !== null;
  const variates = several ? (sample as readonly VariateValues[]) : [sample as VariateValues];
  const rows = variates.map((values, v) => readRow(values, several ? `${where}, variate ${v}` : where));
  for (const [v, row] of rows.entries()) {
    requireLength(row, rows[0].length, `${where}, variate ${v}`, 'as many steps as the first');
    if (row.length === 0) throw new XlstmError('data', `${where}: expected at least one value, found none`);
  }
  return rows;
}

function requireLength(row: Float64Array, length: number, place: string, expected: string): void {
  if (row.length === length) return;
  throw new XlstmError('data', `${place}: expected ${expected}, ${length}, found ${row.length}`);
}

/** Checks every number of a row. Throws a data error that names the step. */
export function readRow(values: VariateValues, place: string): Float64Array {
  if (typeof values !== 'object' || values === null || !Number.isSafeInteger(values.length))
    throw new XlstmError('data', `${place}: expected a list of numbers, found ${quote(values)}`);
  const row = new Float64Array(values.length);
  for (let t = 0; t < row.length; t++) {
    const value: unknown = values[t];
    if (value === null || (typeof value === 'number' && Number.isNaN(value))) row[t] = Number.NaN;
    else if (typeof value === 'number' && Number.isFinite(value)) row[t] = value;
    else {
      throw new XlstmError(
        'data',
        `${place}: step ${t}: expected a finite number, or null where one is missing, found ${quote(value)}`,
      );
    }
  }
  return row;
}
