import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nearest } from './nearest.ts';
import { jsonLineTexts } from './record_texts.ts';
import { readDocuments, readTexts } from './text.ts';
import { findTexts } from './text_files.ts';
import type { PlacedDocument, Position } from './text_pieces.ts';

const golden = (name: string): string =>
  fileURLToPath(new URL(`../../test/golden/texts/${name}`, import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-records-'));
});
afterEach(() => rm(folder, { recursive: true }));

const put = async (name: string, content: string | Uint8Array): Promise<string> => {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, content);
  return path;
};
const textsAt = async (...paths: string[]): Promise<string[]> =>
  (await readTexts(paths)).map(({ text }) => text);

describe('packed texts', () => {
  it('are unpacked: .gz, also of several members, and .zst', async () => {
    const members = Buffer.concat([gzipSync('one, '), gzipSync('two, '.repeat(1e6))]);
    expect(await textsAt(await put('a.txt.gz', members))).toEqual([`one, ${'two, '.repeat(1e6)}`]);
    expect(await textsAt(golden('text.txt.zst'))).toEqual(['Text in a file of zstd.\nTwo lines of it.\n']);
    const twice = Buffer.concat(Array.from({ length: 2 }, () => zstd));
    expect(await textsAt(await put('b.zst', twice))).toEqual([
      'Text in a file of zstd.\nTwo lines of it.\n'.repeat(2),
    ]);
  });

  let zstd: Buffer;
  beforeEach(async () => {
    zstd = await readFile(golden('text.txt.zst'));
  });

  it('that are cut off or damaged are one clear error', async () => {
    const gzip = gzipSync('some text '.repeat(1000));
    for (let length = 1; length < gzip.length; length += 7) {
      const path = await put('a.gz', gzip.subarray(0, length));
      await expect(readTexts([path]), `${length}`).rejects.toThrow(/a\.gz: cannot be unpacked \(/);
    }
    for (let length = 1; length < zstd.length; length++) {
      const path = await put('a.zst', zstd.subarray(0, length));
      await expect(readTexts([path]), `${length}`).rejects.toThrow(/a\.zst: cannot be unpacked \(/);
    }
    await expect(readTexts([await put('b.gz', 'no gzip')])).rejects.toThrow(
      /b\.gz: cannot be unpacked \(incorrect/,
    );
    await expect(readTexts([await put('b.zst', 'no zstd at all')])).rejects.toThrow(
      /b\.zst: cannot be unpacked/,
    );
    await expect(readTexts([await put('c.gz', gzipSync(''))])).rejects.toThrow(
      /c\.gz: expected text, found nothing/,
    );
    await expect(readTexts([join(folder, 'none.gz')])).rejects.toThrow(/none\.gz: there is no such file/);
  });
});

describe('JSON lines', () => {
  it('are a document each, also where pieces cut a line', async () => {
    const lines = [
      '{"text": "one\\ntwo", "id": 1}',
      '',
      '{"id": 2, "text": "three é😀"}',
      '{"text": ""}',
      '{"text": "four"}',
    ];
    const path = await put('a.jsonl', lines.join('\n'));
    expect(await readTexts([path])).toEqual([
      { name: `${path}:1`, text: 'one\ntwo' },
      { name: `${path}:3`, text: 'three é😀' },
      { name: `${path}:5`, text: 'four' },
    ]);
    const [file] = await findTexts([path]);
    for (const most of [2, 3, 5, 40]) {
      const found: string[] = [];
      for await (const { text } of readDocuments(file, most)) found.push(text);
      expect(found).toEqual(['one\ntwo', 'three é😀', 'four']);
    }
    expect(await textsAt(await put('b.jsonl.gz', gzipSync('{"text": "packed"}\r\n')))).toEqual(['packed']);
    expect((await readTexts([await put('c.jsonl', '{"body": "x"}')], undefined, 'body'))[0].text).toBe('x');
  });

  it.each(['a.jsonl', 'a.txt'])('of %s are read from where each of them ends', async (name) => {
    for (const [start, end] of [
      ['', ''],
      ['\ufeff', '\n'],
    ]) {
      const lines = ['{"text": "é😀"}\r', '', '{"text": "b"}', '{"text": "c"}'];
      const [file] = await findTexts([await put(name, `${start}${lines.join('\n')}${end}`)]);
      const read = async (from?: Position): Promise<PlacedDocument[]> => {
        const found: PlacedDocument[] = [];
        for await (const document of readDocuments(file, 20, { from })) found.push(document);
        return found;
      };
      const all = await read();
      expect(all.length).toBeGreaterThan(2);
      for (const [i, { next }] of all.entries()) {
        expect(next).toBeDefined();
        expect(await read(next)).toEqual(all.slice(i + 1));
      }
    }
    const [packed] = await findTexts([await put('a.jsonl.gz', gzipSync('{"text": "packed"}\n'))]);
    for await (const { next } of readDocuments(packed, 20)) expect(next).toBeUndefined();
  });

  it.each([
    ['{"text": "a"}\n{"text": ', /a\.jsonl: line 2: expected JSON, found "{/],
    ['{"text": "a"}\n\n[1]', /a\.jsonl: line 3: expected an object/],
    ['{"text": 5}', /a\.jsonl: line 1: text: expected a text, found 5/],
    ['{"id": 1, "texts": "a"}', /a\.jsonl: line 1: expected a field "text", found "id", "texts"/],
    ['{}', /line 1: expected a field "text", found none/],
    ['{"text": "a\\ud83d"}', /line 1: text: expected a text, found half a character, "\\ud83d", in it/],
  ])('that are wrong say where: %s', async (content, message) => {
    await expect(readTexts([await put('a.jsonl', content)])).rejects.toThrow(message);
  });
});

describe('Parquet files', () => {
  it.each(['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4'])(
    'that pyarrow wrote are read: %s',
    async (codec) => {
      const path = golden(`${codec}.parquet`);
      const rows = [0, 1, 2, 3, 4, 6, 7, 8, 9];
      expect(await readTexts([path])).toEqual(
        rows.map((i) => ({ name: `${path}:${i}`, text: `Text ${i}: the white whale, é, €, 😀.\n` })),
      );
      expect((await readTexts([path], undefined, 'title'))[4].text).toBe('Chapter 1');
    },
  );

  it('say which columns there are, and which is nearest', async () => {
    const path = golden('snappy.parquet');
    await expect(readTexts([path], undefined, 'txt')).rejects.toThrow(
      expect.objectContaining({
        message: `${path}: expected a column "txt", found "id", "text", "title", "words"`,
        hint: expect.stringContaining('--field "text"'),
      }),
    );
    await expect(readTexts([path], undefined, 'id')).rejects.toThrow(
      /column id: expected texts, found INT64/,
    );
    await expect(readTexts([path], undefined, 'words')).rejects.toThrow(
      /column words: expected texts, found a group/,
    );
  });

  it('that are cut off or damaged are one clear error', async () => {
    const whole = await readFile(golden('snappy.parquet'));
    for (const length of [1, 100, 1000, whole.length - 1]) {
      await expect(readTexts([await put('a.parquet', whole.subarray(0, length))])).rejects.toThrow(
        /a\.parquet: cannot be read as Parquet/,
      );
    }
    await expect(readTexts([await put('b.parquet', 'some text, no parquet')])).rejects.toThrow(/as Parquet/);
  });

  it('with a text that is no UTF-8 say which row', async () => {
    const bytes = await readFile(golden('none.parquet'));
    bytes[bytes.indexOf('Text 3: the white whale, é') + 25] = 0xff;
    await expect(readTexts([await put('a.parquet', bytes)])).rejects.toThrow(
      /a\.parquet: row 3: text: expected UTF-8, found the byte 0xff at 25 of it/,
    );
  });

  it('that change while they are read are refused', async () => {
    const path = await put('a.parquet', await readFile(golden('none.parquet')));
    const [file] = await findTexts([path]);
    const read = async (): Promise<void> => {
      for await (const _ of readDocuments(file, 1000)) await appendFile(path, 'x');
    };
    await expect(read()).rejects.toThrow(/a\.parquet: changed while it was read/);
  });
});

describe('patterns', () => {
  beforeEach(async () => {
    for (const name of ['a.txt', 'b.md', 'c1.txt', 'in/d.txt', 'in/deep/e.txt', 'in/.f.txt', '[x].txt'])
      await put(name, name);
  });

  it.each([
    ['*.txt', ['[x].txt', 'a.txt', 'c1.txt']],
    ['**/*.txt', ['[x].txt', 'a.txt', 'c1.txt', 'in/d.txt', 'in/deep/e.txt']],
    ['in/**', ['in/d.txt', 'in/deep/e.txt']],
    ['in/*/*', ['in/deep/e.txt']],
    ['?.{txt,md}', ['a.txt', 'b.md']],
    ['c[0-9].txt', ['c1.txt']],
    ['[!ab]*.txt', ['[x].txt', 'c1.txt']],
    ['[x].txt', ['[x].txt']],
  ])('stand for the files of such names: %s', async (pattern, names) => {
    expect(await textsAt(join(folder, pattern))).toEqual(names);
  });

  it('that no file has are refused', async () => {
    await expect(readTexts([join(folder, '*.csv')])).rejects.toThrow(/\*\.csv: no file has such a name/);
    await expect(readTexts([join(folder, 'none/*.csv')])).rejects.toThrow(
      /none: there is no such file or folder/,
    );
  });
});

it('nearest() knows names that are misspelt or part of others', () => {
  expect(nearest('txt', ['id', 'text', 'title'])).toEqual(['text']);
  expect(nearest('text', ['raw_text', 'texts', 'id'])).toEqual(['raw_text', 'texts']);
  expect(nearest('Content', ['content', 'contents', 'meta'])).toEqual(['content', 'contents']);
  expect(nearest('text', ['id', 'body'])).toEqual([]);
});

describe('a line of JSON that is too long for one text', () => {
  async function* pieces(text: string, size: number) {
    for (let at = 0; at < text.length; at += size)
      yield { name: '', text: text.slice(at, at + size), next: { byte: at + size, lines: 0 } };
  }
  const texts = async (json: string, most: number): Promise<string[]> => {
    const found: string[] = [];
    for await (const { text } of jsonLineTexts('a.jsonl', pieces(json, 4), 'text', most)) found.push(text);
    return found;
  };
  const records = ['one', 'a longer one', 'three'].map((text) => JSON.stringify({ text }));

  it('is refused by its number, whatever pieces it comes in', async () => {
    const longest = records[1].length;
    expect(await texts(records.join('\n'), longest + 4)).toEqual(['one', 'a longer one', 'three']);
    await expect(texts(records.join('\n'), longest - 1)).rejects.toThrow(
      `a.jsonl: line 2: expected a record of at most ${longest - 1} characters, found more`,
    );
  });
});
