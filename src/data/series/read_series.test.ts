import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { XlstmError } from '../../errors.ts';
import type { Table } from '../table.ts';
import { readSeries } from './read_series.ts';
import { type SeriesOptions, seriesOfTable } from './table_series.ts';
import { requireKnown, timeSeries } from './time_series.ts';

function table(text: string): Table {
  const [columns, ...rows] = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(','));
  return { name: 'a.csv', columns, rows, lines: rows.map((_, r) => r + 2) };
}

const read = (text: string, options: SeriesOptions = {}) => seriesOfTable(table(text), options);

describe('the series of a table', () => {
  it('is its only column of numbers by its only column of dates; steps without a row are missing', () => {
    const { targets, time, series } = read('day,load\n2024-01-01,1\n2024-01-02,\n2024-01-04,3\n2024-01-05,4');
    expect([targets, time]).toEqual([['load'], 'day']);
    expect(series).toHaveLength(1);
    expect([...series[0].values]).toEqual([1, Number.NaN, Number.NaN, 3, 4]);
    expect(series[0].times?.text(2)).toBe('2024-01-03');
  });

  it('has covariates, known ones in rows without a target', () => {
    const text =
      'day,load,temp,holiday\n2024-01-01,1,5,0\n2024-01-02,2,NaN,1\n2024-01-03,3,7,0\n2024-01-04,,8,1\n2024-01-05,null,,0';
    const { series } = read(text, { target: 'load', past: ['temp'], known: ['holiday'] });
    expect([...series[0].values]).toEqual([1, 2, 3]);
    expect([...series[0].past.temp]).toEqual([5, Number.NaN, 7]);
    expect([...series[0].known.holiday]).toEqual([0, 1, 0, 1, 0]);
    expect(() => requireKnown(series[0], 2)).not.toThrow();
    expect(() => requireKnown(series[0], 4)).toThrow(
      /^the known covariate "holiday" ends too early: expected 4 values behind the last one of the target, up to step 7 \(2024-01-07\), found 2/,
    );
  });

  it('is one for each name of the id column, of any length and step', () => {
    const text =
      'who,t,v\na,2024-01,1\nb,2024-01-01,10\na,2024-02,2\nb,2024-01-02,20\na,2024-03,3\nb,2024-01-03,30\nb,2024-01-04,40';
    const { series } = read(text, { id: 'who', time: 't', target: 'v' });
    expect(series.map(({ id, values }) => [id, [...values]])).toEqual([
      ['a', [1, 2, 3]],
      ['b', [10, 20, 30, 40]],
    ]);
    expect(series.map(({ times }) => times?.frequency.unit)).toEqual(['month', 'day']);
  });

  it('is one for each target of a name, which end with the last value of any', () => {
    const text =
      'who,day,2,1,k\na,2024-01-01,1,10,0\na,2024-01-02,2,20,0\na,2024-01-04,3,30,0\na,2024-01-05,,40,0\na,2024-01-06,,,1';
    const { targets, series } = read(text, { target: ['2', '1'], id: 'who', known: ['k'] });
    expect(targets).toEqual(['2', '1']);
    expect(series.map(({ id, target, values }) => [id, target, [...values]])).toEqual([
      ['a', '2', [1, 2, Number.NaN, 3, Number.NaN]],
      ['a', '1', [10, 20, Number.NaN, 30, 40]],
    ]);
    expect(series[0].times).toBe(series[1].times);
    expect([...series[1].known.k]).toEqual([0, 0, Number.NaN, 0, 0, 1]);
  });

  it('needs no times', () => {
    const { series, time } = read('v\n1\n\n3\n4', {});
    expect(time).toBeUndefined();
    expect([...series[0].values]).toEqual([1, Number.NaN, 3, 4]);
  });

  it.each<[string, string, SeriesOptions, RegExp]>([
    [
      'a text among numbers',
      't,v\n2024-01-01,1\n2024-01-02,x\n2024-01-03,2',
      { target: 'v' },
      /^a\.csv, line 3, column "v": expected a number or nothing, found "x"/,
    ],
    [
      'an infinite value',
      'v\n1\nInfinity\n2',
      { target: 'v' },
      /^a\.csv, line 3, column "v": expected a finite number, found "Infinity"/,
    ],
    [
      'too large a number',
      'v\n1\n1e999\n2',
      { target: 'v' },
      /^a\.csv, line 3, column "v": expected a finite number, found "1e999"/,
    ],
    ['too few values', 'v\n1\n2\n', {}, /^a\.csv, column "v": expected at least 3 values, found 2/],
    [
      'nothing',
      'v,w\n,1\n,2\n,3',
      { target: 'v' },
      /^a\.csv, column "v": expected a series, found only missing values/,
    ],
    [
      'too few values of one',
      'i,v\na,1\na,2\na,3\nb,1',
      { id: 'i' },
      /^a\.csv, series "b", column "v": expected at least 3 values, found 1/,
    ],
    [
      'a series without name',
      'i,v\na,1\n,2\na,3',
      { id: 'i' },
      /^a\.csv, line 3, column "i": expected the name of a series, found none/,
    ],
    ['an unknown column', 'load,v\n1,2\n1,2', { target: 'lod' }, /^a\.csv: there is no column "lod"/],
    [
      'two columns of numbers',
      'a,b\n1,2\n1,2',
      {},
      /expected one column of numbers to forecast, found "a", "b"/,
    ],
    ['no numbers', 'a\nx\ny', {}, /expected a column of numbers to forecast, found none/],
    [
      'a text among the only numbers',
      'day,a\n2024-01-01,1\n2024-01-02,2\n2024-01-03,x7',
      {},
      /a\.csv, line 4, column "a": expected a number or nothing, found "x7"/,
    ],
    [
      'an infinite one among them, beside a covariate',
      'a,b\n1,4\n-Infinity,5\n3,6',
      { past: ['b'] },
      /a\.csv, line 3, column "a": expected a finite number, found "-Infinity"/,
    ],
    [
      'one that is spelt inf',
      'a,b\n1,4\n-inf,5\n3,6',
      { past: ['b'] },
      /a\.csv, line 3, column "a": expected a finite number, found "-inf"/,
    ],
    [
      'two columns of dates',
      'a,b,v\n2024-01-01,2024-01-01,1',
      {},
      /expected one column of times, found "a", "b"/,
    ],
    [
      'a bad time',
      't,v\n2024-01-01,1\nx,2\n2024-01-03,3',
      { time: 't' },
      /^a\.csv, line 3, column "t": expected a time such as "2024-01-01", found "x"/,
    ],
  ])('is refused where it has %s', (_, text, options, message) => {
    let error: unknown;
    try {
      read(text, options);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(XlstmError);
    expect(error).toMatchObject({ code: 'data', message: expect.stringMatching(message) });
  });

  it('names near columns', () => {
    const error = (() => {
      try {
        read('load,v\n1,2\n1,2', { target: 'lod' });
      } catch (thrown) {
        return thrown as XlstmError;
      }
    })();
    expect(error?.hint).toBe('Near it: "load". It has "load", "v".');
  });
});

describe('the series of a file', () => {
  const file = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

  it('is read from CSV', async () => {
    const { targets, time, series } = await readSeries(file('examples/series/co2.csv'));
    expect([targets, time]).toEqual([['co2'], 'date']);
    // Months that were not measured have no row.
    expect(series[0].values).toHaveLength(746);
    expect(series[0].values.filter(Number.isNaN)).toHaveLength(5);
    expect(series[0].times?.following(1)[0]).toEqual(new Date('2020-05-01'));
  });

  it('is read from Parquet', async () => {
    const { series } = await readSeries(file('test/golden/texts/snappy.parquet'), { target: 'id' });
    expect([...series[0].values]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

describe('a series of a program', () => {
  it('is an array, a typed array or rows of times and values', () => {
    expect([...timeSeries([1, null, 3, Number.NaN, 5]).values]).toEqual([1, Number.NaN, 3, Number.NaN, 5]);
    expect([...timeSeries(new Float32Array([1, 2, 3])).values]).toEqual([1, 2, 3]);
    const day = (d: number): Date => new Date(Date.UTC(2024, 0, d));
    const rows = timeSeries([1, 2, 5].map((d) => ({ time: day(d), value: d })));
    expect([...rows.values]).toEqual([1, 2, Number.NaN, Number.NaN, 5]);
    expect(rows.times?.text(5)).toBe('2024-01-06T00:00:00.000Z');
    expect(rows.times?.instant(5)).toBe(day(6).getTime());
    expect(timeSeries([1, 2, 3].map((n) => ({ time: `2024-0${n}`, value: n }))).times?.frequency.unit).toBe(
      'month',
    );
  });

  it.each<[string, Parameters<typeof timeSeries>[0], RegExp]>([
    ['a text', [1, 'x' as never, 3], /^series: position 1: expected a finite number or null, found "x"/],
    ['an infinite value', [1, 2, -Infinity], /^series: position 2: .*found -Infinity/],
    ['two values', [1, 2], /^series: expected at least 3 values, found 2/],
    [
      'no times',
      [{ time: {} as never, value: 1 }],
      /^series: position 0: time: expected a date, a number or a text/,
    ],
    [
      'mixed rows',
      [{ time: 1, value: 1 }, 2 as never],
      /^series: position 1: expected { time, value }, found 2/,
    ],
    ['no date', [{ time: new Date(Number.NaN), value: 1 }], /^series: position 0: time: .*found "no date"/],
  ])('is refused where it has %s', (_, given, message) => {
    expect(() => timeSeries(given)).toThrow(message);
  });
});
