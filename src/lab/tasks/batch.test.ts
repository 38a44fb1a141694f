import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../random.ts';
import { taskBatch } from './batch.ts';
import { tasks } from './registry.ts';
import { cycleNavigation, parity } from './regular.ts';

describe('taskBatch', () => {
  it('holds the samples of the stream, padded', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...tasks),
        fc.nat(),
        fc.integer({ min: 1, max: 4 }),
        fc.nat(40),
        fc.nat(20),
        fc.nat(5),
        (task, seed, batchSize, above, range, extra) => {
          const min = task.shortest + above;
          const width = min + range + extra;
          const batch = taskBatch(task, new Random(seed), batchSize, min, min + range, width);
          const again = new Random(seed);
          for (let row = 0; row < batchSize; row++) {
            const length = min + again.integer(range + 1);
            const { tokens, targets } = task.sample(again, length);
            expect(batch.lengths[row]).toBe(length);
            const from = row * width;
            const padding = width - tokens.length;
            expect([...batch.tokens.subarray(from, from + width)]).toEqual([
              ...tokens,
              ...new Array<number>(padding).fill(0),
            ]);
            expect([...batch.targets.subarray(from, from + width)]).toEqual([
              ...targets,
              ...new Array<number>(padding).fill(-1),
            ]);
          }
          expect([...batch.reset]).toEqual(Array.from(batch.tokens, (_, k) => (k % width === 0 ? 1 : 0)));
        },
      ),
    );
  });

  it('draws every length, both ends included, equally often', () => {
    const random = new Random(2);
    const counts = new Map<number, number>();
    const { lengths, targets } = taskBatch(parity, random, 38_000, 3, 40, 40);
    for (const length of lengths) counts.set(length, (counts.get(length) ?? 0) + 1);
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: 38 }, (_, k) => 3 + k));
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(1000));
    lengths.forEach((length, row) => {
      if (targets[row * 40 + length - 2] < 0)
        throw new Error(`row ${row} of length ${length} asks elsewhere`);
    });
  });

  it('streams: no batch is like the one before', () => {
    const random = new Random(3);
    const seen = new Set<string>();
    for (let k = 0; k < 50; k++) seen.add(taskBatch(cycleNavigation, random, 2, 40, 40, 40).tokens.join());
    expect(seen.size).toBe(50);
  });

  it('says what does not fit', () => {
    const random = new Random(0);
    expect(() => taskBatch(parity, random, 0, 3, 40, 40)).toThrow('batchSize: expected');
    expect(() => taskBatch(parity, random, 1, 41, 40, 40)).toThrow('found 41 to 40');
    expect(() => taskBatch(parity, random, 1, 3, 41, 40)).toThrow(
      'rows of 40 tokens cannot hold sequences of 41',
    );
    expect(() => taskBatch(parity, random, 1, 1, 1, 40)).toThrow(
      'Parity: expected a length of at least 3, found 1',
    );
  });
});
