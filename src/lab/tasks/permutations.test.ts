import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { a5, s3, s5 } from './permutations.ts';
import type { Task } from './task.ts';
import { examples } from './testing/examples.ts';

/** Moves the letters of a word: the letter at place k goes to the place that the permutation gives for k. */
function move(word: string, permutation: string): string {
  const moved = word.split('');
  for (let k = 0; k < word.length; k++) moved[Number(permutation[k]) - 1] = word[k];
  return moved.join('');
}

function checkProducts(task: Task, word: string, order: number): void {
  expect(task.vocabSize).toBe(order + 1);
  expect(new Set(task.symbols).size).toBe(order + 1);
  expect(task.symbols[1]).toBe('12345'.slice(0, word.length));
  fc.assert(
    fc.property(examples([1, 256]), ({ seed, length }) => {
      const { tokens, targets } = task.sample(new Random(seed), length);
      expect(tokens.length).toBe(length);
      expect(targets.length).toBe(length);
      let moved = word;
      tokens.forEach((token, t) => {
        moved = move(moved, task.symbols[token]);
        expect(move(word, task.symbols[targets[t]])).toBe(moved);
      });
    }),
    { numRuns: 30 },
  );
}

describe('permutation composition', () => {
  it('asks for all products in S3', () => checkProducts(s3, 'abc', 6));
  it('asks for all products in S5', () => checkProducts(s5, 'abcde', 120));
  it('asks for all products in A5', () => checkProducts(a5, 'abcde', 60));

  it('A5 holds products of an even number of swaps alone', () => {
    for (const symbol of a5.symbols.slice(1)) {
      // A permutation of five is even when its cycles are odd in number.
      const seen = new Set<number>();
      let cycles = 0;
      for (let start = 0; start < 5; start++) {
        if (seen.has(start)) continue;
        cycles++;
        for (let at = start; !seen.has(at); at = Number(symbol[at]) - 1) seen.add(at);
      }
      expect(cycles % 2).toBe(1);
    }
  });

  it('does not commute in the tasks', () => {
    const { tokens, targets } = s3.sample(new Random(3), 200);
    const products = new Map<string, number>();
    for (let t = 1; t < tokens.length; t++) products.set(`${targets[t - 1]} ${tokens[t]}`, targets[t]);
    const pairs = [...products].filter(([key, value]) => {
      const swapped = products.get(key.split(' ').reverse().join(' '));
      return swapped !== undefined && swapped !== value;
    });
    expect(pairs.length).toBeGreaterThan(0);
  });
});
