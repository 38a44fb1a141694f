import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBatches } from './batches.ts';
import {
  arraySource,
  firstTokens,
  joinTokens,
  sliceTokens,
  type TokenSource,
  tokenSource,
  weighTokens,
} from './token_source.ts';

const range = (count: number): Int32Array => Int32Array.from({ length: count }, (_, k) => k);

/** Tokens that lie nowhere: k at place k. */
const far = (length: number): TokenSource => ({
  length,
  read: (start, into) => {
    for (let i = 0; i < into.length; i++) into[i] = (start + i) % 2 ** 31;
  },
});

describe('sources of tokens', () => {
  it('make the batches of an array', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('contiguous' as const, 'shuffled' as const),
        fc.nat(200),
        (order, extra) => {
          const options = { batchSize: 2, length: 3, order, seed: 4, documentStart: 5 };
          const [array, source] = [range(9 + extra), far(9 + extra)];
          const [one, other] = [new TokenBatches(array, options), new TokenBatches(source, options)];
          for (let k = 0; k < 5; k++) expect(other.next()).toEqual(one.next());
        },
      ),
    );
  });

  it('may be larger than any array', () => {
    const options = { batchSize: 4, length: 8, order: 'shuffled' } as const;
    const batches = new TokenBatches(far(2 ** 45), options);
    expect(batches.batchesPerEpoch).toBe(2 ** 40 - 1);
    batches.seek({ epoch: 3, batch: 2 ** 40 - 2 });
    const { tokens, targets } = batches.next();
    expect(targets[7]).toBe((tokens[0] + 8) % 2 ** 31);
    expect(batches.position()).toEqual({ epoch: 4, batch: 0 });
  });

  it('are cut without copies', () => {
    const slice = sliceTokens(arraySource(range(10)), 3, 7);
    expect(slice.length).toBe(4);
    expect([...firstTokens(slice, 9)]).toEqual([3, 4, 5, 6]);
    expect(sliceTokens(slice, 4).length).toBe(0);
    expect(sliceTokens(slice, 5).length).toBe(0);
    expect(sliceTokens({ ...far(9), identity: 'a' }, 1, 2).identity).not.toBe(
      sliceTokens({ ...far(9), identity: 'a' }, 1, 3).identity,
    );
  });

  it('are joined', () => {
    const parts = [range(3), range(0), range(5), range(1)];
    const joined = joinTokens(parts.map(arraySource));
    const whole = parts.flatMap((part) => [...part]);
    expect(joined.length).toBe(9);
    for (let start = 0; start <= 9; start++) {
      for (let end = start; end <= 9; end++) {
        const into = new Int32Array(end - start).fill(-1);
        joined.read(start, into);
        expect([...into]).toEqual(whole.slice(start, end));
      }
    }
  });

  it('are repeated by their weights', () => {
    const read = (source: TokenSource): number[] => [...firstTokens(source, source.length)];
    const [one, other] = [arraySource(range(4)), arraySource(Int32Array.of(7, 8, 9))];
    expect(read(weighTokens([one, other], [1, 1]))).toEqual([0, 1, 2, 3, 7, 8, 9, 7]);
    expect(read(weighTokens([one, other], [1, 2]))).toEqual([0, 1, 2, 3, 7, 8, 9, 7, 8, 9, 7, 8]);
    expect(read(weighTokens([one, other], [4, 1]))).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 7, 8, 9]);
    const window = new Int32Array(5);
    weighTokens([one, other], [1, 2]).read(6, window);
    expect([...window]).toEqual([9, 7, 8, 9, 7]);
    expect(() => weighTokens([one, arraySource([])], [1, 1])).toThrow(/source 2 has no tokens/);
  });

  it('are checked', () => {
    for (const wrong of [undefined, null, 5, [1, 2], {}, { length: 3 }, { length: -1, read: () => {} }]) {
      expect(() => tokenSource(wrong as unknown as TokenSource, 'train')).toThrow(
        /^train: expected an Int32Array/,
      );
    }
    expect(() => tokenSource(Int32Array.of(1, -1), 'train')).toThrow(/^train: position 1/);
  });
});
