import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { invalidUtf8, wholeCharacters } from './utf8.ts';

/** Bytes that are nearly UTF-8: characters, cut and changed. */
const nearly = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 3 }).map((text) => [...new TextEncoder().encode(text)]),
      fc.constantFrom([0xc0, 0x80], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x80, 0x80, 0x80]),
      fc.constantFrom([0xf4, 0x90, 0x80, 0x80], [0xf5], [0xe2, 0x82], [0xf0, 0x9f, 0x98], [0x80], [0xff]),
    ),
    { maxLength: 6 },
  )
  .map((parts) => Uint8Array.from(parts.flat()));

const decode = (bytes: Uint8Array): string =>
  new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);

describe('UTF-8', () => {
  it('is told from other bytes where TextDecoder does', () => {
    fc.assert(
      fc.property(nearly, (bytes) => {
        const at = invalidUtf8(bytes);
        expect(() => decode(bytes.subarray(0, at))).not.toThrow();
        for (let end = at + 1; end <= Math.min(at + 4, bytes.length); end++) {
          expect(() => decode(bytes.subarray(0, end))).toThrow();
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('is cut before a character that is not at its end', () => {
    const text = new TextEncoder().encode('aé€😀');
    const ends = Array.from(text, (_, length) => wholeCharacters(text.subarray(0, length)));
    expect(ends).toEqual([0, 1, 1, 3, 3, 3, 6, 6, 6, 6]);
    expect(wholeCharacters(text)).toBe(text.length);
  });
});
