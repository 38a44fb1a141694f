import { randomUUID } from 'node:crypto';
import { link, readdir, readFile, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureFolder } from '../../checkpoints/ensure_folder.ts';
import { makeFolder, writeFileAtomic } from '../../checkpoints/files.ts';
import type { Kept, SessionStore, StoredSession, StoreLimits } from './session_store.ts';

/** The file of a session's version; a folder has the versions of one session, of which the newest counts. */
const VERSION = /^(\d{1,15})\.safetensors$/;
/** One that is being written, or was when a process was killed. */
const PART = /\.part(\.tmp-\d+-[0-9a-f]{8})?$/;
const ID = /^[0-9a-f-]{36}$/;
const fileName = (version: number): string => `${version}.safetensors`;

/**
 * Sessions as files in a folder, a folder each. They are on the disk when they are kept, whatever becomes of the process, and
 * any server that sees the folder goes on with them.
 */
export class DiskStore implements SessionStore {
  readonly #folder: string;
  readonly #limits: StoreLimits;

  private constructor(folder: string, limits: StoreLimits) {
    this.#folder = folder;
    this.#limits = limits;
  }

  /** Makes the folder where it is not there. Throws an error that names it where it cannot. */
  static async open(folder: string, limits: StoreLimits): Promise<DiskStore> {
    await makeFolder(folder);
    return new DiskStore(folder, limits);
  }

  async get(id: string): Promise<StoredSession | undefined> {
    for (;;) {
      const version = await this.#version(id);
      if (version === 0) return undefined;
      try {
        return { bytes: await readFile(join(this.#folder, id, fileName(version))), version };
      } catch (error) {
        if (!isMissing(error)) throw error; // another process took its place meanwhile
      }
    }
  }

  async put(id: string, bytes: Uint8Array, replaces: number): Promise<Kept> {
    const folder = join(this.#folder, id);
    if ((await this.#version(id)) !== replaces) return 'changed';
    if (replaces === 0) {
      if (!(await this.#hasRoom())) return 'full';
      ensureFolder(folder);
    }
    const part = join(folder, `${randomUUID()}.part`);
    const kept = fileName(replaces + 1);
    try {
      await writeFileAtomic(part, bytes);
      await link(part, join(folder, kept)); // of two that keep the same version one fails here
    } catch (error) {
      await rm(part, { force: true });
      const deleted = (await stat(folder).catch(missing)) === undefined;
      if (deleted || hasCode(error, 'EEXIST')) return 'changed';
      // Whoever kept the same version first has taken this one's part away.
      if ((await this.#version(id)) !== replaces) return 'changed';
      throw error;
    }
    for (const name of await readdir(folder).catch(none)) {
      if (name !== kept && (VERSION.test(name) || PART.test(name)))
        await rm(join(folder, name), { force: true });
    }
    return 'kept';
  }

  async delete(id: string): Promise<boolean> {
    if ((await this.#version(id)) === 0) return false;
    await this.#remove(id);
    return true;
  }

  async close(): Promise<void> {}

  /** The newest one; 0 where there is none, or it was not kept anew for too long. */
  async #version(id: string): Promise<number> {
    const names = await readdir(join(this.#folder, id)).catch(none);
    const version = Math.max(0, ...names.map((name) => Number(VERSION.exec(name)?.[1] ?? 0)));
    if (version === 0) return 0;
    const kept = await stat(join(this.#folder, id, fileName(version))).catch(missing);
    return kept && Date.now() - kept.mtimeMs <= 1000 * this.#limits.seconds ? version : 0;
  }

  async #hasRoom(): Promise<boolean> {
    const ids = (await readdir(this.#folder)).filter((name) => ID.test(name));
    let count = ids.length;
    if (count < this.#limits.most) return true;
    for (const id of ids) {
      if ((await this.#version(id)) > 0) continue;
      await this.#remove(id);
      count--;
    }
    return count < this.#limits.most;
  }

  /** What else lies in the folder stays. */
  async #remove(id: string): Promise<void> {
    const folder = join(this.#folder, id);
    for (const name of await readdir(folder).catch(none)) {
      if (VERSION.test(name) || PART.test(name)) await rm(join(folder, name), { force: true });
    }
    await rmdir(folder).catch(() => undefined);
  }
}

const hasCode = (error: unknown, code: string): boolean => (error as NodeJS.ErrnoException).code === code;
const isMissing = (error: unknown): boolean => hasCode(error, 'ENOENT');

function none(error: unknown): string[] {
  if (isMissing(error)) return [];
  throw error;
}

function missing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}
