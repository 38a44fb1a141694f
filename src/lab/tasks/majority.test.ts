import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { majority, majorityCount } from './majority.ts';
import { examples, readAnswered } from './testing/examples.ts';

const countOf = (text: readonly string[], symbol: string): number =>
  text.filter((other) => other === symbol).length;

describe('majority', () => {
  it('answers the symbol that beats every other', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(majority, seed, length);
        const votes = countOf(prompt, answers[0]);
        for (const other of new Set(prompt)) {
          if (other !== answers[0]) expect(countOf(prompt, other)).toBeLessThan(votes);
        }
        expect(votes).toBeGreaterThan(0);
        expect(answers.length).toBe(1);
        expect(size).toBe(length);
      }),
    );
    expect(majority.vocabSize).toBe(64);
  });
});

describe('majority count', () => {
  it('answers the highest count', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(majorityCount, seed, length);
        const highest = prompt.reduce((most, symbol) => Math.max(most, countOf(prompt, symbol)), 0);
        expect(answers).toEqual([String(highest)]);
        expect(size).toBe(length);
      }),
    );
    expect(majorityCount.vocabSize).toBe(64);
  });

  it('clips the count at the last symbol', () => {
    const { prompt, answers } = readAnswered(majorityCount, 0, 6001);
    expect(Math.max(...[...new Set(prompt)].map((symbol) => countOf(prompt, symbol)))).toBeGreaterThan(63);
    expect(answers).toEqual(['63']);
  });

  it('gives a constant answer more than the published chance', () => {
    const random = new Random(1);
    const counts = new Map<number, number>();
    for (let k = 0; k < 2000; k++) {
      const target = majorityCount.sample(random, 40 + random.integer(217)).targets.at(-1)!;
      counts.set(target, (counts.get(target) ?? 0) + 1);
    }
    const best = Math.max(...counts.values()) / 2000;
    expect(majorityCount.chanceAccuracy).toBeCloseTo(1 / 63, 12);
    expect(best).toBeGreaterThan(0.1);
    expect(best).toBeLessThan(0.4);
  });
});
