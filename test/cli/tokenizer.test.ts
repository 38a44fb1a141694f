import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { SubwordTokenizer } from '../../src/data/subword/subword_tokenizer.ts';
import { workplace } from './command.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const { path, xlstm } = workplace();

const read = async (name: string): Promise<SubwordTokenizer> =>
  SubwordTokenizer.create(JSON.parse(await readFile(path(name), 'utf8')));

describe('xlstm tokenizer train', () => {
  it('writes a tokenizer.json and says what it is', async () => {
    const { code, stdout, stderr } = await xlstm(['tokenizer', 'train', 'text.txt', '--vocabulary', '300']);
    expect(code, stderr).toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^tokens {2}300, of \d\.\d\d bytes on average in these texts; trained in .*\n/);
    expect(stderr).toMatch(/tokenizer\.json: \d+(\.\d+)? kB\n$/);
    const tokenizer = await read('tokenizer.json');
    const text = await readFile(path('text.txt'), 'utf8');
    const ids = tokenizer.encode(text);
    expect(tokenizer.vocabSize).toBe(300);
    expect(ids.length).toBeLessThan(text.length / 1.5);
    expect(tokenizer.decode(ids)).toBe(text);
  });

  it('has special tokens, and fewer tokens than asked for where the text gives no more', async () => {
    const specials = ['--special', '<|document|>', '<|end|>'];
    const { code, stderr } = await xlstm([
      'tokenizer',
      'train',
      'text.txt',
      ...specials,
      '--out',
      'other.json',
    ]);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('fewer than the 8,000 asked for: no pair is in the texts twice any more');
    const { specials: found, vocabSize } = await read('other.json');
    expect([...found.keys()]).toEqual(['<|document|>', '<|end|>']);
    expect(vocabSize).toBeLessThan(400);
  });

  it.each([
    [['nothing.txt'], 1, 'nothing.txt: there is no such file or folder'],
    [['text.txt', '--vocabulary', '255'], 2, 'Expected a whole number from 256 to 262144'],
    [['text.txt', '--vocabulary', '256', '--special', '<|a|>'], 2, '--vocabulary 256: expected at least 257'],
    [['text.txt', '--special', 'whale'], 2, 'found "whale", which is a word'],
    [['text.txt', '--out', 'no/folder.json'], 1, 'no/folder.json: cannot be written'],
    [[], 2, "missing required argument 'path'"],
  ])('refuses %j, and leaves no file', async (args, status, message) => {
    const before = (await readdir(path())).sort();
    const { code, stderr } = await xlstm(['tokenizer', 'train', ...args]);
    expect(code, stderr).toBe(status);
    expect(stderr).toContain(message);
    expect((await readdir(path())).sort()).toEqual(before);
    expect(existsSync(path('no'))).toBe(false);
  });
});
