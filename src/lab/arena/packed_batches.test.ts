import { describe, expect, it } from 'vitest';
import { s3 } from '../tasks/permutations.ts';
import { taskByName } from '../tasks/registry.ts';
import { parity } from '../tasks/regular.ts';
import { PackedBatches } from './packed_batches.ts';

/** The sequences of a batch: tokens from one reset to the next, without blanks behind them. */
function sequences({ tokens, targets, reset }: ReturnType<PackedBatches['next']>): {
  tokens: number[];
  targets: number[];
}[] {
  const found: { tokens: number[]; targets: number[] }[] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (reset[i] === 1) found.push({ tokens: [], targets: [] });
    if (tokens[i] === 0) continue;
    found.at(-1)?.tokens.push(tokens[i]);
    found.at(-1)?.targets.push(targets[i]);
  }
  return found;
}

describe('packed batches', () => {
  it('hold whole sequences, whose answers are right', () => {
    const batches = new PackedBatches(parity, 1, 32, 0);
    const lengths = new Map<number, number>();
    for (let i = 0; i < 200; i++) {
      const batch = batches.next(0);
      expect(batch.tokens.length).toBe(32 * 40);
      for (let row = 0; row < 32; row++) expect(batch.reset[row * 40]).toBe(1);
      for (const { tokens, targets } of sequences(batch)) {
        const odd = tokens.filter((token) => token === 2).length % 2;
        expect(targets).toEqual([...tokens.slice(1).map(() => -1), 1 + odd]);
        lengths.set(tokens.length, (lengths.get(tokens.length) ?? 0) + 1);
      }
    }
    // A length counts the answer, which is no token of the input.
    expect([...lengths.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: 38 }, (_, i) => 2 + i));
    const total = [...lengths.values()].reduce((sum, count) => sum + count, 0);
    for (const count of lengths.values()) expect(Math.abs((38 * count) / total - 1)).toBeLessThan(0.25);
  });

  it('grow in length while the curriculum lasts, and end at the lengths of the task', () => {
    const recall = taskByName('mqar[64,4,64]');
    const longest = (fraction: number): number =>
      Math.max(
        ...sequences(new PackedBatches(s3, 1, 32, 0.4).next(fraction)).map(({ tokens }) => tokens.length),
      );
    expect([0.001, 0.1, 0.2, 0.39].map(longest)).toEqual([1, 9, 17, 31]);
    expect(longest(0.4)).toBe(32);
    const resets = (fraction: number): number =>
      Array.from(new PackedBatches(recall, 1, 8, 0.4).next(fraction).reset).reduce(
        (sum, one) => sum + one,
        0,
      );
    expect(resets(0)).toBe(8 * 4);
    expect(resets(0.4)).toBe(8);
  });

  it('are the same for the same seed', () => {
    const [first, again, other] = [1, 1, 2].map((seed) => {
      const batches = new PackedBatches(parity, seed, 4, 0.4);
      return [batches.next(0.1), batches.next(0.9)];
    });
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});
