import { constants } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { XlstmError } from '../errors.ts';
import { whole } from './bytes.ts';
import { fileBytes } from './file_bytes.ts';
import { replaceFolder, writeFileAtomic } from './files.ts';
import { readFolder } from './read_folder.ts';

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

it('an error of a write names the path that was given, not the part file', async () => {
  const file = join(folder, 'none', 'a.txt');
  await expect(writeFileAtomic(file, 'a')).rejects.toMatchObject({
    message: `${file}: cannot be written (ENOENT: no such file or directory)`,
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
    const path = join(folder, 'home');
    await mkdir(path);
    await writeFile(join(path, 'a'), 'mine');
    await writeFile(join(path, 'notes.txt'), 'mine');
    await expect(replaceFolder(path, first)).rejects.toThrow(/the folder holds "notes.txt"/);
    expect((await readdir(path)).sort()).toEqual(['a', 'notes.txt']);
    const inner = join(folder, 'inner');
    await mkdir(join(inner, 'a'), { recursive: true });
    await expect(replaceFolder(inner, first)).rejects.toThrow(/the folder holds "a"/);
    await writeFile(join(folder, 'file'), 'x');
    await expect(replaceFolder(join(folder, 'file'), first)).rejects.toThrow(
      /expected a folder or nothing, found something else/,
    );
  });

  it('keeps foreign files, links and folders in a folder that is its own', async () => {
    const path = join(folder, 'checkpoint');
    await replaceFolder(path, first);
    await writeFile(join(path, '.DS_Store'), 'finder');
    await writeFile(join(path, 'README'), 'mine');
    await mkdir(join(path, 'plots'));
    await writeFile(join(path, 'plots', 'loss.svg'), 'svg');
    await symlink('/nowhere', join(path, 'link'));
    for (const content of ['three', 'four']) {
      await replaceFolder(path, new Map([...first, ['a', content]]));
      expect(await readFile(join(path, 'a'), 'utf8')).toBe(content);
      expect((await readdir(path)).sort()).toEqual(['.DS_Store', 'README', 'a', 'b', 'link', 'plots']);
    }
    expect(await readFile(join(path, 'plots', 'loss.svg'), 'utf8')).toBe('svg');
    expect(await readlink(join(path, 'link'))).toBe('/nowhere');
    expect(await readdir(folder)).toEqual(['checkpoint']);
  });

  it('drops its own files of before, also where the rest of them is gone', async () => {
    const path = join(folder, 'checkpoint');
    await replaceFolder(path, first);
    await rm(join(path, 'a'));
    await writeFile(join(path, 'README'), 'mine');
    await replaceFolder(path, new Map([['a', 'new']]), { owned: ['a', 'b'], ours: true });
    expect((await readdir(path)).sort()).toEqual(['README', 'a']);
  });

  it('is done when the new folder is in place, whatever becomes of the old one', async () => {
    const path = join(folder, 'checkpoint');
    await replaceFolder(path, first);
    // A folder under the name of a file of ours can neither be deleted as ours nor moved beside it.
    await rm(join(path, 'b'));
    await mkdir(join(path, 'b', 'inside'), { recursive: true });
    await replaceFolder(path, first, { ours: true });
    expect(await readFile(join(path, 'b'), 'utf8')).toBe('two');
    const [, left] = (await readdir(folder)).sort();
    expect(await readdir(join(folder, left, 'b'))).toEqual(['inside']);
    await replaceFolder(path, first, { ours: true });
    expect(await readdir(join(folder, left, 'b'))).toEqual(['inside']);
  });

  it('takes no path for a name', async () => {
    for (const name of ['../a', 'a/b', '..', '']) {
      await expect(replaceFolder(join(folder, 'c'), new Map([[name, 'x']]))).rejects.toThrow(
        /not the name of a file/,
      );
    }
    expect(await readdir(folder)).toEqual([]);
  });

  /** The number of a process that has ended. */
  const ended = spawnSync(process.execPath, ['-e', '0']).pid;
  /** Of one that lives as long as this one. */
  const living = process.ppid;

  it('undoes what a crash between the renames left, for the next write and for readers', async () => {
    const path = join(folder, 'checkpoint');
    await replaceFolder(path, first);
    await rename(path, `${path}.old-${ended}-0123abcd`);
    await mkdir(`${path}.tmp-${ended}-0123abcd`);
    await mkdir(`${path}-other.tmp-${ended}-0123abcd`);
    const before = (await readdir(folder)).sort();
    const read = await readFolder(
      path,
      () => ['a', 'c'],
      async (files) => ({
        a: new TextDecoder().decode(await files.read('a')),
        c: files.names.includes('c'),
        folder: files.folder,
      }),
    );
    expect(read).toEqual({ a: 'one', c: false, folder: `${path}.old-${ended}-0123abcd` });
    expect((await readdir(folder)).sort()).toEqual(before);
    // The write fails, so that what is there is what recovery made.
    const bad = new Map([['x'.repeat(300), 'y']]);
    await expect(replaceFolder(path, bad, { ours: true })).rejects.toThrow(/cannot be written/);
    expect(await readFile(join(path, 'a'), 'utf8')).toBe('one');
    expect((await readdir(folder)).sort()).toEqual(['checkpoint', `checkpoint-other.tmp-${ended}-0123abcd`]);
  });

  it('deletes the leftovers of processes that have ended and no others', async () => {
    const path = join(folder, 'checkpoint');
    const names = [ended, living].flatMap((pid) => [`tmp-${pid}-0123abcd`, `old-${pid}-0123abcd`]);
    for (const name of names) await mkdir(`${path}.${name}`);
    // Names of this process that it knows nothing of are of an earlier one with the same number.
    await mkdir(`${path}.tmp-${process.pid}-0123abcd`);
    await replaceFolder(path, first);
    await replaceFolder(path, first);
    expect((await readdir(folder)).sort()).toEqual([
      'checkpoint',
      `checkpoint.old-${living}-0123abcd`,
      `checkpoint.tmp-${living}-0123abcd`,
    ]);
  });
});

