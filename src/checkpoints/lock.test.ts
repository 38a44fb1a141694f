import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileLock, takingOver } from './lock.ts';
import { processStart } from './process.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-lock-'));
  path = join(folder, 'lock');
});
afterEach(() => rm(folder, { recursive: true }));

const held = (holder: object): Promise<void> => writeFile(path, JSON.stringify(holder));
const acquire = (): Promise<FileLock> => FileLock.acquire(path, 'the run');

describe('FileLock', () => {
  it('lets one in at a time, and the next one after release', async () => {
    const lock = await acquire();
    await expect(acquire()).rejects.toThrow(`the run is being written by process ${process.pid}, since 20`);
    await lock.release();
    expect(existsSync(path)).toBe(false);
    await (await acquire()).release();
  });

  it('lets one of many in that come at once, also where they find the lock of an ended process', async () => {
    for (const left of [false, true]) {
      if (left) await held({ pid: spawnSync(process.execPath, ['-e', '0']).pid, host: hostname() });
      const tries = await Promise.allSettled(Array.from({ length: 20 }, acquire));
      const [got, ...more] = tries.filter((one) => one.status === 'fulfilled');
      expect(more).toEqual([]);
      await got.value.release();
    }
  });

  it('takes over a lock whose taker ended as well', async () => {
    const pid = spawnSync(process.execPath, ['-e', '0']).pid;
    const content = JSON.stringify({ pid, host: hostname() });
    await writeFile(path, content);
    await writeFile(takingOver(path), content);
    const tries = await Promise.allSettled(Array.from({ length: 20 }, acquire));
    const [got, ...more] = tries.filter((one) => one.status === 'fulfilled');
    expect(more).toEqual([]);
    await got.value.release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('lets one of many processes in that find the lock of an ended one', { timeout: 60_000 }, async () => {
    const script = `
      import { FileLock } from ${JSON.stringify(new URL('../../dist/checkpoints/lock.js', import.meta.url).href)};
      const at = Number(process.argv[1]);
      while (Date.now() < at);
      const tries = await Promise.allSettled(Array.from({ length: 4 }, () => FileLock.acquire(${JSON.stringify(path)}, 'it')));
      console.log(tries.filter(({ status }) => status === 'fulfilled').length);
      setTimeout(() => {}, 3000);`;
    await held({ pid: spawnSync(process.execPath, ['-e', '0']).pid, host: hostname() });
    const start = String(Date.now() + 1500);
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', script, start]),
    );
    const got = await Promise.all(
      children.map(async (child) => Number((await once(child.stdout, 'data'))[0])),
    );
    for (const child of children) child.kill('SIGKILL');
    expect(got.reduce((a, b) => a + b)).toBe(1);
  });

  it('names a holder that lives', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    await once(child, 'spawn');
    const holder = {
      pid: child.pid,
      host: hostname(),
      process: processStart(Number(child.pid)),
      since: 'now',
    };
    await held(holder);
    await expect(acquire()).rejects.toThrow(`process ${child.pid}, since now`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await acquire()).release();
  });

  it('names a holder on another machine, where nobody can see whether it lives', async () => {
    await held({ pid: 1, host: 'elsewhere', process: null, since: 'now' });
    const error = await acquire().catch((e) => e);
    expect(error.message).toContain('process 1 on elsewhere');
    expect(error.hint).toContain(`delete ${path}`);
  });

  it.runIf(process.platform === 'linux')(
    'takes over from an ended process whose number another one has',
    async () => {
      await held({ pid: process.ppid, host: hostname(), process: 'another start 12', since: 'then' });
      await (await acquire()).release();
    },
  );

  it.each(['', 'null', '{', '{"pid":"x"}', '\0\0\0'])(
    'takes over a lock that holds no holder, when it is old: %j',
    async (content) => {
      await writeFile(path, content);
      await expect(acquire()).rejects.toThrow(/another process is about to write it/);
      await utimes(path, new Date(0), new Date(0));
      await (await acquire()).release();
    },
  );

  it('leaves a lock alone that another process has taken over', async () => {
    const lock = await acquire();
    await held({ pid: 1, host: 'elsewhere' });
    await lock.release();
    expect(await readFile(path, 'utf8')).toContain('elsewhere');
  });

  it('says where it cannot be made', async () => {
    await expect(FileLock.acquire(join(folder, 'none', 'lock'), 'x')).rejects.toThrow(/cannot be written/);
  });
});
