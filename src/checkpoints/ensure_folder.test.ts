import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureFolder } from './ensure_folder.ts';

describe('ensureFolder', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'xlstm-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('makes what is not there and tells where that begins', () => {
    expect(ensureFolder(join(folder, 'a', 'b', 'c'))).toBe(join(folder, 'a'));
    expect(ensureFolder(join(folder, 'a', 'd'))).toBe(join(folder, 'a', 'd'));
    expect(ensureFolder(join(folder, 'a', 'b'))).toBeUndefined();
    expect(ensureFolder(relative('.', join(folder, 'e')))).toBe(join(folder, 'e'));
    expect(ensureFolder('/')).toBeUndefined();
    for (const made of ['a/b/c', 'a/d', 'e']) expect(statSync(join(folder, made)).isDirectory()).toBe(true);
  });

  it('refuses what lies in a file, or where nothing can be', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => ensureFolder(join(folder, 'file'))).toThrow(/EEXIST/);
    expect(() => ensureFolder(join(folder, 'file', 'a', 'b'))).toThrow(/ENOTDIR|ENOENT/);
    expect(() => ensureFolder('\0')).toThrow(/null bytes/);
  });

  it.runIf(process.platform === 'linux')(
    'ends where a folder says of new ones that they are not there',
    () => {
      expect(() => ensureFolder('/proc/x')).toThrow(/ENOENT/);
      expect(() => ensureFolder('/proc/x/y/z')).toThrow(/ENOENT/);
    },
  );
});
