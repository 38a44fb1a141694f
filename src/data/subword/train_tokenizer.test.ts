import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOfToken } from './byte_alphabet.ts';
import { SubwordTokenizer } from './subword_tokenizer.ts';
import { type TokenizerProgress, trainTokenizer } from './train_tokenizer.ts';

interface Case {
  readonly text: string;
  readonly vocabSize: number;
  readonly specials: readonly string[];
  readonly tokens: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
  readonly ids: readonly number[];
}
const golden = new URL('../../../test/golden/tokenizers/trained.json', import.meta.url);
const cases: readonly Case[] = JSON.parse(readFileSync(golden, 'utf8'));

// biome-ignore lint/suspicious/noExplicitAny: of foreign origin
const jsonOf = (tokenizer: SubwordTokenizer): any => tokenizer.toJSON().tokenizer;
interface Library {
  encode(text: string): { readonly ids: number[] };
}
const tokensOf = (tokenizer: SubwordTokenizer): string[] =>
  Object.entries<number>(jsonOf(tokenizer).model.vocab)
    .sort(([, a], [, b]) => a - b)
    .map(([token]) => token);

/** Characters whose splitting differs between programs, and whose bytes are merged across characters. */
const unit = fc.oneof(
  fc.constantFrom('a', 'b', ' ', ' ', '\n', "'s", '\u0085', '\ufeff', '\u00a0', 'é', '日', '😀', '1', '.'),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
);
const anyText = fc.string({ unit, maxLength: 200 });

describe('trainTokenizer', () => {
  it.each(cases.map((one, index) => [index, one] as const))(
    "finds what Python's tokenizers finds: %i",
    async (_, one) => {
      const { text, vocabSize, specials, tokens, merges, ids } = one;
      const trained = await trainTokenizer([text], { vocabSize, specials });
      expect(tokensOf(trained.tokenizer).slice(256 + specials.length)).toEqual(tokens);
      expect(jsonOf(trained.tokenizer).model.merges).toEqual(merges);
      expect([...trained.tokenizer.encode(text)]).toEqual(ids);
      expect(trained.tokens).toBe(ids.length);
      expect(trained.bytes).toBe(new TextEncoder().encode(text).length);
    },
  );

  it('has a token for every byte, special tokens first', async () => {
    const { tokenizer } = await trainTokenizer(['aaa aaa'], { vocabSize: 300, specials: ['<|a|>', '<|b|>'] });
    const tokens = tokensOf(tokenizer);
    expect(tokens.slice(0, 2)).toEqual(['<|a|>', '<|b|>']);
    const bytes = tokens.slice(2, 258).map((token) => [...(bytesOfToken(token) ?? [])]);
    expect(bytes.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 256 }, (__, byte) => byte));
    expect([...tokenizer.specials]).toEqual([
      ['<|a|>', 0],
      ['<|b|>', 1],
    ]);
    expect(tokens.slice(258)).toEqual(['aa', 'aaa']);
  });

  it('brings every text back, whatever it was trained on', async () => {
    const { tokenizer } = await trainTokenizer(fc.sample(anyText, { numRuns: 30, seed: 1 }), {
      vocabSize: 600,
    });
    expect(tokenizer.vocabSize).toBeGreaterThan(260);
    fc.assert(
      fc.property(anyText, (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  it('gives the ids that @huggingface/tokenizers gives with its file', async () => {
    const { tokenizer } = await trainTokenizer(fc.sample(anyText, { numRuns: 30, seed: 2 }), {
      vocabSize: 600,
    });
    const library = await import('@huggingface/tokenizers');
    const { Tokenizer } = library as unknown as {
      Tokenizer: new (json: unknown, config: unknown) => Library;
    };
    const theirs = new Tokenizer(JSON.parse(JSON.stringify(jsonOf(tokenizer))), {});
    fc.assert(
      fc.property(anyText, (text) => {
        expect([...tokenizer.encode(text)]).toEqual(theirs.encode(text).ids);
        expect([...tokenizer.encode(text)]).toEqual(theirs.encode(text).ids);
      }),
      { numRuns: 500 },
    );
  });

  it('gives the same ids where all of a text is encoded by the library', async () => {
    const { tokenizer } = await trainTokenizer([cases[4].text], { vocabSize: 300 });
    const { pre_tokenizer, ...rest } = jsonOf(tokenizer);
    // The same splitting, written in another order, is not taken for it.
    const reordered = { pretokenizers: pre_tokenizer.pretokenizers, type: pre_tokenizer.type };
    const whole = await SubwordTokenizer.create({ ...rest, pre_tokenizer: reordered });
    const long = `${'x'.repeat(3000)} ${cases[4].text.repeat(20_000)}`;
    expect(long.length).toBeGreaterThan(2 ** 20);
    expect(String(tokenizer.encode(long)) === String(whole.encode(long))).toBe(true);
  });

  it('knows no order of the texts, and no piece that it reads at once', async () => {
    const long = `${'one two  three\n\n \tfour '.repeat(100_000)}end`;
    const rest = ` x${cases[2].text}`;
    expect(long.length).toBeGreaterThan(2 ** 21);
    const whole = await trainTokenizer([long + rest], { vocabSize: 300 });
    const parts = await trainTokenizer([rest, long], { vocabSize: 300 });
    expect(jsonOf(whole.tokenizer)).toEqual(jsonOf(parts.tokenizer));
    expect(whole.tokenizer.encode(long + rest).length).toBe(parts.tokens);
  });

  it('takes texts that come one by one as it takes those of an array', async () => {
    const texts = ['one two two ', 'three three\n', 'four four'];
    async function* stream(): AsyncGenerator<string> {
      yield* texts;
    }
    const told: TokenizerProgress[] = [];
    const [whole, streamed] = [
      await trainTokenizer(texts, { vocabSize: 270 }),
      await trainTokenizer(stream(), { vocabSize: 270, onProgress: (progress) => told.push(progress) }),
    ];
    expect(jsonOf(streamed.tokenizer)).toEqual(jsonOf(whole.tokenizer));
    expect([streamed.tokens, streamed.bytes]).toEqual([whole.tokens, whole.bytes]);
    expect(told.slice(0, 3)).toEqual(
      [12, 24, 33].map((done) => ({ stage: 'reading', done, total: undefined })),
    );
  });

  it('says how far it is', async () => {
    const told: TokenizerProgress[] = [];
    const onProgress = (progress: TokenizerProgress): void => void told.push(progress);
    await trainTokenizer(['ab ab', 'abab abab'], { vocabSize: 258, onProgress });
    expect(told).toEqual([
      { stage: 'reading', done: 5, total: 14 },
      { stage: 'reading', done: 14, total: 14 },
      { stage: 'merging', done: 257, total: 258 },
      { stage: 'merging', done: 258, total: 258 },
    ]);
  });

  it('refuses what would be no tokenizer', async () => {
    const refused = (vocabSize: number, specials: string[], message: string): Promise<void> =>
      expect(trainTokenizer(['a'], { vocabSize, specials })).rejects.toMatchObject({
        code: 'usage',
        message: expect.stringContaining(message),
      });
    await refused(256, ['<|a|>'], 'vocabSize: expected a whole number from 257 to 262144, found 256');
    await refused(300, ['<|a|>', '<|a|>'], 'specials: expected distinct, non-empty names');
    await refused(300, [''], 'specials: expected distinct, non-empty names');
    await refused(300, ['the'], 'specials: expected names that no text makes a token of, found "the"');
  });
});
