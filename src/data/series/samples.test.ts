import { expect, it } from 'vitest';
import { parseTable } from '../table.ts';
import { samplesOfTable } from './samples.ts';

const CSV = `recording,x,y,activity
a,1,10,walk
b,5,50,
a,2,20,walk
b,,60,run
a,3,30,walk
b,7,70,
b,8,80,
`;
const table = (text = CSV) => parseTable(text, 'moves.csv');
const options = { id: 'recording', label: 'activity' };

it('takes the rows of a name as one sample, all columns of numbers, and a label that one row has', async () => {
  expect(samplesOfTable(await table(), options)).toEqual({
    ids: ['a', 'b'],
    inputs: ['x', 'y'],
    samples: [
      [Float64Array.of(1, 2, 3), Float64Array.of(10, 20, 30)],
      [Float64Array.of(5, Number.NaN, 7, 8), Float64Array.of(50, 60, 70, 80)],
    ],
    labels: ['walk', 'run'],
  });
  const { inputs, labels } = samplesOfTable(await table(), { id: 'recording', inputs: ['y'] });
  expect([inputs, labels]).toEqual([['y'], undefined]);
});

it.each([
  [
    CSV.replace('a,3,30,walk', 'a,3,30,run'),
    options,
    /line 6, column "activity": expected "walk".*"a", found "run"/,
  ],
  [CSV.replace('run', ''), options, /sample "b", column "activity": expected a label, found none/],
  [CSV.replace('7,70', ',70'), options, /sample "b", column "x": expected at least 3 values, found 2/],
  [
    CSV.replace('7,70', 'high,70'),
    { ...options, inputs: ['x'] },
    /line 7, column "x": expected a number or nothing, found "high"/,
  ],
  [
    CSV.replace('b,8', ',8'),
    options,
    /line 8, column "recording": expected the name of a series, found none/,
  ],
  [CSV, { ...options, label: 'aktivity' }, /there is no column "aktivity"/],
  [CSV, { ...options, inputs: ['z'] }, /there is no column "z"/],
  [
    'recording,activity\na,walk\n',
    options,
    /expected columns of numbers besides "recording" and "activity", found none/,
  ],
])('refuses what is not right: %#', async (text, given, message) => {
  const read = await table(text);
  expect(() => samplesOfTable(read, given)).toThrow(message);
});
