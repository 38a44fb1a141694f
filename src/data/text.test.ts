import { appendFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { XlstmError } from '../errors.ts';
import {
  type Document,
  holdOut,
  loadDataset,
  mobyDick,
  readDocuments,
  readText,
  readTexts,
  sotu,
} from './text.ts';
import { findTexts } from './text_files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-text-'));
});
afterEach(() => rm(folder, { recursive: true }));

const put = async (name: string, content: string | Uint8Array): Promise<string> => {
  const path = join(folder, name);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, content);
  return path;
};

async function* pieces(...chunks: (string | Uint8Array)[]): AsyncGenerator<string | Uint8Array> {
  yield* chunks;
}

describe('readTexts', () => {
  it('reads files in the order given and folders in the order of names', async () => {
    await put('texts/b.txt', 'B');
    await put('texts/a/2.txt', 'A2');
    await put('texts/a/1.md', 'A1');
    await put('texts/.hidden', 'no');
    const last = await put('z.txt', 'Z\r\n');
    const documents = await readTexts([last, join(folder, 'texts')]);
    expect(documents.map(({ text }) => text)).toEqual(['Z\r\n', 'A1', 'A2', 'B']);
    expect(documents[1].name).toBe(join(folder, 'texts', 'a', '1.md'));
  });

  it('reads standard input, also where chunks cut a character', async () => {
    const bytes = new TextEncoder().encode('aé€');
    const [document] = await readTexts(['-'], pieces(bytes.subarray(0, 2), bytes.subarray(2), 'b'));
    expect(document).toEqual({ name: 'standard input', text: 'aé€b' });
    await expect(readTexts(['-'], pieces())).rejects.toThrow('standard input: expected text, found nothing');
    await expect(readTexts(['-', '-'], pieces('a'))).rejects.toThrow(/read once/);
    await expect(readTexts([])).rejects.toThrow(/found none/);
  });

  it('does not follow a link back into a folder above', async () => {
    await put('texts/a.txt', 'A');
    await symlink(join(folder, 'texts'), join(folder, 'texts', 'back'));
    expect((await readTexts([join(folder, 'texts')])).map(({ text }) => text)).toEqual(['A']);
  });

  it('drops a byte order mark, keeps U+FFFD, and refuses a single wrong byte', async () => {
    const text = `\ufeff${'a'.repeat(5000)}\ufffd`;
    expect((await readTexts([await put('a.txt', text)]))[0].text).toBe(text.slice(1));
    const path = await put('b.txt', Buffer.concat([Buffer.from(text), Uint8Array.of(0xff, 0x62)]));
    await expect(readTexts([path])).rejects.toMatchObject({
      message: `${path}: expected UTF-8, found the byte 0xff at 5006, which is no part of a character`,
      hint: expect.stringContaining('iconv'),
    });
  });

  it.each<[string, string | Uint8Array, RegExp]>([
    ['empty.txt', '', /empty.txt: expected text, found nothing/],
    [
      'image.png',
      Uint8Array.of(0x89, 0x50, 0, 1),
      /image.png: expected text, found binary data \(a zero byte at 2\)/,
    ],
    ['wide.txt', Uint8Array.of(0xff, 0xfe, 0x61, 0), /wide.txt: expected UTF-8, found UTF-16/],
    [
      'latin.txt',
      Uint8Array.of(0x61, 0xe9, 0x62),
      /latin.txt: expected UTF-8, found the byte 0xe9 at 1, which/,
    ],
  ])('refuses %s', async (name, content, pattern) => {
    const path = await put(name, content);
    const error = await readTexts([path]).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(XlstmError);
    expect((error as XlstmError).code).toBe('data');
    expect((error as XlstmError).message).toMatch(pattern);
    expect((error as XlstmError).message.startsWith(folder)).toBe(true);
  });

  it('names what is missing or empty', async () => {
    await expect(readTexts([join(folder, 'none.txt')])).rejects.toThrow(
      /none.txt: there is no such file or folder/,
    );
    await mkdir(join(folder, 'empty'));
    await expect(readTexts([join(folder, 'empty')])).rejects.toThrow(/empty: the folder holds no files/);
    await put('file', 'x');
    await expect(readTexts([join(folder, 'file', 'x')])).rejects.toThrow(/cannot be read .*ENOTDIR/);
  });
});

