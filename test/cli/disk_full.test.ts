import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { bin, workplace } from './command.ts';

const { path, xlstm } = workplace();

const TRAIN = ['--data', 'text.txt', '--batch', '2', '--length', '16', '--steps', '1', '--sample', '0'];

beforeAll(async () => {
  const sizes = ['--dim', '64', '--blocks', '1', '--heads', '2', '--architecture', 'xlstm-large'];
  for (const args of [
    ['train', ...TRAIN, ...sizes, '--out', 'base'],
    ['train', ...TRAIN, '--init', 'base', '--lora', 'rank=2,alpha=4', '--out', 'adapter'],
  ]) {
    const { code, stderr } = await xlstm(args);
    expect(code, stderr).toBe(0);
  }
}, 60_000);

/** Files of more than 20 kB cannot be written: the system says so as it says that a disk is full, and can be asked to. */
const limited = (args: readonly string[]) =>
  spawnSync('sh', ['-c', 'ulimit -f 40; exec "$@"', 'sh', process.execPath, bin, ...args], {
    cwd: path(),
    encoding: 'utf8',
  });

describe.skipIf(process.platform === 'win32')('a disk that is full', () => {
  it.each([
    ['convert', ['convert', 'base', 'new/folder', '--to', 'transformers']],
    ['quantize', ['quantize', 'base', '--dtype', 'q8', '--out', 'new/folder']],
    ['init', ['init', '--preset', 'xlstm-tiny', '--out', 'new/folder']],
    ['merge', ['merge', 'base', 'adapter', 'new/folder']],
  ])(
    'leaves nothing of what %s writes, and is told by its path',
    async (_, args) => {
      const before = (await readdir(path())).sort();
      const { status, stderr } = limited(args);
      expect(stderr).toMatch(/^error: new\/folder: cannot be written \(EFBIG.*\n.*nothing was changed\n$/m);
      expect(status).toBe(1);
      expect((await readdir(path())).sort()).toEqual(before);
      expect(existsSync(path('new'))).toBe(false);
    },
    60_000,
  );
});
