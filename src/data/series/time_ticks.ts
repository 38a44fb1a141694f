import type { TimeAxis } from './time_axis.ts';

/** A place on an axis worth a label. */
export interface TimeTick {
  readonly step: number;
  readonly label: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** 1970-01-05 was a Monday. */
const MONDAY = 4 * DAY;

const pad = (value: number): string => String(value).padStart(2, '0');

interface Grain {
  /** Which stretch of time a clock's reading lies in. */
  readonly of: (clock: number) => number;
  readonly label: (date: Date) => string;
}

const month = (date: Date): string => `${date.getUTCFullYear()}-${pad(date.getUTCMonth() + 1)}`;
const day = (date: Date): string => `${month(date)}-${pad(date.getUTCDate())}`;
const minute = (date: Date): string =>
  `${pad(date.getUTCMonth() + 1)}-${pad(date.getUTCDate())} ${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}`;
const second = (date: Date): string =>
  `${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}:${pad(date.getUTCSeconds())}`;

const spans = (length: number, label: Grain['label'], from = 0): Grain => ({
  of: (clock) => Math.floor((clock - from) / length),
  label,
});
const months = (count: number, label: Grain['label']): Grain => ({
  of: (clock) => {
    const date = new Date(clock);
    return Math.floor((12 * date.getUTCFullYear() + date.getUTCMonth()) / count);
  },
  label,
});

const GRAINS: readonly Grain[] = [
  ...[1, 5, 10, 30].map((count) => spans(count * 1000, second)),
  ...[1, 5, 10, 30].map((count) => spans(count * MINUTE, minute)),
  ...[1, 3, 6, 12].map((count) => spans(count * HOUR, minute)),
  ...[1, 2].map((count) => spans(count * DAY, day)),
  ...[1, 2].map((count) => spans(7 * count * DAY, day, MONDAY)),
  ...[1, 3, 6].map((count) => months(count, month)),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((count) =>
    months(12 * count, (date) => String(date.getUTCFullYear())),
  ),
];

/** At most so many labels for the steps from `from` to `to`, at the beginnings of hours, days, months or years. */
export function timeTicks(axis: TimeAxis, from: number, to: number, most: number): TimeTick[] {
  for (const { of, label } of GRAINS) {
    const ticks: TimeTick[] = [];
    for (let step = from; step <= to && ticks.length <= most; step++) {
      const clock = axis.clock(step);
      if (step > 0 && of(clock) !== of(axis.clock(step - 1)))
        ticks.push({ step, label: label(new Date(clock)) });
    }
    if (ticks.length <= most) return ticks;
  }
  return [];
}