describe('corpora', () => {
  const bytes = (documents: readonly Document[]): number =>
    documents.reduce((total, { text }) => total + Buffer.byteLength(text), 0);

  it('has Moby-Dick in reading order with the last chapters held out', async () => {
    const { train, validation } = await mobyDick();
    expect([train.length, validation.length]).toEqual([124, 14]);
    expect(train[1].name).toBe('Extracts');
    expect(train[2].name).toBe('chapter 1');
    expect(train[2].text).toContain('Call me Ishmael.');
    expect(train[123].name).toBe('chapter 122');
    expect(validation[0].name).toBe('chapter 123');
    expect(validation[13].name).toBe('Epilogue');
    const share = bytes(validation) / (bytes(train) + bytes(validation));
    expect(share).toBeGreaterThan(0.1);
    expect(share).toBeLessThan(0.11);
    expect(bytes(train) + bytes(validation)).toBeGreaterThan(1.2e6);
  });

  it('has the State of the Union addresses in order with the last ones held out', async () => {
    const { train, validation } = await sotu();
    expect([train.length, validation.length]).toEqual([209, 24]);
    expect(train[0].name).toBe('1790 George Washington');
    expect(train[0].text).toContain('Fellow');
    expect(validation[0].name).toMatch(/^1998/);
    expect(validation[23].name).toMatch(/^2021/);
    expect(bytes(train) + bytes(validation)).toBeGreaterThan(1.07e7);
  });

  it('says what to install', async () => {
    const error = await loadDataset('@stdlib/datasets-not-there').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(XlstmError);
    expect((error as XlstmError).message).toBe('the package @stdlib/datasets-not-there is not installed');
    expect((error as XlstmError).hint).toBe('npm install @stdlib/datasets-not-there');
  });
});

describe('holdOut', () => {
  it('keeps every character once and holds out about a tenth', () => {
    const lines = Array.from({ length: 100 }, (_, i) => `line ${i}\n`).join('');
    for (const texts of [[lines], [lines, 'short'], ['a', 'b', lines], ['x'.repeat(50), '😀'.repeat(100)]]) {
      const documents = texts.map((text, i) => ({ name: String(i), text }));
      const { train, validation } = holdOut('t', documents);
      const whole = texts.join('');
      expect([...train, ...validation].map(({ text }) => text).join('')).toBe(whole);
      const held = validation.reduce((sum, { text }) => sum + text.length, 0) / whole.length;
      expect(held).toBeGreaterThan(0.04);
      expect(held).toBeLessThan(0.11);
      // Half a character would come back as the replacement character.
      for (const { text } of validation)
        expect(new TextDecoder().decode(new TextEncoder().encode(text))).toBe(text);
    }
  });
});

describe('a file that changes while it is read', () => {
  it('is refused', async () => {
    const path = await put('log.txt', 'x'.repeat(3 * 2 ** 20));
    const [file] = await findTexts([path]);
    const read = async (): Promise<void> => {
      for await (const _ of readDocuments(file, 1000)) await appendFile(path, 'more');
    };
    await expect(read()).rejects.toThrow(/log.txt: changed while it was read: 3145728 bytes before/);
  });
});

describe('readText', () => {
  it('gives a file as it is, and refuses one that is too long for one text', async () => {
    const path = await put('a.jsonl', '{"a": 1}\n{"a": 2}\n');
    expect(await readText(path, 18)).toEqual({ name: path, text: '{"a": 1}\n{"a": 2}\n' });
    await expect(readText(path, 17)).rejects.toThrow(
      /a\.jsonl: expected at most 17 characters, so that it can be read in one piece; found more/,
    );
    await put('b.txt', 'b');
    expect(await readText(folder)).toBeUndefined();
  });
});
