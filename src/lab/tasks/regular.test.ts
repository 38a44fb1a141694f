import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { cycleNavigation, evenPairs, parity } from './regular.ts';
import { examples, readAnswered } from './testing/examples.ts';

describe('cycle navigation', () => {
  it('ends where walking along the cycle ends', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(cycleNavigation, seed, length);
        const ring = ['P0', 'P1', 'P2', 'P3', 'P4'];
        for (const move of prompt) {
          if (move === '+1') ring.push(ring.shift()!);
          else if (move === '-1') ring.unshift(ring.pop()!);
          else expect(move).toBe('STAY');
        }
        expect(answers).toEqual([ring[0]]);
        expect(size).toBe(length);
      }),
    );
    expect(cycleNavigation.vocabSize).toBe(9);
  });
});

describe('even pairs', () => {
  it('counts ab and ba', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(evenPairs, seed, length);
        const pairs = prompt.filter((symbol, k) => k > 0 && symbol !== prompt[k - 1]).length;
        expect(answers).toEqual([pairs % 2 === 0 ? 'a' : 'b']);
        expect(size).toBe(length);
      }),
    );
    expect(evenPairs.vocabSize).toBe(3);
  });
});

describe('parity', () => {
  it('counts the b', () => {
    fc.assert(
      fc.property(examples([3, 256]), ({ seed, length }) => {
        const { prompt, answers, size } = readAnswered(parity, seed, length);
        const count = prompt.join('').replaceAll('a', '').length;
        expect(answers).toEqual([count % 2 === 0 ? 'a' : 'b']);
        expect(size).toBe(length);
      }),
    );
    expect(parity.vocabSize).toBe(3);
  });

  it('asks where the last symbol is read: the answer has no place in the input', () => {
    const { tokens, targets } = parity.sample(new Random(4), 9);
    expect(tokens.length).toBe(8);
    expect(targets.slice(0, 7)).toEqual([-1, -1, -1, -1, -1, -1, -1]);
    expect(targets[7]).toBe(1 + (tokens.filter((token) => token === 2).length % 2));
  });
});
