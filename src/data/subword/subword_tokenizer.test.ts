import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { startToken } from '../tokenizer.ts';
import { createTokenizer } from '../tokenizer_registry.ts';
import { SubwordTokenizer } from './subword_tokenizer.ts';
import { WORD_SPLITTER } from './words.ts';

const golden = new URL('../../../test/golden/tokenizers/', import.meta.url);
const read = (name: string) => JSON.parse(readFileSync(new URL(`${name}.json`, golden), 'utf8'));
const expected: Record<string, { text: string; ids: number[]; decoded: string }[]> = read('expected');

const streamed = (tokenizer: SubwordTokenizer, ids: Iterable<number>): string => {
  const decoder = tokenizer.decoder();
  return [...ids].map((id) => decoder.push(id)).join('') + decoder.flush();
};

describe('SubwordTokenizer', () => {
  it.each(Object.keys(expected))("gives the ids and texts of Python's tokenizers: %s", async (name) => {
    const tokenizer = await SubwordTokenizer.create(read(name));
    for (const { text, ids, decoded } of expected[name]) {
      expect([...tokenizer.encode(text)], text).toEqual(ids);
      expect(tokenizer.decode(ids), text).toBe(decoded);
      // A stream goes on in a text, so that its first word keeps its space.
      expect([decoded, ` ${decoded}`], text).toContain(streamed(tokenizer, ids));
    }
  });

  it('decodes what it encoded, whole and streamed', async () => {
    const tokenizer = await SubwordTokenizer.create(read('byte_level'));
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const ids = tokenizer.encode(text);
        expect(tokenizer.decode(ids)).toBe(text);
        expect(streamed(tokenizer, ids)).toBe(text);
      }),
    );
  });

  it('streams any ids as it decodes them whole', async () => {
    for (const name of ['byte_level', 'neox']) {
      const tokenizer = await SubwordTokenizer.create(read(name));
      const id = fc.nat(tokenizer.vocabSize - 1);
      fc.assert(
        fc.property(fc.array(id, { maxLength: 40 }), (ids) => {
          expect(streamed(tokenizer, ids)).toBe(tokenizer.decode(ids));
        }),
      );
    }
  });

  it('gives a character with its last byte, never a part of it', async () => {
    for (const name of ['byte_level', 'llama']) {
      const tokenizer = await SubwordTokenizer.create(read(name));
      const decoder = tokenizer.decoder();
      const pieces = [...tokenizer.encode('a😀b')].map((id) => decoder.push(id));
      expect(pieces.slice(-5), name).toEqual(['', '', '', '😀', 'b']);
    }
  });

  it('never makes special tokens from text, and spells them when decoding', async () => {
    const tokenizer = await SubwordTokenizer.create(read('byte_level'));
    expect([...tokenizer.specials]).toEqual([
      ['<|endoftext|>', 0],
      ['<|padding|>', 1],
    ]);
    expect(Math.min(...tokenizer.encode('a<|endoftext|>'))).toBeGreaterThan(1);
    expect(tokenizer.decode([0, ...tokenizer.encode('a')])).toBe('<|endoftext|>a');
  });

  it('starts a text as the model, or else the files say', async () => {
    const start = async (name: string, options = {}): Promise<number | undefined> =>
      startToken(await SubwordTokenizer.create(read(name), options));
    expect(await start('byte_level')).toBeUndefined();
    expect(await start('byte_level', { start: 0 })).toBe(0);
    expect(await start('llama')).toBe(1);
    expect(await start('byte_level', { config: { bos_token: '<|padding|>', add_bos_token: true } })).toBe(1);
    const named = { bos_token: { content: '<|padding|>' }, add_bos_token: false };
    expect(await start('byte_level', { config: named })).toBeUndefined();
  });

  it('ends a text with special tokens alone', async () => {
    const ends = async (options: object): Promise<number[]> => [
      ...(await SubwordTokenizer.create(read('byte_level'), options)).ends,
    ];
    expect(await ends({})).toEqual([]);
    expect(await ends({ ends: [0, 2] })).toEqual([0]);
    expect(await ends({ config: { eos_token: '<|endoftext|>' }, ends: [1] })).toEqual([1, 0]);
  });

  const anyBytes = fc
    .array(
      fc.oneof(
        fc.uint8Array({ maxLength: 12 }),
        fc.string({ unit: 'binary', maxLength: 12 }).map((text) => new TextEncoder().encode(text)),
        fc
          .constantFrom('e\u0301', '\ufeff', ' a', '        ', '\ufffd', '<|endoftext|>')
          .map((text) => new TextEncoder().encode(text)),
      ),
      { maxLength: 8 },
    )
    .map((parts) => Uint8Array.from(parts.flatMap((part) => [...part])));

  it.each<[string, (json: ReturnType<typeof read>) => object]>([
    ['byte_level', (json) => json],
    ['byte_level', (json) => ({ ...json, pre_tokenizer: WORD_SPLITTER })],
    ['byte_level', (json) => ({ ...json, pre_tokenizer: { ...json.pre_tokenizer, add_prefix_space: true } })],
    ['neox', (json) => json],
  ])('gives any bytes back: %s, %#', async (name, change) => {
    const tokenizer = await SubwordTokenizer.create(change(read(name)));
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        expect(tokenizer.decodeBytes(tokenizer.encodeBytes(bytes))).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });

  it('encodes the bytes of a text as the text', async () => {
    const tokenizer = await SubwordTokenizer.create(read('neox'));
    const text = 'The whale, the whale!\n        ¿ whale 😀';
    const utf8 = new TextEncoder().encode(text);
    const ids = tokenizer.encode(text);
    expect(tokenizer.encodeBytes(utf8)).toEqual(ids);
    expect(ids.length).toBeLessThan(utf8.length);
    // Two texts with a byte between that is none: as long as both.
    const broken = tokenizer.encodeBytes(Uint8Array.of(...utf8, 0xff, ...utf8));
    expect(broken.length).toBe(2 * ids.length + 1);
    expect(tokenizer.decode(broken)).toBe(`${text}\ufffd${text}`);
  });

  it('says which tokenizer has no bytes, and which byte has no token', async () => {
    const llama = await SubwordTokenizer.create(read('llama'));
    expect(() => llama.encodeBytes(Uint8Array.of(65))).toThrow(
      'encodeBytes: expected a tokenizer with tokens',
    );
    expect(() => llama.decodeBytes([1])).toThrow('decodeBytes: expected a tokenizer with tokens for bytes');
    const { model, ...others } = read('byte_level');
    const { ÿ: _, ...vocab } = model.vocab;
    const holed = await SubwordTokenizer.create({ ...others, model: { ...model, vocab } });
    expect(() => holed.encodeBytes(Uint8Array.of(0xff))).toThrow('found 0xff, which has none');
    expect(() => holed.encodeBytes('a' as never)).toThrow('encodeBytes: expected a Uint8Array, found "a"');
    expect(() => holed.decodeBytes([holed.vocabSize])).toThrow('token ids of this tokenizer are 0 to');
  });

  it('refuses ids outside the vocabulary, and what has no token', async () => {
    const tokenizer = await SubwordTokenizer.create(read('byte_level'));
    expect(() => tokenizer.decode([360])).toThrow('token ids of this tokenizer are 0 to 359, found 360');
    expect(() => tokenizer.encode(7 as never)).toThrow('encode: expected a text');
    const { model, ...rest } = read('words');
    const closed = await SubwordTokenizer.create({ ...rest, model: { ...model, unk_token: null } });
    expect(() => closed.encode('zzzz')).toThrow('no token for');
    const { model: bytes, ...others } = read('byte_level');
    // The first byte of é.
    const { Ã: _, ...lacking } = bytes.vocab;
    const holed = await SubwordTokenizer.create({
      ...others,
      model: {
        ...bytes,
        vocab: lacking,
        merges: bytes.merges.filter((pair: unknown) => !String(pair).includes('Ã')),
      },
    });
    expect(holed.decode(holed.encode('cafe'))).toBe('cafe');
    expect(() => holed.encode('café')).toThrow('no token for');
  });

  it('says which file and key is not right', async () => {
    const good = read('byte_level');
    const { model } = good;
    const template = (single: unknown): object => ({
      type: 'TemplateProcessing',
      single,
      special_tokens: {},
    });
    const cases: [object, string][] = [
      [{ ...good, model: 7 }, 'x/tokenizer.json: model: expected an object, found 7'],
      [{ ...good, model: { ...model, type: 'Markov' } }, 'model.type: expected one of BPE, '],
      [{ ...good, model: { ...model, vocab: [] } }, 'model.vocab: expected ids by token'],
      [
        { ...good, model: { ...model, vocab: { a: 0, b: 0 } } },
        'model.vocab["b"]: expected an id that is not',
      ],
      [{ ...good, model: { ...model, vocab: { a: -1 } } }, 'model.vocab["a"]: expected a token id, found -1'],
      [{ ...good, model: { ...model, merges: ['a b c'] } }, 'model.merges[0]: expected two tokens'],
      [{ ...good, pre_tokenizer: { type: 'Magic' } }, 'pre_tokenizer.type: expected one of Bert'],
      [
        { ...good, pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits' }, 3] } },
        'pre_tokenizer.pretokenizers[1].type: expected one of',
      ],
      [
        { ...good, pre_tokenizer: { type: 'Split', pattern: { Regex: ' ' }, behavior: 'MergedWithNext' } },
        'pre_tokenizer.behavior: expected one of Isolated, Removed, found "MergedWithNext"',
      ],
      [
        { ...good, pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } },
        'x/tokenizer.json: expected a tokenizer that can be run',
      ],
      [{ ...good, model: { ...model, unk_token: '<nope>' } }, 'model.unk_token: expected a token of the voc'],
      [{ ...good, post_processor: template(7) }, 'post_processor.single: expected a list, found 7'],
      [
        { ...good, post_processor: template([{ SpecialToken: { id: '<s>' } }]) },
        'x/tokenizer.json: post_processor: before a text: expected a token of the vocabulary, found "<s>"',
      ],
      [{ ...good, added_tokens: [{ id: 'a', content: 'b' }] }, 'added_tokens[0].id: expected a token id'],
    ];
    for (const [json, problem] of cases) {
      const made = SubwordTokenizer.create(json, { source: 'x/tokenizer.json' });
      await expect(made, problem).rejects.toMatchObject({
        code: 'config',
        message: expect.stringContaining(problem),
      });
    }
    const config = SubwordTokenizer.create(good, { source: 'x/tokenizer.json', config: 3 });
    await expect(config).rejects.toThrow('x/tokenizer_config.json: expected an object, found 3');
    const bos = { bos_token: '<s>', add_bos_token: true };
    await expect(SubwordTokenizer.create(good, { source: 'x/tokenizer.json', config: bos })).rejects.toThrow(
      'x/tokenizer_config.json: bos_token: expected a token of the vocabulary, found "<s>"',
    );
    expect((await SubwordTokenizer.create(good, { config: bos, start: 1 })).start).toBe(1);
    expect(() => createTokenizer(good)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('SubwordTokenizer.create') }),
    );
  });
});
