import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { XlstmError } from '../errors.ts';
import { recoverFolder, replaceFolder, writeFileAtomic } from './files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('writeFileAtomic', () => {
  it('writes and replaces, and leaves nothing else behind', async () => {
    const path = join(folder, 'a.bin');
    await writeFileAtomic(path, Uint8Array.of(1, 2, 3));
    expect([...(await readFile(path))]).toEqual([1, 2, 3]);
    await writeFileAtomic(path, 'text');
    expect(await readFile(path, 'utf8')).toBe('text');
    expect(await readdir(folder)).toEqual(['a.bin']);
  });

  it('leaves the path as it was when it cannot write', async () => {
    const target = join(folder, 'taken');
    await mkdir(join(target, 'inside'), { recursive: true });
    await expect(writeFileAtomic(target, 'x')).rejects.toThrow(XlstmError);
    expect(await readdir(folder)).toEqual(['taken']);
    expect(await readdir(target)).toEqual(['inside']);
    await expect(writeFileAtomic(join(folder, 'no', 'a'), 'x')).rejects.toThrow(
      /no\/a: cannot be written .*ENOENT/,
    );
  });
});

describe('replaceFolder', () => {
  const first = new Map([
    ['a', 'one'],
    ['b', 'two'],
  ]);

  it('writes a new folder and replaces it as a whole', async () => {
    const path = join(folder, 'checkpoint');
    await replaceFolder(path, first);
    expect((await readdir(path)).sort()).toEqual(['a', 'b']);
    await replaceFolder(path, new Map([...first, ['a', 'three']]));
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('three');
    expect(await readFile(join(path, 'b'), 'utf8')).toBe('two');
    expect(await readdir(folder)).toEqual(['checkpoint']);
  });

  it('keeps the old folder when the new one cannot be written', async () => {
    const path = join(folder, 'checkpoint');
    await replaceFolder(path, first);
    // A name too long for the file system: the second file fails after the first was written.
    const bad = new Map([...first, ['a', 'three'], ['x'.repeat(300), 'y']]);
    await expect(replaceFolder(path, bad)).rejects.toThrow(/checkpoint: cannot be written/);
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('one');
    expect(await readdir(folder)).toEqual(['checkpoint']);
  });

  it('does not replace what may not be its own', async () => {
    const path = join(folder, 'checkpoint');
    await replaceFolder(path, first);
    await writeFile(join(path, 'notes.txt'), 'mine');
    await expect(replaceFolder(path, first)).rejects.toThrow(/the folder holds "notes.txt"/);
    expect(await readFile(join(path, 'notes.txt'), 'utf8')).toBe('mine');
    const inner = join(folder, 'home');
    await mkdir(join(inner, 'a'), { recursive: true });
    await expect(replaceFolder(inner, first)).rejects.toThrow(/the folder holds "a"/);
    await writeFile(join(folder, 'file'), 'x');
    await expect(replaceFolder(join(folder, 'file'), first)).rejects.toThrow(
      /expected a folder or nothing, found something else/,
    );
  });

  it('takes no path for a name', async () => {
    for (const name of ['../a', 'a/b', '..', '']) {
      await expect(replaceFolder(join(folder, 'c'), new Map([[name, 'x']]))).rejects.toThrow(
        /not the name of a file/,
      );
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it('puts the old folder back after a crash between the renames, and drops leftovers', async () => {
    const path = join(folder, 'checkpoint');
    await replaceFolder(path, first);
    await rename(path, `${path}.old-12-0123abcd`);
    await mkdir(`${path}.tmp-12-0123abcd`);
    await mkdir(`${path}-other.tmp-12-0123abcd`);
    expect(await recoverFolder(path)).toBe(true);
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('one');
    expect((await readdir(folder)).sort()).toEqual(['checkpoint', 'checkpoint-other.tmp-12-0123abcd']);
    expect(await recoverFolder(path)).toBe(false);
  });

  it('drops the old folder after a crash that came after the renames', async () => {
    const path = join(folder, 'checkpoint');
    await replaceFolder(path, first);
    await mkdir(`${path}.old-12-0123abcd`);
    expect(await recoverFolder(path)).toBe(false);
    expect(await readdir(folder)).toEqual(['checkpoint']);
  });
});