describe('readFolder', () => {
  it('finds nothing where there is nothing', async () => {
    expect(
      await readFolder(
        join(folder, 'none'),
        () => ['a'],
        async () => 1,
      ),
    ).toBe(undefined);
  });

  it('gives files of one version and none half, beside a writer that does nothing but write', async () => {
    const path = join(folder, 'checkpoint');
    const version = (n: number): Map<string, Uint8Array> =>
      new Map(['a', 'b', 'c'].map((name) => [name, new Uint8Array(100_000).fill(n)]));
    await replaceFolder(path, version(0));
    let writing = true;
    let reads = 0;
    const seen = new Set<number>();
    const reader = (async () => {
      while (writing) {
        const contents = await readFolder(
          path,
          () => ['a', 'b', 'c'],
          async (files) => Promise.all(['a', 'b', 'c'].map((name) => files.read(name))),
        );
        const values = new Set(contents?.flatMap((bytes) => [bytes.length, ...new Set(bytes)]));
        expect(values.size).toBeLessThanOrEqual(2); // the length, and one content
        expect(values.has(100_000)).toBe(true);
        seen.add([...values].at(-1) as number);
        reads++;
      }
    })();
    for (let n = 1; n <= 200; n++) await replaceFolder(path, version(n % 100));
    writing = false;
    await reader;
    expect(reads).toBeGreaterThan(20);
    expect(seen.size).toBeGreaterThan(5);
    expect(await readdir(folder)).toEqual(['checkpoint']);
  });

  it('reads a file in pieces', async () => {
    const path = join(folder, 'a');
    const content = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
    await writeFile(path, content);
    const file = await open(path, 'r');
    for (const piece of [1, 7, 999, 1000, 2000]) {
      const bytes = await fileBytes(file, path, piece);
      expect(whole(bytes)).toEqual(content);
      expect(bytes.subarray(10, 990)).toEqual(content.subarray(10, 990));
    }
    await file.close();
  });

  it.runIf(constants.MAX_LENGTH < 2 ** 40)('says what size is too large for an array', async () => {
    const path = join(folder, 'a');
    const file = await open(path, 'w+');
    await file.truncate(constants.MAX_LENGTH + 1); // takes no room on the disk
    const bytes = await fileBytes(file, path);
    expect(bytes.subarray(constants.MAX_LENGTH - 1, constants.MAX_LENGTH + 1)).toEqual(new Uint8Array(2));
    expect(() => whole(bytes)).toThrow(/expected at most/);
    await expect((async () => whole(bytes))()).rejects.toMatchObject({
      code: 'checkpoint',
      message: expect.stringContaining(`expected at most ${constants.MAX_LENGTH} bytes`),
    });
    await file.close();
  });

  it.runIf(process.platform === 'linux')('does not wait for a pipe', async () => {
    spawnSync('mkfifo', [join(folder, 'a')]);
    await expect(
      readFolder(
        folder,
        () => ['a'],
        (files) => files.read('a'),
      ),
    ).rejects.toThrow(/expected a file/);
  });
});
