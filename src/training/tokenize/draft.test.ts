import { appendFileSync } from 'node:fs';
import { mkdtemp, open, readdir, readFile, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Document } from '../../data/text.ts';
import { ByteTokenizer, DOCUMENT } from '../../data/tokenizer.ts';
import { TokenFile } from '../token_file.ts';
import { tokenizeTexts, writeTokenFile } from '../write_token_file.ts';
import { type DraftSources, partialFolder, TokenDraft } from './draft.ts';
import { encodePart } from './part.ts';
import { PartReader, type PartSource } from './part_reader.ts';

let place: string;
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'xlstm-draft-'));
});
afterEach(() => rm(place, { recursive: true }));

const tokenizer = new ByteTokenizer([DOCUMENT]);

const sourceOf = (documents: readonly Document[]): PartSource => ({
  bytes: 1,
  async *read(onBytes) {
    yield* documents;
    onBytes(1);
  },
});

const marks = (count: number): DraftSources => ({
  field: null,
  texts: Array.from({ length: count }, (_, i) => ({ name: `${i}.txt`, bytes: 1, modifiedMs: 1 })),
});

/** Works until so many parts are written, then ends as a process that is killed does. */
async function work(path: string, sources: readonly PartSource[], parts: number): Promise<void> {
  const draft = await TokenDraft.open(path, tokenizer, marks(sources.length), 0);
  try {
    let written = 0;
    for await (const { documents, after } of new PartReader(sources, draft.place, 3).parts()) {
      if (written++ === parts) return;
      await draft.append(encodePart(tokenizer, documents), after);
    }
    await draft.finish();
  } finally {
    await draft.close();
  }
}

const drawnSources = fc.array(
  fc.array(fc.record({ text: fc.string({ maxLength: 6 }), goesOn: fc.boolean() }), { maxLength: 5 }),
  { minLength: 1, maxLength: 4 },
);

