import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrayIndex, type DocumentIndex } from './document_index.ts';
import { findDocuments, ShuffledDocuments } from './shuffled_documents.ts';
import {
  arraySource,
  firstTokens,
  joinTokens,
  sliceTokens,
  type TokenSource,
  weighTokens,
} from './token_source.ts';

const START = 9;

/** Documents, each with its start; the first token may lie in one that began before. */
const drawn = fc
  .tuple(fc.boolean(), fc.array(fc.array(fc.nat(8), { maxLength: 4 }), { minLength: 1, maxLength: 60 }))
  .map(([cut, documents]) => documents.flatMap((tokens) => [START, ...tokens]).slice(cut ? 1 : 0))
  .filter((tokens) => tokens.length > 0);

const known = (tokens: readonly number[]): TokenSource => {
  const source = arraySource(tokens);
  return { ...source, documents: findDocuments(source, START) };
};

const startsOf = (index: DocumentIndex | undefined): number[] => {
  const starts = new Float64Array(index?.count ?? 0);
  index?.read(0, starts);
  return [...starts];
};

/** In pieces, too: as `read` of a source. */
function expectIndex(source: TokenSource, expected: readonly number[]): void {
  const { documents } = source;
  expect(startsOf(documents)).toEqual(expected);
  for (let first = 0; first < expected.length; first += 3) {
    const piece = new Float64Array(Math.min(3, expected.length - first));
    documents?.read(first, piece);
    expect([...piece]).toEqual(expected.slice(first, first + 3));
  }
}

const foundIn = (source: TokenSource): number[] => startsOf(findDocuments(source, START));

describe('the index of documents', () => {
  it('is that of the tokens, of parts, of sources one after another and of repeated ones', () => {
    fc.assert(
      fc.property(
        drawn,
        drawn,
        fc.nat(60),
        fc.nat(60),
        fc.integer({ min: 1, max: 5 }),
        (a, b, from, to, weight) => {
          const [one, other] = [known(a), known(b)];
          expect(foundIn(one)).toEqual(a.flatMap((token, i) => (token === START || i === 0 ? [i] : [])));
          const slice = sliceTokens(one, Math.min(from, a.length), to);
          expectIndex(slice, foundIn(slice));
          // Where one source goes over into another, a document ends.
          const joined = joinTokens([one, other]);
          expectIndex(joined, [...foundIn(one), ...foundIn(other).map((at) => at + a.length)]);
          const weighed = weighTokens([one, other], [weight, 1]);
          const whole = firstTokens(weighed, weighed.length);
          const first = Math.round(Math.max(a.length / weight, b.length) * weight);
          const borders = (length: number, period: number, at: number): number[] =>
            Array.from({ length: Math.ceil(length / period) }, (_, i) => at + i * period);
          const expected = new Set([
            ...[...whole.keys()].filter((i) => whole[i] === START),
            ...borders(first, a.length, 0),
            ...borders(whole.length - first, b.length, first),
          ]);
          expectIndex(
            weighed,
            [...expected].sort((x, y) => x - y),
          );
        },
      ),
    );
  });

  it('is unknown where one of the sources does not know it', () => {
    const plain = arraySource([START, 1]);
    expect(joinTokens([known([START]), plain]).documents).toBeUndefined();
    expect(sliceTokens(plain, 0, 1).documents).toBeUndefined();
  });
});

describe('ShuffledDocuments', () => {
  it('has every document once, whole, and the same tokens however they are read', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(5), { minLength: 1, maxLength: 80 }),
        fc.nat(),
        fc.nat(40),
        (lengths, seed, from) => {
          // The tokens of document i are all i.
          const tokens = lengths.flatMap((length, i) => Array.from({ length }, () => i));
          const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, each) => sum + each, 0));
          const shuffled = new ShuffledDocuments(arraySource(tokens), arrayIndex(starts), seed);
          expect(shuffled.length).toBe(tokens.length);
          const all = firstTokens(shuffled, tokens.length);
          const runs = [...all].filter((token, i) => i === 0 || all[i - 1] !== token);
          expect(new Set(runs).size).toBe(runs.length);
          expect([...all].sort((a, b) => a - b)).toEqual(tokens);
          const part = new Int32Array(Math.max(0, Math.min(7, tokens.length - from)));
          shuffled.read(from, part);
          expect([...part]).toEqual([...all.subarray(from, from + 7)]);
        },
      ),
    );
  });

  it('is in the same order for the same seed, in another for another', () => {
    const tokens = Int32Array.from({ length: 50 }, (_, i) => i);
    const order = (seed: number): string =>
      firstTokens(new ShuffledDocuments(arraySource(tokens), arrayIndex(tokens), seed), 50).join();
    expect(order(1)).toBe(order(1));
    expect(new Set([1, 2, 3, 4].map(order)).size).toBe(4);
  });
});
