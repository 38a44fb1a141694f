import { XlstmError } from '../../errors.ts';
import type { SessionStore, StoreLimits } from './session_store.ts';

/** The store of `disk:FOLDER` or `redis://…`. Throws a usage error for another place, and where none can be opened. */
export async function openSessionStore(where: string, limits: StoreLimits): Promise<SessionStore> {
  const folder = /^disk:(.+)$/s.exec(where)?.[1];
  if (folder !== undefined) {
    const { DiskStore } = await import('./disk_store.ts');
    return DiskStore.open(folder, limits);
  }
  if (/^rediss?:\/\//.test(where)) {
    const { RedisStore } = await import('./redis_store.ts');
    return RedisStore.open(where, limits);
  }
  throw new XlstmError(
    'usage',
    `expected a store of sessions, disk:FOLDER or redis://HOST:PORT, found ${where}`,
  );
}
