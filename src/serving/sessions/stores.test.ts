import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasRedis, type StartedRedis, startRedis } from '../testing/redis.ts';
import { DiskStore } from './disk_store.ts';
import { MemoryStore } from './memory_store.ts';
import { openSessionStore } from './open_store.ts';
import { RedisStore } from './redis_store.ts';
import type { SessionStore, StoreLimits } from './session_store.ts';

let folder: string;
let redis: StartedRedis | undefined;
const folders: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-stores-'));
  if (hasRedis) redis = await startRedis();
});
afterAll(async () => {
  await redis?.stop();
  await rm(folder, { recursive: true });
});

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const day = { most: 3, seconds: 24 * 3600 };

/** Stores that are open at the same time on the same sessions. */
const kinds: readonly [string, boolean, (limits: StoreLimits) => Promise<[SessionStore, SessionStore]>][] = [
  [
    'in memory',
    true,
    async (limits) => {
      const store = new MemoryStore(limits);
      return [store, store];
    },
  ],
  [
    'on the disk',
    true,
    async (limits) => {
      folders.push(join(folder, `${folders.length}`));
      const at = folders.at(-1) as string;
      return [await DiskStore.open(at, limits), await DiskStore.open(at, limits)];
    },
  ],
  [
    'in Redis',
    hasRedis,
    async (limits) => {
      const { Redis } = await import('ioredis');
      const client = new Redis(redis?.url as string);
      await client.flushall();
      await client.quit();
      const url = redis?.url as string;
      return [await RedisStore.open(url, limits), await RedisStore.open(url, limits)];
    },
  ],
];

for (const [name, there, open] of kinds) {
  describe.runIf(there)(`sessions ${name}`, () => {
    it('are what was kept last, wherever', async () => {
      const [one, other] = await open(day);
      const id = crypto.randomUUID();
      expect(await one.get(id)).toBeUndefined();
      expect(
        await one.put(
          id,
          Uint8Array.from({ length: 300 }, (_, i) => i),
          0,
        ),
      ).toBe('kept');
      const first = await other.get(id);
      expect([...(first?.bytes ?? [])]).toEqual(Array.from({ length: 300 }, (_, i) => i % 256));
      expect(await other.put(id, bytes('second'), 1)).toBe('kept');
      const second = await one.get(id);
      expect([new TextDecoder().decode(second?.bytes), second?.version]).toEqual(['second', 2]);
      expect([await one.delete(id), await other.delete(id)]).toEqual([true, false]);
      expect(await other.get(id)).toBeUndefined();
      await Promise.all([one.close(), other.close()]);
    });

    it('are not written over by who did not see the last one', async () => {
      const [one, other] = await open(day);
      const id = crypto.randomUUID();
      await one.put(id, bytes('first'), 0);
      expect(await other.put(id, bytes('new'), 0)).toBe('changed');
      // Who is first differs, and when the other one finds it out.
      const ROUNDS = 20;
      for (let version = 1; version <= ROUNDS; version++) {
        const late = async () => {
          for (let turns = 0; turns < version; turns++) await new Promise(setImmediate);
          return other.put(id, bytes('other'), version);
        };
        const both = await Promise.all([one.put(id, bytes('one'), version), late()]);
        expect([...both].sort()).toEqual(['changed', 'kept']);
        const kept = new TextDecoder().decode((await one.get(id))?.bytes);
        expect(kept).toBe(both[0] === 'kept' ? 'one' : 'other');
      }
      await one.delete(id);
      expect(await other.put(id, bytes('late'), ROUNDS + 1)).toBe('changed');
      expect(await one.get(id)).toBeUndefined();
      await Promise.all([one.close(), other.close()]);
    });

    it('are as many as may be', async () => {
      const [one, other] = await open(day);
      const ids = Array.from({ length: 4 }, () => crypto.randomUUID());
      for (const id of ids.slice(0, 3)) expect(await one.put(id, bytes('a'), 0)).toBe('kept');
      expect(await other.put(ids[3], bytes('a'), 0)).toBe('full');
      expect(await other.put(ids[0], bytes('b'), 1)).toBe('kept');
      await other.delete(ids[1]);
      expect(await one.put(ids[3], bytes('a'), 0)).toBe('kept');
      await Promise.all([one.close(), other.close()]);
    });

    it('are given up when nobody goes on with them', { timeout: 20_000 }, async () => {
      const [one, other] = await open({ most: 1, seconds: 1 });
      const [id, next] = [crypto.randomUUID(), crypto.randomUUID()];
      await one.put(id, bytes('a'), 0);
      expect(await one.put(next, bytes('a'), 0)).toBe('full');
      await expect.poll(() => other.get(id), { timeout: 10_000 }).toBeUndefined();
      await expect.poll(() => one.put(next, bytes('a'), 0), { timeout: 10_000 }).toBe('kept');
      await Promise.all([one.close(), other.close()]);
    });
  });
}

it('a killed writer leaves nothing that counts, and what is not of sessions stays', async () => {
  const at = join(folder, 'killed');
  const store = await DiskStore.open(at, day);
  const id = crypto.randomUUID();
  await store.put(id, bytes('first'), 0);
  await writeFile(join(at, id, 'x.part.tmp-1-00000000'), 'half');
  await writeFile(join(at, id, '2.safetensors.note'), 'mine');
  expect(new TextDecoder().decode((await store.get(id))?.bytes)).toBe('first');
  await store.put(id, bytes('second'), 1);
  expect((await readdir(join(at, id))).sort()).toEqual(['2.safetensors', '2.safetensors.note']);
  await utimes(join(at, id, '2.safetensors'), 0, 0);
  await writeFile(join(at, 'other'), '');
  for (let i = 0; i < 3; i++) await store.put(crypto.randomUUID(), bytes('a'), 0);
  expect(await readdir(join(at, id))).toEqual(['2.safetensors.note']);
  expect(await readdir(at)).toContain('other');
});

it('places that are none are refused', async () => {
  await expect(openSessionStore('file:x', day)).rejects.toMatchObject({
    code: 'usage',
    message: 'expected a store of sessions, disk:FOLDER or redis://HOST:PORT, found file:x',
  });
  await expect(openSessionStore('redis://:secret@127.0.0.1:1', day)).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringMatching(/^redis:\/\/…@127\.0\.0\.1:1: no Redis answers there \(.*ECONNREFUSED/),
  });
  await writeFile(join(folder, 'file'), '');
  await expect(openSessionStore(`disk:${join(folder, 'file')}`, day)).rejects.toMatchObject({
    message: expect.stringContaining('cannot be written'),
  });
});
