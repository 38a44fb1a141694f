import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Task } from './task.ts';
import { examples, readAnswered } from './testing/examples.ts';
import { bucketSort, missingDuplicate, oddsFirst, repetition, reverseString, set } from './transduction.ts';

/** The string before ACT and the answer after it. */
function beforeAndAfter(task: Task, seed: number, length: number) {
  const { prompt, answers, size } = readAnswered(task, seed, length);
  expect(prompt.indexOf('ACT')).toBe(prompt.length - 1);
  return { text: prompt.slice(0, -1), answers, size };
}

const halves = (task: Task, check: (text: readonly string[], answers: readonly string[]) => void): void => {
  fc.assert(
    fc.property(examples([3, 256]), ({ seed, length }) => {
      const { text, answers, size } = beforeAndAfter(task, seed, length);
      check(text, answers);
      expect(size).toBe(length - ((length + 1) % 2));
    }),
  );
  expect(task.vocabSize).toBe(12);
};

describe('reverse string', () => {
  it('answers backwards', () => {
    halves(reverseString, (text, answers) => {
      for (let k = 0; k < text.length; k++) expect(answers[k]).toBe(text[text.length - 1 - k]);
      expect(answers.length).toBe(text.length);
    });
  });
});

describe('repetition', () => {
  it('answers the same', () => {
    halves(repetition, (text, answers) => expect(answers.join()).toBe(text.join()));
  });
});

describe('odds first', () => {
  it('answers every second symbol, twice', () => {
    halves(oddsFirst, (text, answers) => {
      const expected: string[] = [];
      for (let k = 0; k < text.length; k += 2) expected.push(text[k]);
      for (let k = 1; k < text.length; k += 2) expected.push(text[k]);
      expect(answers).toEqual(expected);
    });
  });
});

describe('bucket sort', () => {
  it('answers as many of each symbol as were given, from small to large', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(bucketSort, seed, length);
        const expected = '0123456789'
          .split('')
          .flatMap((digit) => prompt.filter((symbol) => symbol === digit));
        expect(answers).toEqual(expected);
        expect(size).toBe(length - (length % 2));
      }),
    );
    expect(bucketSort.vocabSize).toBe(11);
  });
});

describe('set', () => {
  it('answers what was not there before', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { text, answers, size } = beforeAndAfter(set, seed, length);
        expect(answers).toEqual(text.filter((symbol, k) => !text.slice(0, k).includes(symbol)));
        expect([length - 1, length]).toContain(size);
      }),
    );
    expect(set.vocabSize).toBe(128);
  });
});

describe('missing duplicate', () => {
  it('answers the one symbol that makes the halves equal', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(missingDuplicate, seed, length);
        const half = prompt.length / 2;
        expect(prompt.indexOf('MIS')).toBeGreaterThanOrEqual(half);
        expect(prompt.filter((symbol) => symbol === 'MIS').length).toBe(1);
        const filled = prompt.map((symbol) => (symbol === 'MIS' ? answers[0] : symbol)).join();
        expect(filled).toBe([...prompt.slice(0, half), ...prompt.slice(0, half)].join());
        expect(answers.length).toBe(1);
        expect(size).toBe(length - ((length + 1) % 2));
      }),
    );
    expect(missingDuplicate.vocabSize).toBe(11);
  });

  it('hides every place', () => {
    const places = Array.from({ length: 200 }, (_, seed) =>
      readAnswered(missingDuplicate, seed, 13).prompt.indexOf('MIS'),
    );
    expect([...new Set(places)].sort((a, b) => a - b)).toEqual([6, 7, 8, 9, 10, 11]);
  });
});
