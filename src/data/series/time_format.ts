import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';

/** A time as it is written: what a clock on a wall shows, and how far that clock is ahead of UTC. */
export interface Stamp {
  /** Milliseconds since 1970 as if the clock showed UTC; of a numbered axis the number itself. */
  readonly wall: number;
  /** Milliseconds; undefined where nothing says it: then the clock is taken for UTC. */
  readonly offset: number | undefined;
}

/** Milliseconds since 1970 in UTC; of a numbered axis the number. */
export const instantOf = ({ wall, offset = 0 }: Stamp): number => wall - offset;

/** How the times of a column are written. */
export interface TimeFormat {
  /** Numbers that stand for no date count steps. */
  readonly kind: 'date' | 'number';
  /** Undefined for a text that is written otherwise, or names no date that there is. */
  read(text: string): Stamp | undefined;
  write(stamp: Stamp): string;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const FULL_MONTHS = [
  ...['January', 'February', 'March', 'April', 'May', 'June', 'July'],
  ...['August', 'September', 'October', 'November', 'December'],
];

const two = (value: number): string => String(value).padStart(2, '0');
const yearText = (year: number): string => String(year).padStart(4, '0');

/** Undefined for a date that there is not, such as 30 February. */
function wallOf(year: number, month: number, day: number, clock = 0): Stamp | undefined {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const right = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return right ? { wall: date.getTime() + clock, offset: undefined } : undefined;
}

interface DateParts {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

function partsOf({ wall }: Stamp): DateParts {
  const date = new Date(wall);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

const dateFormat = (
  pattern: RegExp,
  read: (match: RegExpExecArray) => Stamp | undefined,
  write: (parts: DateParts) => string,
): TimeFormat => ({
  kind: 'date',
  read(text) {
    const match = pattern.exec(text);
    return match ? read(match) : undefined;
  },
  write: (stamp) => write(partsOf(stamp)),
});

const ISO =
  /^(\d{4})([-/])(\d\d?)\2(\d\d?)(?:([T ])(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?$/;

/** Dates with or without a time of day and an offset, as in the text: its marks and its digits. */
function isoFormat(example: string): TimeFormat | undefined {
  const match = ISO.exec(example);
  if (!match) return undefined;
  const [, , mark, month, , middle, , , seconds, fraction, zone] = match;
  const pad = month.length === 2 ? two : String;
  return {
    kind: 'date',
    read(text) {
      const found = ISO.exec(text);
      if (!found || (found[5] === undefined) !== (middle === undefined)) return undefined;
      if ((found[10] === undefined) !== (zone === undefined)) return undefined;
      const [hour, minute, second] = [found[6], found[7], found[8]].map((part) => Number(part ?? 0));
      if (hour > 23 || minute > 59 || second > 59) return undefined;
      const part = Math.round(Number(`0.${found[9] ?? 0}`) * SECOND);
      const clock = hour * HOUR + minute * MINUTE + second * SECOND + part;
      const stamp = wallOf(Number(found[1]), Number(found[3]), Number(found[4]), clock);
      return stamp && { wall: stamp.wall, offset: found[10] === undefined ? undefined : offsetOf(found[10]) };
    },
    write(stamp) {
      const { year, month, day } = partsOf(stamp);
      const date = `${yearText(year)}${mark}${pad(month)}${mark}${pad(day)}`;
      const ending = zone === undefined ? '' : offsetText(stamp.offset ?? 0, zone);
      if (middle === undefined) return date + ending;
      const at = new Date(stamp.wall);
      const [hour, minute, second] = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].map(two);
      const part =
        fraction === undefined
          ? ''
          : `.${String(at.getUTCMilliseconds()).padStart(3, '0').padEnd(9, '0').slice(0, fraction.length)}`;
      return `${date}${middle}${hour}:${minute}${seconds === undefined ? '' : `:${second}${part}`}${ending}`;
    },
  };
}

function offsetOf(text: string): number {
  if (text === 'Z') return 0;
  const [, sign, hours, minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(text) as RegExpExecArray;
  return (sign === '-' ? -1 : 1) * (Number(hours) * HOUR + Number(minutes) * MINUTE);
}

function offsetText(offset: number, like: string): string {
  if (like === 'Z' && offset === 0) return 'Z';
  const minutes = Math.round(Math.abs(offset) / MINUTE);
  const short = like.length === 3 && minutes % 60 === 0;
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}${short ? '' : `${like.length === 5 ? '' : ':'}${two(minutes % 60)}`}`;
}

const monthFormat = (mark: string): TimeFormat =>
  dateFormat(
    new RegExp(`^(\\d{4})${mark}(\\d\\d)$`),
    ([, year, month]) => wallOf(Number(year), Number(month), 1),
    ({ year, month }) => `${yearText(year)}${mark}${two(month)}`,
  );

const quarterFormat = (mark: string): TimeFormat =>
  dateFormat(
    new RegExp(`^(\\d{4})${mark}Q([1-4])$`),
    ([, year, quarter]) => wallOf(Number(year), 3 * Number(quarter) - 2, 1),
    ({ year, month }) => `${yearText(year)}${mark}Q${Math.ceil(month / 3)}`,
  );

/** Two numbers and the year: `dayFirst` says which of the two is the day. */
const numericFormat = (mark: '.' | '/', dayFirst: boolean, pad: (value: number) => string): TimeFormat =>
  dateFormat(
    new RegExp(`^(\\d\\d?)\\${mark}(\\d\\d?)\\${mark}(\\d{4})$`),
    ([, one, other, year]) =>
      wallOf(Number(year), Number(dayFirst ? other : one), Number(dayFirst ? one : other)),
    ({ year, month, day }) =>
      `${(dayFirst ? [day, month] : [month, day]).map(pad).join(mark)}${mark}${yearText(year)}`,
  );

/** Names of months in English: `Jan 1 2000`, `1 January 2000`, `Jan 2000`. */
function namedFormat(example: string): TimeFormat | undefined {
  const match = /^(?:(\d\d?)[ -])?([A-Z][a-z]{2,8})([ -])(?:(\d\d?),? )?(\d{4})$/.exec(example);
  if (!match) return undefined;
  const [, before, name, mark, after] = match;
  const names = MONTHS.includes(name) ? MONTHS : FULL_MONTHS;
  if (!names.includes(name) || (before !== undefined && after !== undefined)) return undefined;
  const comma = example.includes(',') ? ',' : '';
  const day = '(\\d\\d?)';
  const month = '([A-Z][a-z]+)';
  const first = before !== undefined;
  const pattern = first
    ? `^${day}${mark}${month}${mark}(\\d{4})$`
    : after !== undefined
      ? `^${month}${mark}${day}${comma} (\\d{4})$`
      : `^${month}${mark}(\\d{4})$`;
  return dateFormat(
    new RegExp(pattern),
    (found) => {
      const [month, day] = first ? [found[2], found[1]] : [found[1], after === undefined ? '1' : found[2]];
      return wallOf(Number(found.at(-1)), names.indexOf(month) + 1, Number(day));
    },
    ({ year, month, day }) => {
      const called = names[month - 1];
      if (first) return `${day}${mark}${called}${mark}${year}`;
      return after === undefined ? `${called}${mark}${year}` : `${called}${mark}${day}${comma} ${year}`;
    },
  );
}

const isNumber = (text: string): boolean => text.trim() !== '' && Number.isFinite(Number(text));

/** Numbers of this size are seconds or milliseconds since 1970, from 1973 to 5138. */
const EPOCH_SECONDS = 1e8;
const EPOCH_MILLISECONDS = 1e11;

function numberFormat(first: number): TimeFormat {
  const size = Math.abs(first);
  const unit =
    size >= EPOCH_MILLISECONDS && size < 1e14 ? 1 : size >= EPOCH_SECONDS && size < 1e14 ? SECOND : 0;
  return {
    kind: unit === 0 ? 'number' : 'date',
    read: (text) => (isNumber(text) ? { wall: Number(text) * (unit || 1), offset: undefined } : undefined),
    write: (stamp) => String(Number((instantOf(stamp) / (unit || 1)).toPrecision(15))),
  };
}

/**
 * How the times of a column are written: numbers (of steps, or seconds or milliseconds since 1970), ISO dates with or
 * without times and offsets, months, quarters, `31.12.2024`, `12/31/2024`, `Dec 31 2024`. Undefined for other texts.
 * Throws a data error, which begins with `where`, where the order of day and month cannot be told.
 */
export function timeFormat(texts: readonly string[], where: string): TimeFormat | undefined {
  const [first] = texts;
  if (isNumber(first)) return numberFormat(Number(first));
  const month = /^\d{4}([-/])\d\d$/.exec(first);
  if (month) return monthFormat(month[1]);
  const quarter = /^\d{4}([- ]?)Q[1-4]$/.exec(first);
  if (quarter) return quarterFormat(quarter[1]);
  const numeric = /^(\d\d?)([./])(\d\d?)\2\d{4}$/.exec(first);
  if (!numeric) return isoFormat(first) ?? namedFormat(first);
  const pad = texts.some((text) => /^0|^\d\d?[./]0/.test(text)) ? two : String;
  if (numeric[2] === '.') return numericFormat('.', true, pad);
  const parts = texts.map((text) => text.split('/').map(Number));
  const dayFirst = parts.some(([one]) => one > 12);
  if (dayFirst || parts.some(([, other]) => other > 12)) return numericFormat('/', dayFirst, pad);
  throw new XlstmError(
    'data',
    `${where}: expected dates whose day and month can be told apart, found ${quote(first)}`,
    'Write them as 2024-12-31.',
  );
}
