import { randomBytes } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { XlstmError } from '../errors.ts';
import { ensureFolder } from './ensure_folder.ts';
import { isAlive } from './process.ts';

/** Names of temporary files that this process has not done with: `<path>.<kind>-<pid>-<random>`. */
const inUse = new Set<string>();

function temporaryName(path: string, kind: 'tmp' | 'old'): string {
  const name = join(
    dirname(path),
    `${basename(path)}.${kind}-${process.pid}-${randomBytes(4).toString('hex')}`,
  );
  inUse.add(name);
  return name;
}

const leftOverName = { tmp: /^\.tmp-(\d+)-[0-9a-f]{8}$/, old: /^\.old-(\d+)-[0-9a-f]{8}$/ };

export interface TemporarySibling {
  readonly path: string;
  /** 'tmp': may be incomplete. 'old': a whole folder that a newer one took the name of, or was about to. */
  readonly kind: 'tmp' | 'old';
  /** Whether the process that made it is at work on it. */
  readonly alive: boolean;
}

/** What `writeFileAtomic` and `replaceFolder` keep beside a path while they write it, or left there in a crash. */
export async function temporarySiblings(path: string): Promise<TemporarySibling[]> {
  const name = basename(path);
  const found: TemporarySibling[] = [];
  for (const sibling of await readdir(dirname(path)).catch((): string[] => [])) {
    if (!sibling.startsWith(name)) continue;
    for (const kind of ['tmp', 'old'] as const) {
      const pid = leftOverName[kind].exec(sibling.slice(name.length))?.[1];
      if (pid === undefined) continue;
      const at = join(dirname(path), sibling);
      found.push({
        path: at,
        kind,
        alive: Number(pid) === process.pid ? inUse.has(at) : isAlive(Number(pid)),
      });
    }
  }
  return found;
}

/**
 * Writes a file so that at every moment the path holds the whole old content or the whole new one: the bytes go to a
 * new file in the same folder, to the disk, and then take the name.
 */
export async function writeFileAtomic(path: string, content: FileContent): Promise<void> {
  const temporary = temporaryName(path, 'tmp');
  try {
    await writeToDisk(temporary, content);
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    // What made the write fail says more than what makes the cleaning fail.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(path, error);
  } finally {
    inUse.delete(temporary);
  }
}

/** Makes a folder and those above it; returns the uppermost one that was not there before. */
export async function makeFolder(path: string): Promise<string | undefined> {
  try {
    return ensureFolder(path);
  } catch (error) {
    throw writeError(path, error);
  }
}

/** The content of a file: whole, or piece by piece, each of which is made when those before it are on the disk. */
export type FileContent = Uint8Array | string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface ReplaceOptions {
  /** Names of files, besides those that are written, that go with the old folder. Default: none. */
  readonly owned?: readonly string[];
  /**
   * Whether the path is known to be of our making. Otherwise a folder that holds something else is replaced only if it
   * also holds a file of each name that is written: it may not be ours.
   */
  readonly ours?: boolean;
}

/**
 * Writes a folder of files, such as a checkpoint, as a whole. The new folder is complete and on the disk before it
 * takes the name; the old one keeps its name until then and is deleted last. A crash between the two renames leaves
 * the old folder under another name: the next write puts it back, and `openFolder` reads it there. What else lies in
 * the folder moves into the new one. One process at a time may write a path; any number may read it.
 */
export async function replaceFolder(
  path: string,
  files: ReadonlyMap<string, FileContent>,
  { owned = [], ours = false }: ReplaceOptions = {},
): Promise<void> {
  for (const name of files.keys()) {
    if (name !== basename(name) || name === '' || name === '.' || name === '..') {
      throw new XlstmError(
        'internal',
        `${path}: ${JSON.stringify(name)} is not the name of a file in a folder`,
      );
    }
  }
  const names = new Set([...files.keys(), ...owned]);
  const temporary = temporaryName(path, 'tmp');
  const old = temporaryName(path, 'old');
  try {
    await recover(path, names);
    const replacing = await checkReplaceable(path, files, names, ours);
    ensureFolder(temporary);
    for (const [name, content] of files) await writeToDisk(join(temporary, name), content);
    await syncFolder(temporary);
    if (replacing) await rename(path, old);
    try {
      await rename(temporary, path);
    } catch (error) {
      if (replacing) await rename(old, path);
      throw error;
    }
    await syncFolder(dirname(path));
    if (replacing) await retire(old, path, names);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw writeError(path, error);
  } finally {
    inUse.delete(temporary);
    inUse.delete(old);
  }
}

/** Undoes what a crash inside `replaceFolder` left, before it is known whether the path is written again. */
export async function settleFolder(path: string, owned: readonly string[]): Promise<void> {
  try {
    await recover(path, new Set(owned));
  } catch (error) {
    throw writeError(path, error);
  }
}

/**
 * Undoes what a crash inside `replaceFolder` left: the newest old folder gets its name back if the path is empty,
 * leftovers of processes that have ended are deleted. For the writer of the path alone.
 */
