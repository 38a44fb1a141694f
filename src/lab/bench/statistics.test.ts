import { expect, test } from 'vitest';
import { measure, measureInTurns, spread } from './statistics.ts';

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

test('subjects take turns, and the first turn is not measured', async () => {
  const calls: string[] = [];
  const seconds = await measureInTurns(['a', 'b'], (subject, i) => calls.push(`${subject}${i}`), 2);
  expect(calls).toEqual(['a0', 'b1', 'a0', 'b1', 'a0', 'b1']);
  expect(seconds.map((each) => each.length)).toEqual([2, 2]);
});
