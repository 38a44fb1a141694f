import { expect, it } from 'vitest';
import { readTimes } from './time_axis.ts';
import { timeTicks } from './time_ticks.ts';

const axisOf = (texts: string[]) => readTimes(texts, (row) => `row ${row}`).axis;
const ticks = (texts: string[], to: number, most = 8): string[] =>
  timeTicks(axisOf(texts), 0, to, most).map(({ step, label }) => `${step}: ${label}`);

it.each<[string, string[], number, string[]]>([
  [
    'years of months',
    ['2020-10', '2020-11', '2020-12'],
    30,
    ['3: 2021-01', '9: 2021-07', '15: 2022-01', '21: 2022-07', '27: 2023-01'],
  ],
  [
    'months of days',
    ['2024-01-30', '2024-01-31', '2024-02-01'],
    130,
    ['2: 2024-02', '31: 2024-03', '62: 2024-04', '92: 2024-05', '123: 2024-06'],
  ],
  [
    'weeks of days, from Monday',
    ['2024-01-03', '2024-01-04', '2024-01-05'],
    30,
    ['5: 2024-01-08', '12: 2024-01-15', '19: 2024-01-22', '26: 2024-01-29'],
  ],
  [
    'days of hours',
    ['2024-01-01 22:00', '2024-01-01 23:00', '2024-01-02 00:00'],
    110,
    ['2: 2024-01-02', '26: 2024-01-03', '50: 2024-01-04', '74: 2024-01-05', '98: 2024-01-06'],
  ],
  [
    'hours of minutes',
    ['2024-01-01 22:58', '2024-01-01 22:59', '2024-01-01 23:00'],
    130,
    ['2: 01-01 23:00', '32: 01-01 23:30', '62: 01-02 00:00', '92: 01-02 00:30', '122: 01-02 01:00'],
  ],
  [
    'decades of years',
    ['1958-01-01', '1959-01-01', '1960-01-01'],
    65,
    ['2: 1960', '12: 1970', '22: 1980', '32: 1990', '42: 2000', '52: 2010', '62: 2020'],
  ],
])('ticks stand at the beginnings of %s', (_, texts, to, expected) => {
  expect(ticks(texts, to)).toEqual(expected);
});
