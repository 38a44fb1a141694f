import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { associativeRecall } from './associative_recall.ts';

const sizes = fc
  .record({ pairs: fc.integer({ min: 1, max: 20 }), room: fc.nat(60), more: fc.nat(300), seed: fc.nat() })
  .map(({ pairs, room, more, seed }) => ({
    pairs,
    context: 4 * pairs + room,
    vocabulary: 2 * pairs + 2 + more,
    seed,
  }));

describe('associative recall', () => {
  it('asks every key once, and its value', () => {
    fc.assert(
      fc.property(sizes, ({ pairs, context, vocabulary, seed }) => {
        const task = associativeRecall({ pairs, context, vocabulary });
        expect(task.vocabSize).toBe(vocabulary);
        const { tokens, targets } = task.sample(new Random(seed), context);
        expect([tokens.length, targets.length]).toEqual([context, context]);
        const memory = new Map<number, number>();
        for (let t = 0; t < 2 * pairs; t += 2) {
          memory.set(tokens[t], tokens[t + 1]);
          expect(task.symbols[tokens[t]]).toMatch(/^k/);
          expect(task.symbols[tokens[t + 1]]).toMatch(/^v/);
        }
        expect(memory.size).toBe(pairs);
        expect(new Set(memory.values()).size).toBe(pairs);
        targets.forEach((target, t) => {
          if (t < 2 * pairs || tokens[t] === 0) {
            expect(target).toBe(-1);
          } else {
            expect(t % 2).toBe(0);
            expect(target).toBe(memory.get(tokens[t]));
            memory.delete(tokens[t]);
          }
        });
        expect(memory.size).toBe(0);
      }),
    );
  });

  it('asks near the pairs more often than far away, by the power law', () => {
    const random = new Random(5);
    const task = associativeRecall({ pairs: 1, context: 64, vocabulary: 64 });
    const draws = 20_000;
    const counts = new Array<number>(31).fill(0);
    for (let k = 0; k < draws; k++) {
      counts[task.sample(random, 64).targets.findIndex((target) => target >= 0) / 2 - 1]++;
    }
    const weights = counts.map((_, place) => (place + 1) ** (0.01 - 1));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    counts.forEach((count, place) => {
      const share = weights[place] / total;
      const deviation = Math.sqrt((share * (1 - share)) / draws);
      expect(Math.abs(count / draws - share)).toBeLessThan(5 * deviation);
    });
  });

  it('says which sizes do not fit', () => {
    expect(() => associativeRecall({ context: 15, pairs: 4, vocabulary: 64 })).toThrow(
      'at least 16, found 15',
    );
    expect(() => associativeRecall({ context: 16, pairs: 4, vocabulary: 9 })).toThrow('at least 10, found 9');
    expect(() => associativeRecall({ context: 16, pairs: 0, vocabulary: 64 })).toThrow('pairs: expected');
    const task = associativeRecall({ context: 16, pairs: 4, vocabulary: 10 });
    expect(() => task.sample(new Random(0), 15)).toThrow('at least 16');
  });
});
