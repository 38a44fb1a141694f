import { expect, test } from 'vitest';
import { outcomeOf } from './scores.ts';

test('a difference counts where a model has learned something and it is not small', () => {
  expect(outcomeOf(0.9, 0.5)).toBe('xLSTM ahead');
  expect(outcomeOf(0.5, 0.9)).toBe('xLSTM behind');
  expect(outcomeOf(0.99, 1)).toBe('level');
  expect(outcomeOf(0.24, 0.02)).toBe('learned by none');
  expect(outcomeOf(0.26, 0.02)).toBe('xLSTM ahead');
});
