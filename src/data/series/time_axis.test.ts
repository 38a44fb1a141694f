import { describe, expect, it } from 'vitest';
import { frequencyText, usualSeason } from './frequency.ts';
import { readTimes } from './time_axis.ts';
import { TimeZone } from './time_zone.ts';

const where = (row: number): string => `row ${row}`;
const axisOf = (texts: readonly string[], zone?: string) =>
  readTimes(texts, where, zone === undefined ? undefined : new TimeZone(zone));

const HOUR = 3_600_000;

describe('the times of a series', () => {
  it.each<[string, string[], string, number, string]>([
    ['hours', ['2024-01-01 00:00', '2024-01-01 01:00', '2024-01-01 02:00'], 'hour', 24, '2024-01-01 03:00'],
    [
      'minutes',
      ['2024-01-01T00:00:00Z', '2024-01-01T00:10:00Z', '2024-01-01T00:20:00Z'],
      '10 minutes',
      144,
      '2024-01-01T00:30:00Z',
    ],
    ['days', ['2024-02-27', '2024-02-28', '2024-02-29'], 'day', 7, '2024-03-01'],
    ['weeks', ['2024-12-16', '2024-12-23', '2024-12-30'], 'week', 1, '2025-01-06'],
    ['months', ['2024-10', '2024-11', '2024-12'], 'month', 12, '2025-01'],
    ['months by their first day', ['2024-10-01', '2024-11-01', '2024-12-01'], 'month', 12, '2025-01-01'],
    ['months by their last day', ['2023-11-30', '2023-12-31', '2024-01-31'], 'month', 12, '2024-02-29'],
    ['quarters', ['2024-Q2', '2024-Q3', '2024-Q4'], 'quarter', 4, '2025-Q1'],
    ['years', ['2022-12-31', '2023-12-31', '2024-12-31'], 'year', 1, '2025-12-31'],
    ['years as numbers', ['1959', '1960', '1961'], '1', 1, '1962'],
    ['numbers', ['0.5', '1', '1.5'], '0.5', 1, '2'],
    ['seconds since 1970', ['1700000000', '1700003600', '1700007200'], 'hour', 24, '1700010800'],
    [
      'milliseconds since 1970',
      ['1700000000000', '1700000000250', '1700000000500'],
      '250 ms',
      1,
      '1700000000750',
    ],
    ['English names', ['Nov 1 2000', 'Dec 1 2000', 'Jan 1 2001'], 'month', 12, 'Feb 1 2001'],
    ['days before months', ['31.12.2023', '01.01.2024', '02.01.2024'], 'day', 7, '03.01.2024'],
    ['months before days', ['12/30/2023', '12/31/2023', '1/1/2024'], 'day', 7, '1/2/2024'],
  ])('are %s', (_, texts, step, season, next) => {
    const { axis, steps } = axisOf(texts);
    expect(frequencyText(axis.frequency)).toBe(step);
    expect(usualSeason(axis.frequency)).toBe(season);
    expect(steps).toEqual([0, 1, 2]);
    expect(texts.map((_, i) => axis.text(i))).toEqual(texts);
    expect(axis.text(3)).toBe(next);
    expect(axis.instant(3)).toBeGreaterThan(axis.instant(2));
    if (axis.isDates) expect(axis.following(2).map(Number)).toEqual([axis.instant(3), axis.instant(4)]);
  });

  it('have steps where rows are missing', () => {
    const { axis, steps } = axisOf(['2024-01-31', '2024-02-29', '2024-05-31', '2024-06-30']);
    expect(steps).toEqual([0, 1, 4, 5]);
    expect([2, 3, 6].map((step) => axis.text(step))).toEqual(['2024-03-31', '2024-04-30', '2024-07-31']);
  });

  it('are weekdays where there are no others', () => {
    const days = [...Array(5).keys()]
      .flatMap((d) => [`2024-01-0${d + 1}`, `2024-01-${String(d + 8).padStart(2, '0')}`])
      .sort();
    const { axis, steps } = axisOf(days);
    expect(frequencyText(axis.frequency)).toBe('weekday');
    expect(steps).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(axis.text(10)).toBe('2024-01-15');
    expect(axis.text(16)).toBe('2024-01-23');
  });

  it('may be a little early or late, and keep what is written', () => {
    const texts = ['10:00:00', '10:00:11', '10:00:20', '10:00:30', '10:00:49'].map((t) => `2024-01-01T${t}Z`);
    const { axis, steps } = axisOf(texts);
    expect(frequencyText(axis.frequency)).toBe('10 seconds');
    expect(steps).toEqual([0, 1, 2, 3, 5]);
    expect(axis.text(1)).toBe(texts[1]);
    expect(axis.text(4)).toBe('2024-01-01T10:00:40Z');
  });

  it('take no notice of clocks that are set forward or back', () => {
    // Days of Berlin, as written: the last Sunday of March has 23 hours.
    const days = [
      '2024-03-30T00:00+01:00',
      '2024-03-31T00:00+01:00',
      '2024-04-01T00:00+02:00',
      '2024-04-02T00:00+02:00',
    ];
    const daily = axisOf(days);
    expect(daily.steps).toEqual([0, 1, 2, 3]);
    expect(frequencyText(daily.axis.frequency)).toBe('day');
    expect((daily.axis.instant(2) - daily.axis.instant(1)) / HOUR).toBe(23);
    // Hours, whose clock shows 2 twice in October and never in March.
    const hours = [
      '2024-10-27T01:00+02:00',
      '2024-10-27T02:00+02:00',
      '2024-10-27T02:00+01:00',
      '2024-10-27T03:00+01:00',
    ];
    const hourly = axisOf(hours);
    expect(hourly.steps).toEqual([0, 1, 2, 3]);
    expect(hourly.axis.text(4)).toBe('2024-10-27T04:00+01:00');
  });

  it('are on the clock of a zone that is named', () => {
    const back = axisOf(
      ['2024-10-27 01:00', '2024-10-27 02:00', '2024-10-27 02:00', '2024-10-27 03:00'],
      'Europe/Berlin',
    );
    expect(back.steps).toEqual([0, 1, 2, 3]);
    expect(back.axis.instant(0)).toBe(Date.parse('2024-10-26T23:00:00Z'));
    expect(back.axis.instant(3)).toBe(Date.parse('2024-10-27T02:00:00Z'));
    const forward = axisOf(['2024-03-31 00:00', '2024-03-31 01:00', '2024-03-31 03:00'], 'Europe/Berlin');
    expect(forward.steps).toEqual([0, 1, 2]);
    const days = axisOf(['2024-03-29', '2024-03-30', '2024-03-31'], 'America/New_York');
    expect(days.axis.instant(0)).toBe(Date.parse('2024-03-29T04:00:00Z'));
    // A forecast goes over the change: 10 March 2024 in New York.
    const over = axisOf(
      ['2024-03-09T22:00-05:00', '2024-03-09T23:00-05:00', '2024-03-10T00:00-05:00'],
      'America/New_York',
    );
    expect([3, 4, 5].map((step) => over.axis.text(step))).toEqual([
      '2024-03-10T01:00-05:00',
      '2024-03-10T03:00-04:00',
      '2024-03-10T04:00-04:00',
    ]);
  });

  it.each<[string, string[], RegExp]>([
    [
      'no time',
      ['2024-01-01', 'tomorrow', '2024-01-03'],
      /^row 1: expected a time such as "2024-01-01", found "tomorrow"/,
    ],
    ['no time at first', ['soon', '2024-01-01', '2024-01-03'], /^row 0: expected a time, found "soon"/],
    ['no date', ['2024-02-28', '2024-02-30', '2024-03-01'], /^row 1: .*found "2024-02-30"/],
    ['nothing', ['2024-01-01', '', '2024-01-03'], /^row 1: .*found none/],
    [
      'another order',
      ['2024-01-02', '2024-01-01', '2024-01-03'],
      /^row 1: expected a time after "2024-01-02", found "2024-01-01"/,
    ],
    [
      'the same twice',
      ['2024-01-01', '2024-01-02', '2024-01-02'],
      /^row 2: expected a time after "2024-01-02", found the same time again/,
    ],
    [
      'no steps',
      ['2024-01-01T00:00', '2024-01-01T01:00', '2024-01-01T02:00', '2024-01-01T02:25'],
      /^row 3: expected a whole number of steps \(hour\) after "2024-01-01T02:00"/,
    ],
    [
      'a gap of decades',
      ['1970-01-01T00:00', '2024-01-01T01:00', '2024-01-01T02:00', '2024-01-01T03:00'],
      /^row 1: expected a whole number of steps/,
    ],
    [
      'days or months',
      ['01/02/2024', '02/02/2024', '03/02/2024'],
      /^row 0: expected dates whose day and month can be told apart/,
    ],
  ])('are refused: %s', (_, texts, message) => {
    expect(() => axisOf(texts)).toThrow(message);
  });

  it('are refused where the zone has no such time, and zones that there are not', () => {
    expect(() =>
      axisOf(['2024-03-31 01:00', '2024-03-31 02:00', '2024-03-31 03:00'], 'Europe/Berlin'),
    ).toThrow(
      /^row 1: expected a time of Europe\/Berlin, found "2024-03-31 02:00", which its clocks leave out/,
    );
    expect(() => new TimeZone('Europe/Atlantis')).toThrow(
      /expected a name such as Europe\/Berlin, found "Europe\/Atlantis"/,
    );
  });
});