async function recover(path: string, names: ReadonlySet<string>): Promise<void> {
  const siblings = (await temporarySiblings(path)).filter(({ alive }) => !alive);
  const olds = await newestFirst(
    siblings.filter(({ kind }) => kind === 'old').map((sibling) => sibling.path),
  );
  if (olds.length > 0 && (await lstat(path).catch(() => null)) === null) await rename(olds.shift()!, path);
  for (const old of olds) await retire(old, path, names);
  for (const { kind, path: left } of siblings) if (kind === 'tmp') await clear(left, path, names);
}

/** Folders by when their files were made; those that are gone by now are left out. */
export async function newestFirst(folders: readonly string[]): Promise<string[]> {
  const made = await Promise.all(
    folders.map(async (path) => ({ path, at: (await stat(path).catch(() => undefined))?.mtimeMs })),
  );
  return made
    .filter(({ at }) => at !== undefined)
    .sort((a, b) => Number(b.at) - Number(a.at))
    .map(({ path }) => path);
}

/** Deletes a whole folder that another one took the place of. From its new name on no reader takes it for whole. */
async function retire(old: string, path: string, names: ReadonlySet<string>): Promise<void> {
  const going = temporaryName(path, 'tmp');
  try {
    await rename(old, going);
    await clear(going, path, names);
  } catch (error) {
    if (!isSystemError(error)) throw error;
  } finally {
    inUse.delete(going);
  }
}

/**
 * Deletes a folder file by file, when what is not ours has moved to the path. Whatever fails here leaves the rest for
 * the next write: it is in nobody's way.
 */
async function clear(folder: string, path: string, names: ReadonlySet<string>): Promise<void> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries.filter((e) => !isOurs(e, names))) {
      const target = join(path, entry.name);
      if ((await lstat(target).catch(() => null)) !== null) return;
      await rename(join(folder, entry.name), target);
    }
    for (const entry of entries.filter((e) => isOurs(e, names))) await unlink(join(folder, entry.name));
    await rmdir(folder);
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}

const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'code' in error && !(error instanceof XlstmError);

const isOurs = (entry: Dirent, names: ReadonlySet<string>): boolean =>
  names.has(entry.name) && (entry.isFile() || entry.isSymbolicLink());

/** Whether there is a folder to replace. */
async function checkReplaceable(
  path: string,
  files: ReadonlyMap<string, unknown>,
  names: ReadonlySet<string>,
  ours: boolean,
): Promise<boolean> {
  const present = await lstat(path).catch(() => null);
  if (present === null) return false;
  if (!present.isDirectory()) {
    throw new XlstmError(
      'checkpoint',
      `${path}: expected a folder or nothing, found something else`,
      'choose another path',
    );
  }
  const entries = await readdir(path, { withFileTypes: true });
  const foreign = entries.find((entry) => !isOurs(entry, names));
  const held = new Set(entries.map(({ name }) => name));
  if (!foreign || ours || [...files.keys()].every((name) => held.has(name))) return true;
  throw new XlstmError(
    'checkpoint',
    `${path}: the folder holds ${JSON.stringify(foreign.name)}, which is no part of what would replace it`,
    'choose an empty or new folder, or move that out of it',
  );
}

async function writeToDisk(path: string, content: FileContent): Promise<void> {
  const pieces = typeof content === 'string' || content instanceof Uint8Array ? [content] : content;
  await using(await open(path, 'wx'), async (file) => {
    // Each is written from where the one before ended.
    for await (const piece of pieces) await file.writeFile(piece);
    await toDisk(file);
  });
}

/** The names in a folder are on the disk only when the folder is; Windows has no such thing. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using(await open(path, 'r'), toDisk);
}

/** Node's permission model has no fsync: there the system writes to the disk when it likes. */
async function toDisk(handle: FileHandle): Promise<void> {
  await handle.sync().catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ERR_ACCESS_DENIED') throw error;
  });
}

async function using(handle: FileHandle, run: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    await run(handle);
  } finally {
    await handle.close();
  }
}

/** What the system said to a write, as an error that names the path; other errors stay as they are. */
export function writeError(path: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  const hints: Record<string, string> = {
    ENOENT: 'make the folder first, or check the path',
    EACCES: 'check who may write there',
    EPERM: 'check who may write there',
    EROFS: 'the file system can be read alone: choose a folder on another one',
    ENOTDIR: 'a part of the path is a file',
    EEXIST: 'a part of the path is a file',
    ENOSPC: 'the disk is full; nothing was changed',
    EDQUOT: 'the disk quota is used up; nothing was changed',
    EFBIG: 'the file would be larger than the system allows; nothing was changed',
    EISDIR: 'the path is a folder',
  };
  return new XlstmError(
    'checkpoint',
    // Behind the comma Node names the call and its path: that of a part file.
    `${path}: cannot be written (${error.message.split(', ', 1)[0]})`,
    hints[String(error.code)],
  );
}
