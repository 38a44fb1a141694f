import { randomBytes } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { XlstmError } from '../errors.ts';

const temporaryName = (path: string, kind: 'tmp' | 'old'): string =>
  join(dirname(path), `${basename(path)}.${kind}-${process.pid}-${randomBytes(4).toString('hex')}`);

const leftOverName = { tmp: /^\.tmp-\d+-[0-9a-f]{8}$/, old: /^\.old-\d+-[0-9a-f]{8}$/ };

/**
 * Writes a file so that at every moment the path holds the whole old content or the whole new one: the bytes go to a
 * new file in the same folder, to the disk, and then take the name.
 */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const temporary = temporaryName(path, 'tmp');
  try {
    await writeToDisk(temporary, content);
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true });
    throw writeError(path, error);
  }
}

/**
 * Writes a folder of files, such as a checkpoint, as a whole. The new folder is complete and on the disk before it
 * takes the name; the old one keeps its name until then and is deleted last. A crash between the two renames leaves
 * the old folder under another name: `recoverFolder` puts it back. One process at a time may write a path.
 *
 * A folder that holds anything besides files of the names in `files` is not replaced: it may not be ours.
 */
export async function replaceFolder(
  path: string,
  files: ReadonlyMap<string, Uint8Array | string>,
): Promise<void> {
  for (const name of files.keys()) {
    if (name !== basename(name) || name === '' || name === '.' || name === '..') {
      throw new XlstmError(
        'internal',
        `${path}: ${JSON.stringify(name)} is not the name of a file in a folder`,
      );
    }
  }
  const temporary = temporaryName(path, 'tmp');
  const old = temporaryName(path, 'old');
  try {
    await recoverFolder(path);
    const replacing = await checkReplaceable(path, files);
    await mkdir(temporary, { recursive: true });
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
    await rm(old, { recursive: true, force: true });
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw writeError(path, error);
  }
}

/**
 * Undoes what a crash inside `replaceFolder` left: the old folder gets its name back if the path is empty, leftovers
 * are deleted. Returns whether the old folder was put back. To be called before reading or writing the path.
 */
export async function recoverFolder(path: string): Promise<boolean> {
  const parent = dirname(path);
  const name = basename(path);
  const siblings: string[] = await readdir(parent).catch(() => []);
  const leftOver = (kind: 'tmp' | 'old'): string[] =>
    siblings
      .filter((sibling) => sibling.startsWith(name) && leftOverName[kind].test(sibling.slice(name.length)))
      .map((sibling) => join(parent, sibling));
  const olds = leftOver('old');
  const recovered = olds.length > 0 && !siblings.includes(name);
  if (recovered) await rename(olds.shift()!, path);
  for (const rest of [...olds, ...leftOver('tmp')]) await rm(rest, { recursive: true, force: true });
  return recovered;
}

/** Whether there is a folder to replace. */
async function checkReplaceable(path: string, files: ReadonlyMap<string, unknown>): Promise<boolean> {
  const present = await lstat(path).catch(() => null);
  if (present === null) return false;
  if (!present.isDirectory()) {
    throw new XlstmError(
      'checkpoint',
      `${path}: expected a folder or nothing, found something else`,
      'choose another path',
    );
  }
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (!entry.isFile() || !files.has(entry.name)) {
      throw new XlstmError(
        'checkpoint',
        `${path}: the folder holds ${JSON.stringify(entry.name)}, which is no part of what would replace it`,
        'choose an empty or new folder, or move that out of it',
      );
    }
  }
  return true;
}

async function writeToDisk(path: string, content: Uint8Array | string): Promise<void> {
  await using(await open(path, 'wx'), async (file) => {
    await file.writeFile(content);
    await file.sync();
  });
}

/** The names in a folder are on the disk only when the folder is; Windows has no such thing. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using(await open(path, 'r'), (folder) => folder.sync());
}

async function using(handle: FileHandle, run: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    await run(handle);
  } finally {
    await handle.close();
  }
}

function writeError(path: string, error: unknown): unknown {
  if (error instanceof XlstmError || !(error instanceof Error) || !('code' in error)) return error;
  const hints: Record<string, string> = {
    ENOENT: 'make the folder first, or check the path',
    EACCES: 'check who may write there',
    ENOSPC: 'the disk is full; nothing was changed',
    EISDIR: 'the path is a folder',
  };
  return new XlstmError(
    'checkpoint',
    `${path}: cannot be written (${error.message})`,
    hints[String(error.code)],
  );
}
