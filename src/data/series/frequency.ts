import { instantOf, type Stamp } from './time_format.ts';
import type { TimeZone } from './time_zone.ts';

/**
 * The step of a series. `ms` are steps of time, `day`, `weekday` (Monday to Friday) and `month` steps of a calendar,
 * whatever the clocks do; `number` of an axis that counts.
 */
export interface Frequency {
  /** What is counted. */
  readonly unit: 'number' | 'ms' | 'day' | 'weekday' | 'month';
  /** Of these units. */
  readonly count: number;
  /** Of months: at the last day of each, which is no day of the same number. */
  readonly monthEnd?: true;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** 1970-01-05, a Monday. */
const MONDAY = 4;

const dayOf = (wall: number): number => Math.floor(wall / DAY);
const clockOf = (wall: number): number => wall - dayOf(wall) * DAY;

/** Weekdays since Monday 1970-01-05; of a Saturday or Sunday those of the Monday after. */
function weekdayNumber(wall: number): number {
  const days = dayOf(wall) - MONDAY;
  const weeks = Math.floor(days / 7);
  return 5 * weeks + Math.min(5, days - 7 * weeks);
}

const isWeekend = (wall: number): boolean => (((dayOf(wall) - MONDAY) % 7) + 7) % 7 >= 5;

function monthNumber(wall: number): number {
  const date = new Date(wall);
  return 12 * date.getUTCFullYear() + date.getUTCMonth();
}

const lastDayOf = (month: number): number =>
  new Date(Date.UTC(2000, 0, 1)).setUTCFullYear(Math.floor(month / 12), (month % 12) + 1, 0);

function isMonthEnd(wall: number): boolean {
  return new Date(wall).getUTCMonth() !== new Date(wall + DAY).getUTCMonth();
}

const POSITIONS: Readonly<Record<Frequency['unit'], (stamp: Stamp) => number>> = {
  number: ({ wall }) => wall,
  ms: instantOf,
  day: ({ wall }) => dayOf(wall),
  weekday: ({ wall }) => weekdayNumber(wall),
  month: ({ wall }) => monthNumber(wall),
};

/** The unit in which a series counts, by what its times have in common. */
function unitOf(stamps: readonly Stamp[], kind: 'date' | 'number'): Omit<Frequency, 'count'> {
  if (kind === 'number') return { unit: 'number' };
  const walls = stamps.map(({ wall }) => wall);
  if (walls.some((wall) => clockOf(wall) !== clockOf(walls[0]))) return { unit: 'ms' };
  const day = (wall: number): number => new Date(wall).getUTCDate();
  if (new Set(walls.map(monthNumber)).size === walls.length) {
    if (walls.every((wall) => day(wall) === day(walls[0]))) return { unit: 'month' };
    if (walls.every(isMonthEnd)) return { unit: 'month', monthEnd: true };
  }
  const daily = walls.some((wall, i) => i > 0 && dayOf(wall) - dayOf(walls[i - 1]) === 1);
  return daily && walls.length >= 8 && !walls.some(isWeekend) ? { unit: 'weekday' } : { unit: 'day' };
}

/** Of a step of time, readings may be that far from their place. */
const JITTER = 0.2;
/** Steps between two rows where nobody would speak of a gap any more: the step is not theirs. */
const MOST_FILLED = 20;

/** Steps from each row to the first one, and the step; or the row that fits into no steps. */
export type Steps =
  | { readonly frequency: Frequency; readonly steps: readonly number[] }
  | { readonly misfit: number; readonly expected: string };

/** Finds the step of ascending times: the most frequent difference, or what divides all of them. */
export function findSteps(stamps: readonly Stamp[], kind: 'date' | 'number'): Steps {
  const counted = unitOf(stamps, kind);
  const { unit } = counted;
  const positions = stamps.map(POSITIONS[unit]);
  const differences = positions.slice(1).map((position, i) => position - positions[i]);
  const usual = mostFrequent(differences);
  const found = stepsOf(differences, usual, unit);
  if (!('misfit' in found)) return { frequency: { ...counted, count: usual }, steps: found.steps };
  const divisor = differences.reduce(greatestDivisor);
  const finer = stepsOf(differences, divisor, unit);
  if (!('misfit' in finer) && (finer.steps.at(-1) as number) <= 4 * stamps.length) {
    return { frequency: { ...counted, count: divisor }, steps: finer.steps };
  }
  return { misfit: found.misfit, expected: frequencyText({ ...counted, count: usual }) };
}

function stepsOf(
  differences: readonly number[],
  step: number,
  unit: Frequency['unit'],
): { readonly steps: number[] } | { readonly misfit: number } {
  const tolerance = unit === 'ms' ? JITTER : 1e-6;
  const most = MOST_FILLED * (differences.length + 1) + 1000;
  const steps = [0];
  for (const [i, difference] of differences.entries()) {
    const count = Math.round(difference / step);
    const at = steps[i] + count;
    if (count < 1 || Math.abs(difference - count * step) > tolerance * step || at > most)
      return { misfit: i + 1 };
    steps.push(at);
  }
  return { steps };
}

function mostFrequent(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  // Of those that are equally frequent, as where every reading is a little late, the one in the middle.
  const sorted = [...values].sort((a, b) => a - b);
  const most = Math.max(...counts.values());
  return most > 1
    ? ([...counts].find(([, count]) => count === most) as [number, number])[0]
    : sorted[(sorted.length - 1) >> 1];
}

function greatestDivisor(a: number, b: number): number {
  let [one, other] = [a, b];
  while (other > 1e-9 * a) [one, other] = [other, one % other];
  return one;
}

/** The time `steps` behind another. Clocks are those of the zone, or stay as they are where there is none. */
export function stampAfter(
  from: Stamp,
  { unit, count, monthEnd }: Frequency,
  steps: number,
  zone: TimeZone | undefined,
): Stamp {
  const by = steps * count;
  if (unit === 'number') return { wall: from.wall + by, offset: undefined };
  if (unit === 'ms') {
    const instant = instantOf(from) + by;
    const offset = zone ? zone.offsetAt(instant) : from.offset;
    return { wall: instant + (offset ?? 0), offset };
  }
  const wall = calendarWall(from.wall, unit, by, monthEnd === true);
  if (!zone) return { wall, offset: from.offset };
  const [offset = zone.offsetAt(wall - (from.offset ?? 0))] = zone.offsetsFor(wall);
  return { wall, offset };
}

function calendarWall(
  wall: number,
  unit: 'day' | 'weekday' | 'month',
  by: number,
  monthEnd: boolean,
): number {
  if (unit === 'day') return wall + by * DAY;
  if (unit === 'weekday') {
    const number = weekdayNumber(wall) + by;
    const week = Math.floor(number / 5);
    return (7 * week + (number - 5 * week) + MONDAY) * DAY + clockOf(wall);
  }
  const month = monthNumber(wall) + by;
  const last = lastDayOf(month);
  const day = monthEnd ? 31 : new Date(wall).getUTCDate();
  return last - Math.max(0, new Date(last).getUTCDate() - day) * DAY + clockOf(wall);
}

const times = (count: number, one: string): string => (count === 1 ? one : `${count} ${one}s`);

/** For people: hour, 10 minutes, month, quarter. */
export function frequencyText({ unit, count }: Frequency): string {
  if (unit === 'month') {
    if (count % 12 === 0) return times(count / 12, 'year');
    return count === 3 ? 'quarter' : times(count, 'month');
  }
  if (unit === 'day') return count % 7 === 0 ? times(count / 7, 'week') : times(count, 'day');
  if (unit === 'weekday') return times(count, 'weekday');
  if (unit === 'number') return `${count}`;
  for (const [size, name] of [
    [DAY, 'day'],
    [HOUR, 'hour'],
    [MINUTE, 'minute'],
    [SECOND, 'second'],
  ] as const) {
    if (count % size === 0) return times(count / size, name);
  }
  return count > SECOND
    ? `${Number((count / SECOND).toPrecision(4))} seconds`
    : `${Number(count.toPrecision(4))} ms`;
}

/**
 * Steps after which a series of this step usually repeats itself: a year of months and quarters, a week of days, a day of
 * hours and minutes, an hour of seconds; 1 where nothing is usual.
 */
export function usualSeason({ unit, count }: Frequency): number {
  const whole = (period: number): number => (period % count === 0 && period > count ? period / count : 1);
  if (unit === 'month') return whole(12);
  if (unit === 'day') return whole(7);
  if (unit === 'weekday') return whole(5);
  if (unit === 'number' || count < SECOND) return 1;
  return count >= MINUTE ? whole(DAY) : whole(HOUR);
}