describe('a token file that is written by several processes, one after another', () => {
  it('has the bytes of one that is written at once, wherever they end', async () => {
    await fc.assert(
      fc.asyncProperty(
        drawnSources,
        fc.array(fc.nat(3), { maxLength: 8 }),
        fc.boolean(),
        async (drawn, stops, litter) => {
          const documents = drawn.map((texts) =>
            texts.map(({ text, goesOn }, i) => ({
              name: '',
              text,
              ...(goesOn && i > 0 && { continues: true as const }),
            })),
          );
          const [whole, again] = [join(place, 'whole'), join(place, 'again')];
          await Promise.all([whole, again].map((path) => rm(path, { force: true })));
          fc.pre(encodePart(tokenizer, documents.flat()).tokens > 1);
          await writeTokenFile(
            whole,
            tokenizer,
            (async function* () {
              for (const texts of documents) yield* texts;
            })(),
          );
          const sources = documents.map(sourceOf);
          const ended = async (): Promise<boolean> => (await readdir(place)).includes('again');
          for (const stop of [...stops, Number.POSITIVE_INFINITY]) {
            if (await ended()) break;
            await work(again, sources, stop);
            // What was written behind the last mark is not counted on.
            const tokens = join(partialFolder(again), 'tokens');
            if (litter && (await readdir(place)).includes('again.partial')) {
              await writeFile(tokens, 'litter', { flag: 'a' });
            }
          }
          expect(await readFile(again)).toEqual(await readFile(whole));
          expect((await readdir(place)).sort()).toEqual(['again', 'whole']);
          const file = new TokenFile(again);
          file.verify();
          file.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  const documents = Array.from({ length: 5 }, (_, i) => ({ name: `${i}`, text: 'some text' }));

  it('is damaged where its tokens are not those that were written', async () => {
    const path = join(place, 'a');
    await work(path, [sourceOf(documents)], 3);
    const tokens = join(partialFolder(path), 'tokens');
    const bytes = await readFile(tokens);
    await truncate(tokens, 30);
    await expect(work(path, [sourceOf(documents)], 3)).rejects.toThrow(
      /a\.partial: the unfinished token file is damaged/,
    );
    bytes[20]++;
    await writeFile(tokens, bytes);
    await expect(work(path, [sourceOf(documents)], 3)).rejects.toThrow(/is damaged/);
    await writeFile(join(partialFolder(path), 'progress.json'), '{"tokens":-1}');
    await expect(work(path, [sourceOf(documents)], 3)).rejects.toThrow(
      /is damaged, or of another version of xlstm: progress/,
    );
  });

  it('is refused while another process writes it, and where something else lies in its place', async () => {
    const path = join(place, 'a');
    const draft = await TokenDraft.open(path, tokenizer, marks(1));
    await expect(TokenDraft.open(path, tokenizer, marks(1))).rejects.toThrow(/a\.partial/);
    await draft.close();
    expect(await readdir(place)).toEqual([]);
    await writeFile(partialFolder(path), '');
    await expect(TokenDraft.open(path, tokenizer, marks(1))).rejects.toThrow(
      /a\.partial: expected an unfinished token file, or nothing, found a file of that name/,
    );
  });
});

describe('tokenizeTexts', () => {
  const words = (count: number): string => 'some words of a text\n'.repeat(count);

  /** Files of more than one part, broken off after the first one. */
  async function brokenOff(): Promise<string[]> {
    const paths = ['a.txt', 'b.txt'].map((name) => join(place, name));
    for (const path of paths) await writeFile(path, words(100_000));
    const stop = new AbortController();
    const broken = tokenizeTexts(paths, join(place, 'out'), {
      tokenizer,
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('stopped')),
    });
    await expect(broken).rejects.toThrow('stopped');
    expect((await readdir(place)).sort()).toEqual(['a.txt', 'b.txt', 'out.partial']);
    return paths;
  }

  it('goes on where it was broken off, and tells how far it is', async () => {
    const paths = await brokenOff();
    const out = join(place, 'out');
    const told: unknown[] = [];
    await tokenizeTexts(paths, out, { tokenizer, onProgress: (progress) => told.push(progress) });
    const totalBytes = 4_200_000;
    expect(told).toEqual([{ bytes: totalBytes, bytesBefore: 2_100_000, totalBytes, tokens: 4_200_002 }]);
    const file = new TokenFile(out);
    expect(file.facts).toMatchObject({ tokens: 4_200_002, documents: 2 });
    file.verify();
    file.close();
    expect((await readdir(place)).sort()).toEqual(['a.txt', 'b.txt', 'out']);
  });

  it.each(['a.txt', 'a.jsonl'])('does not read again what it has of %s', async (name) => {
    const path = join(place, name);
    const [out, whole] = ['out', 'whole'].map((file) => join(place, file));
    const line = name === 'a.txt' ? words(1) : `${JSON.stringify({ text: words(20) })}\r\n\n`;
    await writeFile(path, `\ufeff${line.repeat(Math.ceil(9e6 / line.length))}`);
    const then = new Date(1e12);
    await utimes(path, then, then);
    await tokenizeTexts([path], whole, { tokenizer });
    const stop = new AbortController();
    const onProgress = (): void => stop.abort(new Error('stopped'));
    const broken = tokenizeTexts([path], out, { tokenizer, signal: stop.signal, onProgress });
    await expect(broken).rejects.toThrow('stopped');
    // Would be refused; nobody can see that it was written.
    const file = await open(path, 'r+');
    await file.write(new Uint8Array(1e5), 0, 1e5, 0);
    await file.close();
    await utimes(path, then, then);
    await tokenizeTexts([path], out, { tokenizer });
    expect((await readFile(out)).equals(await readFile(whole))).toBe(true);
  });

  it('refuses texts that change while they are read', async () => {
    const path = join(place, 'a.txt');
    await writeFile(path, words(300_000));
    let told = 0;
    const made = tokenizeTexts([path], join(place, 'out'), {
      tokenizer,
      onProgress: () => {
        if (told++ === 0) appendFileSync(path, 'more');
      },
    });
    await expect(made).rejects.toThrow(
      /a\.txt: changed while it was read: 6300000 bytes before, 6300004 now/,
    );
    expect(told).toBeGreaterThan(0);
    expect(await readdir(place)).not.toContain('out');
  });

  it('refuses to go on with other texts, another field or another tokenizer', async () => {
    const paths = await brokenOff();
    const [a, b] = paths;
    const out = join(place, 'out');
    const refused = (texts: readonly string[], more: object, what: RegExp): Promise<void> =>
      expect(tokenizeTexts(texts, out, { tokenizer, ...more })).rejects.toThrow(what);
    await refused(paths, { tokenizer: new ByteTokenizer() }, /the tokenizer is another: one of 256 tokens/);
    await refused(paths, { field: 'body' }, /the field of records is body, before text/);
    await refused([a], {}, /b\.txt is not among the texts any more/);
    await refused([b, a], {}, /text 1 is .*b\.txt, before .*a\.txt/);
    await writeFile(join(place, 'c.txt'), 'more');
    await refused([...paths, join(place, 'c.txt')], {}, /c\.txt is new among the texts/);
    await utimes(b, new Date(0), new Date(0));
    await refused(paths, {}, /b\.txt has changed: it was written at 1970-01-01T00:00:00.000Z, before at/);
    await rename(join(place, 'c.txt'), b);
    await refused(paths, {}, /b\.txt has changed: 4 bytes, before 2100000/);
    expect(await readdir(place)).toContain('out.partial');
  });
});
