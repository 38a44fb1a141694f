import type { Redis } from 'ioredis';
import { XlstmError } from '../../errors.ts';
import type { Kept, SessionStore, StoredSession, StoreLimits } from './session_store.ts';

/** Before the id of a session: a hash of its `version` and `bytes`. */
const PREFIX = 'xlstm:session:';
/** All sessions by the second in which they are given up: what is counted. */
const ALL = 'xlstm:sessions';

/** Compares, counts and keeps at once, so that any number of servers can share a Redis. */
const PUT = `
local now = tonumber(redis.call('TIME')[1])
local id, bytes, replaces, most, seconds = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if version ~= replaces then return 'changed' end
if version == 0 and redis.call('ZCARD', KEYS[2]) >= most then return 'full' end
redis.call('HSET', KEYS[1], 'version', version + 1, 'bytes', bytes)
redis.call('EXPIRE', KEYS[1], seconds)
redis.call('ZADD', KEYS[2], now + seconds, id)
return 'kept'`;

/** Sessions in Redis: any server that uses the same one goes on with them. */
export class RedisStore implements SessionStore {
  readonly #redis: Redis;
  readonly #limits: StoreLimits;

  private constructor(redis: Redis, limits: StoreLimits) {
    this.#redis = redis;
    this.#limits = limits;
  }

  /** Throws a usage error where ioredis is not installed, or no Redis answers at this address. */
  static async open(url: string, limits: StoreLimits): Promise<RedisStore> {
    const { Redis } = await import('ioredis').catch(() => {
      throw new XlstmError(
        'usage',
        `${shown(url)}: the package ioredis is not there`,
        'Install it: npm install ioredis@6.0.0',
      );
    });
    const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 1, connectTimeout: 5000 });
    let problem: unknown;
    // Without a listener ioredis writes what goes wrong to the terminal; commands tell of it themselves.
    redis.on('error', (error: unknown) => {
      problem = error;
    });
    try {
      await redis.connect();
      await redis.ping();
    } catch (error) {
      redis.disconnect();
      const { message } = (problem ?? error) as Error;
      throw new XlstmError('usage', `${shown(url)}: no Redis answers there (${message})`);
    }
    return new RedisStore(redis, limits);
  }

  async get(id: string): Promise<StoredSession | undefined> {
    const [version, bytes] = await this.#redis.hmgetBuffer(PREFIX + id, 'version', 'bytes');
    return version && bytes ? { bytes, version: Number(version.toString()) } : undefined;
  }

  async put(id: string, bytes: Uint8Array, replaces: number): Promise<Kept> {
    const { most, seconds } = this.#limits;
    const keys = [PREFIX + id, ALL];
    return (await this.#redis.eval(
      PUT,
      keys.length,
      ...keys,
      ...[id, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), replaces, most, Math.ceil(seconds)],
    )) as Kept;
  }

  async delete(id: string): Promise<boolean> {
    const [deleted] = await Promise.all([this.#redis.del(PREFIX + id), this.#redis.zrem(ALL, id)]);
    return deleted > 0;
  }

  async close(): Promise<void> {
    this.#redis.disconnect(); // nothing is under way; `quit` would wait for a Redis that is gone
  }
}

/** An address without the password in it. */
const shown = (url: string): string => url.replace(/\/\/[^@/]*@/, '//…@');
