import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import { type Frequency, findSteps, stampAfter } from './frequency.ts';
import { instantOf, type Stamp, type TimeFormat, timeFormat } from './time_format.ts';
import type { TimeZone } from './time_zone.ts';

/** What rows say of the times on an axis. */
interface Places {
  readonly frequency: Frequency;
  readonly format: TimeFormat;
  readonly zone: TimeZone | undefined;
  /** Of each step from the first row to the last. */
  readonly stamps: readonly Stamp[];
  /** Of steps that are rows. */
  readonly texts: readonly (string | undefined)[];
}

/** The times of a series, evenly spaced by its frequency; those of rows are kept as they were written. */
export class TimeAxis {
  /** The step from one time to the next. */
  readonly frequency: Frequency;
  /** Steps of the series; rows behind it are the future. */
  readonly length: number;
  readonly #places: Places;

  /** @internal Of `length` steps. Rows make one by `readTimes`. */
  constructor(places: Places, length: number) {
    this.frequency = places.frequency;
    this.length = length;
    this.#places = places;
  }

  /** Milliseconds since 1970 in UTC of a step, also of those behind the series; of a numbered axis the number. */
  instant(step: number): number {
    return instantOf(this.#stamp(step));
  }

  /** What a clock at the place of the series shows at a step: milliseconds since 1970 as if that clock showed UTC. */
  clock(step: number): number {
    return this.#stamp(step).wall;
  }

  /** A step's time: as it was written, and where no row is as the rows are written. */
  text(step: number): string {
    return this.#places.texts[step] ?? this.#places.format.write(this.#stamp(step));
  }

  /** The times of the next `count` steps behind the series. */
  following(count: number): Date[] {
    return Array.from({ length: count }, (_, h) => new Date(this.instant(this.length + h)));
  }

  /** Whether its times are dates; else they are numbers. */
  get isDates(): boolean {
    return this.#places.format.kind === 'date';
  }

  /** The same times for a series that ends elsewhere. */
  endingAt(length: number): TimeAxis {
    return new TimeAxis(this.#places, length);
  }

  #stamp(step: number): Stamp {
    const { stamps, frequency, zone } = this.#places;
    const last = stamps.length - 1;
    return step <= last ? stamps[step] : stampAfter(stamps[last], frequency, step - last, zone);
  }
}

/**
 * The axis on which rows lie, three or more, and their steps on it, counted from 0. Throws a data error that begins
 * with `where(row)` for what is no time, for rows that do not ascend and for rows that no step leads to.
 */
export function readTimes(
  texts: readonly string[],
  where: (row: number) => string,
  zone?: TimeZone,
): { readonly axis: TimeAxis; readonly steps: readonly number[] } {
  const format = timeFormat(texts, where(0));
  if (!format) throw notTime(where(0), texts[0]);
  const stamps: Stamp[] = [];
  for (const [row, text] of texts.entries()) {
    const read = format.read(text);
    if (!read) throw notTime(where(row), text, texts[0]);
    const before = stamps.at(-1);
    const stamp = zone && format.kind === 'date' ? inZone(read, zone, before, where(row), text) : read;
    if (before !== undefined) checkOrder(before, stamp, texts[row - 1], text, where(row));
    stamps.push(stamp);
  }
  const found = findSteps(stamps, format.kind);
  if ('misfit' in found) {
    const { misfit: row, expected } = found;
    throw new XlstmError(
      'data',
      `${where(row)}: expected a whole number of steps (${expected}) after ${quote(texts[row - 1])}, found ${quote(texts[row])}`,
      'A forecast takes evenly spaced times; what is missing in between may be missing.',
    );
  }
  const { frequency, steps } = found;
  const all: Stamp[] = [];
  const written: (string | undefined)[] = [];
  for (const [row, step] of steps.entries()) {
    while (all.length < step) {
      all.push(stampAfter(stamps[row - 1], frequency, all.length - steps[row - 1], zone));
    }
    all.push(stamps[row]);
    written[step] = texts[row];
  }
  return { axis: new TimeAxis({ frequency, format, zone, stamps: all, texts: written }, all.length), steps };
}

const notTime = (where: string, text: string, like?: string): XlstmError =>
  new XlstmError(
    'data',
    `${where}: expected a time${like === undefined ? '' : ` such as ${quote(like)}`}, found ${text === '' ? 'none' : quote(text)}`,
    like === undefined
      ? 'Times are numbers, or dates such as 2024-12-31 and 2024-12-31T18:00:00+01:00.'
      : undefined,
  );

/** Clocks of a zone: those that say no offset get one, the others are read on its clock. */
function inZone(stamp: Stamp, zone: TimeZone, before: Stamp | undefined, where: string, text: string): Stamp {
  if (stamp.offset !== undefined) {
    const instant = instantOf(stamp);
    const offset = zone.offsetAt(instant);
    return { wall: instant + offset, offset };
  }
  const offsets = zone.offsetsFor(stamp.wall);
  if (offsets.length === 0) {
    throw new XlstmError(
      'data',
      `${where}: expected a time of ${zone.name}, found ${quote(text)}, which its clocks leave out`,
    );
  }
  const candidates = offsets.map((offset) => ({ wall: stamp.wall, offset }));
  return candidates.find((one) => !before || instantOf(one) > instantOf(before)) ?? candidates[0];
}

function checkOrder(before: Stamp, stamp: Stamp, textBefore: string, text: string, where: string): void {
  const [earlier, now] = [instantOf(before), instantOf(stamp)];
  if (now > earlier) return;
  const same = now === earlier;
  throw new XlstmError(
    'data',
    same
      ? `${where}: expected a time after ${quote(textBefore)}, found the same time again`
      : `${where}: expected a time after ${quote(textBefore)}, found ${quote(text)}`,
    same
      ? 'Of several series in one file: name the column that tells them apart (--id). Of clocks that were set back: name their zone (--time-zone).'
      : 'Sort the rows by time; of several series in one file, name the column that tells them apart (--id).',
  );
}
