import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeText, type PlacedDocument, type Position } from './text_pieces.ts';
import { ByteTokenizer, DOCUMENT, encodeDocuments, encodeParts } from './tokenizer.ts';

type Placed = PlacedDocument & { readonly next: Position };

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const all = async (bytes: Uint8Array, size: number, most: number, from = 0): Promise<Placed[]> => {
  const found: Placed[] = [];
  for await (const piece of decodeText('t', chunksOf(bytes, size), most, from)) found.push(piece);
  return found;
};

describe('decodeText', () => {
  it('gives the text in pieces that cut no character, whatever the chunks', async () => {
    const texts = fc.string({
      unit: fc.constantFrom('a', ' ', '\n', 'é', '€', '😀', '\ufffd'),
      minLength: 1,
    });
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 2, max: 30 }),
        async (text, size, most) => {
          const pieces = await all(new TextEncoder().encode(text), size, most);
          expect(pieces.map((piece) => piece.text).join('')).toBe(text);
          expect(pieces.map(({ continues }) => continues ?? false)).toEqual(pieces.map((_, i) => i > 0));
          for (const piece of pieces) {
            expect(piece.text.length).toBeLessThanOrEqual(most);
            expect(new TextDecoder().decode(new TextEncoder().encode(piece.text))).toBe(piece.text);
          }
          const marked = new TextEncoder().encode(`\ufeff${text}`);
          for (const bytes of [marked, marked.subarray(3)]) {
            const placed = await all(bytes, size, most);
            for (const [i, { next }] of placed.entries())
              expect(await all(bytes.subarray(next.byte), size, most, next.byte)).toEqual(
                placed.slice(i + 1),
              );
          }
          const tokenizer = new ByteTokenizer([DOCUMENT]);
          expect(encodeParts(tokenizer, pieces)).toEqual(encodeDocuments(tokenizer, [text]));
        },
      ),
    );
  });

  it('cuts at the ends of lines, between two words where it can', async () => {
    const cuts = async (text: string, most: number): Promise<string[]> =>
      (await all(new TextEncoder().encode(text), 100, most)).map((piece) => piece.text);
    expect(await cuts('one two\nthree\n\nfour', 14)).toEqual(['one two\n', 'three\n\nfour']);
    expect(await cuts('one two three\n\nfour', 14)).toEqual(['one two three\n', '\nfour']);
    expect(await cuts('a\nbcdefghij', 6)).toEqual(['a\nbcde', 'fghij']);
  });

  it('finds what is no text also far behind the beginning, before it has read all', async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield new TextEncoder().encode('a'.repeat(100_000));
      for (;;) yield new Uint8Array(100_000).fill(0xe9);
    }
    const read = async (): Promise<void> => {
      for await (const _ of decodeText('t', endless(), 1000));
    };
    await expect(read()).rejects.toThrow('t: expected UTF-8, found the byte 0xe9 at 100000, which is no');
  });

  it('says where the first byte is that is no text, whatever the chunks', async () => {
    const characters = fc.string({
      unit: fc.constantFrom('a', 'é', '€', '😀', '\ufffd', '\ufeff'),
      maxLength: 9,
    });
    const wrong = fc.constantFrom(
      [0xff],
      [0x80],
      [0xc3],
      [0xe2, 0x82],
      [0xf0, 0x9f, 0x98],
      [0xed, 0xa0, 0x80],
    );
    await fc.assert(
      fc.asyncProperty(
        characters,
        wrong,
        characters,
        fc.integer({ min: 1, max: 9 }),
        async (a, bad, b, size) => {
          const before = new TextEncoder().encode(a);
          const bytes = Uint8Array.of(...before, ...bad, ...new TextEncoder().encode(b));
          await expect(all(bytes, size, 30)).rejects.toMatchObject({
            code: 'data',
            message: expect.stringContaining(` at ${before.length}, which is no part of a character`),
          });
        },
      ),
    );
  });
});
