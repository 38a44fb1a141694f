import { expect, test } from 'vitest';
import { measure, spread } from './statistics.ts';

test('the median is the middle value or the mean of the two in the middle', () => {
  expect(spread([5, 1, 9])).toEqual({ median: 5, min: 1, max: 9 });
  expect(spread([4, 1, 10, 2])).toEqual({ median: 3, min: 1, max: 10 });
});

test('the first call warms up and is not measured', async () => {
  let calls = 0;
  const seconds = await measure(() => ++calls, 3);
  expect(calls).toBe(4);
  expect(seconds).toHaveLength(3);
});
