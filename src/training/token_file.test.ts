import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SubwordTokenizer } from '../data/subword/subword_tokenizer.ts';
import type { Document } from '../data/text.ts';
import { firstTokens, type TokenSource, tokenSource } from '../data/token_source.ts';
import { ByteTokenizer, DOCUMENT, encodeParts, type Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import { mutatedBytes } from '../testing/mutate.ts';
import { readTokens, tokenizerOfFiles } from './token_corpus.ts';
import { isTokenFile, TokenFile } from './token_file.ts';
import { writeTokenFile } from './write_token_file.ts';

let place: string;
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'xlstm-tokens-'));
});
afterEach(() => rm(place, { recursive: true }));

async function* stream(documents: readonly Document[]): AsyncGenerator<Document> {
  yield* documents;
}

const texts = (...all: string[]): Document[] => all.map((text, i) => ({ name: `${i}`, text }));
const bytes = new ByteTokenizer();
const documentBytes = new ByteTokenizer([DOCUMENT]);

async function written(
  documents: readonly Document[],
  tokenizer: Tokenizer = bytes,
  name = 'a.tokens',
): Promise<string> {
  const path = join(place, name);
  await writeTokenFile(path, tokenizer, stream(documents));
  return path;
}

const everything = (source: TokenSource): number[] => [...firstTokens(source, source.length)];

describe('a token file', () => {
  it('holds the tokens of texts and where documents start, for any texts', async () => {
    const parts = fc.array(fc.record({ text: fc.string({ unit: 'binary' }), goesOn: fc.boolean() }), {
      minLength: 1,
    });
    await fc.assert(
      fc.asyncProperty(parts, fc.boolean(), async (drawn, marked) => {
        const tokenizer = marked ? documentBytes : bytes;
        const documents = drawn.map(({ text, goesOn }, i) => ({
          name: '',
          text,
          ...(goesOn && i > 0 && { continues: true as const }),
        }));
        const expected = encodeParts(tokenizer, documents);
        fc.pre(expected.length >= 2);
        const file = new TokenFile(await written(documents, tokenizer));
        try {
          expect(everything(file)).toEqual([...expected]);
          const starts: number[] = [];
          for (const [i, { continues }] of documents.entries()) {
            if (!continues) starts.push(encodeParts(tokenizer, documents.slice(0, i)).length);
          }
          expect(file.facts.documents).toBe(starts.length);
          const found = new Float64Array(starts.length);
          file.documents.read(0, found);
          expect([...found]).toEqual(starts);
          file.verify();
          expect((await file.tokenizer()).toJSON()).toEqual(tokenizer.toJSON());
        } finally {
          file.close();
        }
      }),
      { numRuns: 40 },
    );
  });

  it('has 32 bits for a token of more than 65536', async () => {
    const many = { ...bytes, vocabSize: 70_000, specials: new Map(), toJSON: () => bytes.toJSON() };
    const tokenizer = { ...many, encode: () => Int32Array.of(69_999, 0, 65_536) } as unknown as Tokenizer;
    const file = new TokenFile(await written(texts('x'), tokenizer));
    expect(file.facts.dtype).toBe('u32');
    expect(everything(file)).toEqual([69_999, 0, 65_536]);
    file.close();
  });

  it('brings a tokenizer of subwords along, and knows it again', async () => {
    const url = new URL('../../test/golden/tokenizers/byte_level.json', import.meta.url);
    const tokenizer = await SubwordTokenizer.create(JSON.parse(readFileSync(url, 'utf8')));
    const path = await written(texts('Two words.'), tokenizer);
    const again = await tokenizerOfFiles([path]);
    expect([...(again?.encode('Two words.') ?? [])]).toEqual([...tokenizer.encode('Two words.')]);
    for (const known of [tokenizer, again as Tokenizer]) {
      const { train, close } = await readTokens(known, [path], '', { validationShare: 0 });
      expect(everything(tokenSource(train))).toEqual([...encodeParts(tokenizer, texts('Two words.'))]);
      close?.();
    }
  });

  it('is not left half written where texts fail', async () => {
    async function* failing(): AsyncGenerator<Document> {
      yield { name: '', text: 'some text' };
      throw new XlstmError('data', 'no more');
    }
    await expect(writeTokenFile(join(place, 'a'), bytes, failing())).rejects.toThrow('no more');
    await expect(written(texts('x'))).rejects.toThrow('expected texts of at least 2 tokens, found 1');
    expect(await readdir(place)).toEqual([]);
  });
});

