import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeTexts } from './encoded_tokens.ts';
import { firstTokens, type TokenSource } from './token_source.ts';
import { ByteTokenizer, DOCUMENT, encodeParts, type Tokenizer } from './tokenizer.ts';

const all = (source: TokenSource): number[] => [...firstTokens(source, source.length)];
const bytes = new ByteTokenizer();

/** One that gives these ids for any text. */
const giving = (vocabSize: number, ...ids: number[]): Tokenizer =>
  ({ vocabSize, specials: new Map(), encode: () => Int32Array.from(ids) }) as unknown as Tokenizer;

describe('encodeTexts', () => {
  it('gives the tokens of encodeParts', () => {
    const parts = fc.array(fc.record({ text: fc.string({ unit: 'binary' }), continues: fc.boolean() }));
    fc.assert(
      fc.property(parts, fc.boolean(), (drawn, marked) => {
        const tokenizer = new ByteTokenizer(marked ? [DOCUMENT] : []);
        const texts = drawn.map(({ text, continues }) => ({
          text,
          ...(continues && { continues: true as const }),
        }));
        expect(all(encodeTexts(tokenizer, texts))).toEqual([...encodeParts(tokenizer, texts)]);
      }),
    );
  });

  it('goes over the ends of its blocks', () => {
    const text = 'abcdefg'.repeat(350_000);
    const source = encodeTexts(bytes, [{ text }]);
    expect(source.length).toBe(text.length);
    for (const start of [0, 2 ** 20 - 3, 2 ** 21 - 1, text.length - 9]) {
      const found = new Int32Array(9);
      source.read(start, found);
      expect(bytes.decode(found)).toBe(text.slice(start, start + 9));
    }
    expect(all(source)).toEqual([...bytes.encode(text)]);
  });

  it('holds ids of more than 16 bits, and refuses those that the tokenizer does not have', () => {
    expect(all(encodeTexts(giving(70_000, 69_999, 0, 65_536), [{ text: '' }]))).toEqual([69_999, 0, 65_536]);
    for (const id of [-1, 5, 65_536]) {
      expect(() => encodeTexts(giving(5, 1, id), [{ text: '' }])).toThrow(
        `the tokenizer gave the token ${id}, of 5 that it says it has`,
      );
    }
  });
});
