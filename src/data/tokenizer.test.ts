import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteTokenizer, DOCUMENT, encodeDocuments } from './tokenizer.ts';
import { createTokenizer } from './tokenizer_registry.ts';

const text = fc.string({ unit: 'binary', maxLength: 60 });

describe('ByteTokenizer', () => {
  it('encodes the bytes of UTF-8', () => {
    expect([...new ByteTokenizer().encode('aé€😀')]).toEqual([
      0x61, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80,
    ]);
    expect(new ByteTokenizer().vocabSize).toBe(256);
    expect(new ByteTokenizer([DOCUMENT]).vocabSize).toBe(257);
    expect(new ByteTokenizer([DOCUMENT]).specials.get(DOCUMENT)).toBe(256);
  });

  it('decodes what it encoded, whole and streamed', () => {
    const tokenizer = new ByteTokenizer([DOCUMENT]);
    fc.assert(
      fc.property(text, (original) => {
        const ids = tokenizer.encode(original);
        expect(tokenizer.decode(ids)).toBe(original);
        const decoder = tokenizer.decoder();
        const streamed = [...ids].map((id) => decoder.push(id)).join('');
        expect(streamed).toBe(original);
        expect(decoder.flush()).toBe('');
      }),
    );
  });

  it('gives any bytes back', () => {
    const tokenizer = new ByteTokenizer([DOCUMENT]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(tokenizer.decodeBytes(tokenizer.encodeBytes(bytes))).toEqual(bytes);
      }),
    );
    expect(new TextDecoder().decode(tokenizer.decodeBytes([0x61, 256]))).toBe(`a${DOCUMENT}`);
    expect(() => tokenizer.decodeBytes([257])).toThrow(/0 to 256, found 257/);
    expect(() => tokenizer.encodeBytes('a' as never)).toThrow(
      'encodeBytes: expected a Uint8Array, found "a"',
    );
  });

  it('gives a character of several bytes with its last byte, never a part of it', () => {
    const decoder = new ByteTokenizer().decoder();
    expect([0xf0, 0x9f, 0x98, 0x80, 0x21].map((id) => decoder.push(id))).toEqual(['', '', '', '😀', '!']);
  });

  it('turns an unfinished character into U+FFFD and goes on', () => {
    const decoder = new ByteTokenizer().decoder();
    expect(decoder.push(0xe2)).toBe('');
    expect(decoder.push(0x41)).toBe('\ufffdA');
    expect(decoder.push(0xe2)).toBe('');
    expect(decoder.flush()).toBe('\ufffd');
    expect(decoder.push(0x42)).toBe('B');
  });

  it('keeps a byte order mark', () => {
    const tokenizer = new ByteTokenizer();
    expect(tokenizer.decode(tokenizer.encode('\ufeffa'))).toBe('\ufeffa');
  });

  it('never makes special tokens from text, and spells them when decoding', () => {
    const tokenizer = new ByteTokenizer([DOCUMENT]);
    expect(Math.max(...tokenizer.encode(DOCUMENT))).toBeLessThan(256);
    expect(tokenizer.decode([256, 0x61, 0xe2, 256])).toBe(`${DOCUMENT}a\ufffd${DOCUMENT}`);
  });

  it('refuses ids outside the vocabulary', () => {
    expect(() => new ByteTokenizer().decode([256])).toThrow(/0 to 255, found 256/);
    expect(() => new ByteTokenizer().decode([-1])).toThrow(/found -1/);
    expect(() => new ByteTokenizer().decode([1.5])).toThrow(/found 1.5/);
  });

  it('is rebuilt from its description', () => {
    const tokenizer = createTokenizer(JSON.parse(JSON.stringify(new ByteTokenizer([DOCUMENT, '<|end|>']))));
    expect(tokenizer.specials.get('<|end|>')).toBe(257);
    for (const wrong of [null, {}, { type: 'bpe', specials: [] }, { type: 'byte', specials: [1] }]) {
      expect(() => createTokenizer(wrong, 'tokenizer.json')).toThrow(/tokenizer.json: .*expected .* found/);
    }
    expect(() => new ByteTokenizer(['a', 'a'])).toThrow(/distinct/);
  });
});

describe('encodeDocuments', () => {
  it('starts each document with the document token where there is one', () => {
    expect([...encodeDocuments(new ByteTokenizer([DOCUMENT]), ['ab', '', 'c'])]).toEqual([
      256, 97, 98, 256, 256, 99,
    ]);
    expect([...encodeDocuments(new ByteTokenizer(), ['ab', 'c'])]).toEqual([97, 98, 99]);
  });
});