describe('bad token files', () => {
  it('that are cut off anywhere are one clear error', async () => {
    const path = await written(texts('some text', 'and more'));
    const whole = await readFile(path);
    for (let length = 8; length < whole.length; length++) {
      await truncate(path, length);
      expect(() => new TokenFile(path), `${length}`).toThrow(
        /a\.tokens: the token file is (cut off|damaged)/,
      );
      await writeFile(path, whole);
    }
    await writeFile(path, 'some text');
    expect(isTokenFile(path)).toBe(false);
    expect(() => new TokenFile(path)).toThrow('expected a token file, found another');
    expect(() => new TokenFile(join(place, 'none'))).toThrow('there is no such file');
  });

  it('that are damaged anywhere are one clear error, or are found by their digest', async () => {
    const path = await written(texts('some text', 'and more'), documentBytes);
    const whole = new Uint8Array(await readFile(path));
    await fc.assert(
      fc.asyncProperty(mutatedBytes(fc.constant(whole)), async (damaged) => {
        await writeFile(path, damaged);
        try {
          const file = new TokenFile(path);
          try {
            file.verify();
            expect(everything(file)).toHaveLength(file.length);
            file.documents.read(0, new Float64Array(file.documents.count));
          } finally {
            file.close();
          }
        } catch (error) {
          expect(error).toBeInstanceOf(XlstmError);
          expect((error as XlstmError).message).toContain('a.tokens: ');
        }
      }),
    );
  });

  it('that change while they are read are refused; those that are replaced stay as they were', async () => {
    const path = await written(texts('some text'));
    const file = new TokenFile(path);
    await rename(await written(texts('other text'), bytes, 'b.tokens'), path);
    expect(bytes.decode(everything(file))).toBe('some text');
    file.close();
    expect(() => everything(file)).toThrow('is closed');
    const other = new TokenFile(path);
    await utimes(path, 1, 1);
    expect(() => everything(other)).toThrow(/changed while it was read: \d+ bytes as before, but written to/);
    await truncate(path, 20);
    expect(() => everything(other)).toThrow(/changed while it was read: \d+ bytes before, 20 now/);
    other.close();
  });

  it('of another tokenizer are refused', async () => {
    const path = await written(texts('some text'));
    await expect(readTokens(documentBytes, [path], '', {})).rejects.toThrow(
      /a\.tokens: its tokens are of another tokenizer: one of 256 tokens .* expected that of the model, 257 tokens/,
    );
  });

  it('beside texts are refused', async () => {
    const path = await written(texts('some text'));
    await writeFile(join(place, 'b.txt'), 'text');
    await expect(readTokens(bytes, [path, join(place, 'b.txt')], '', {})).rejects.toThrow(
      /expected token files alone, or texts alone, found the token file .*a\.tokens and .*b\.txt/,
    );
  });
});

describe('what is held out of token files', () => {
  const parts = async (files: string[], validationShare: number): Promise<string[]> => {
    const { train, validation, close } = await readTokens(bytes, files, '', { validationShare });
    const found = [train, validation].map((part) => bytes.decode(everything(tokenSource(part))));
    close?.();
    return found;
  };

  it('begins with a document where one is near', async () => {
    const path = await written(texts('a'.repeat(81), 'b'.repeat(10), 'c'.repeat(9)));
    expect(await parts([path], 0.2)).toEqual(['a'.repeat(81), 'b'.repeat(10) + 'c'.repeat(9)]);
    expect(await parts([path], 0.1)).toEqual(['a'.repeat(81) + 'b'.repeat(10), 'c'.repeat(9)]);
    expect(await parts([path], 0.5)).toEqual([
      'a'.repeat(50),
      'a'.repeat(31) + 'b'.repeat(10) + 'c'.repeat(9),
    ]);
    expect(await parts([path], 0)).toEqual(['a'.repeat(81) + 'b'.repeat(10) + 'c'.repeat(9), '']);
    const second = await written(texts('d'.repeat(40), 'e'.repeat(20)), bytes, 'b.tokens');
    expect((await parts([path, second], 0.15))[1]).toBe('e'.repeat(20));
    expect((await parts([path, second], 0.5))[1]).toBe(
      'b'.repeat(10) + 'c'.repeat(9) + 'd'.repeat(40) + 'e'.repeat(20),
    );
  });

  it('may be a file, or a text, of its own', async () => {
    const path = await written(texts('some text'));
    const other = await written(texts('to measure'), bytes, 'b.tokens');
    await writeFile(join(place, 'b.txt'), 'text');
    for (const [data, validation] of [
      [path, other],
      [path, join(place, 'b.txt')],
      [join(place, 'b.txt'), other],
    ]) {
      const found = await readTokens(bytes, [data], '', { validation: [validation] });
      const known: Record<string, string> = { [path]: 'some text', [other]: 'to measure' };
      expect(bytes.decode(everything(tokenSource(found.train)))).toBe(known[data] ?? 'text');
      expect(bytes.decode(everything(tokenSource(found.validation)))).toBe(known[validation] ?? 'text');
      found.close?.();
    }
  });
});
