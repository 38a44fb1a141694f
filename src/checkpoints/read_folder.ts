import { constants } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { XlstmError } from '../errors.ts';
import { type Bytes, whole } from './bytes.ts';
import { fileBytes } from './file_bytes.ts';
import { newestFirst, temporarySiblings } from './files.ts';
import type { ModelFiles } from './model_source.ts';

/** Files of a folder, all of one version of it. */
export interface FolderFiles extends ModelFiles {
  /** Where they lie: the path that was asked for, or the place where a writer or a crash left its old content. */
  readonly folder: string;
}

/** A writer renames between two looks at the folder: so often in a row only if something else is wrong. */
const ATTEMPTS = 100;

/**
 * Opens the files that `choose` takes of those in a folder, runs something on them and closes them again. Nothing is
 * changed on the disk. Beside a `replaceFolder` of another process, and after a crash of one, all files are of one version:
 * where the folder is missing for the moment or for good they are those of the newest `.old-` folder. Undefined where
 * there is no folder.
 */
export async function readFolder<T>(
  path: string,
  choose: (present: readonly string[]) => readonly string[],
  run: (files: FolderFiles) => Promise<T>,
): Promise<T | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const folder = await present(path);
    if (folder === undefined) {
      if (attempt >= 3) return undefined;
      await sleep(1); // a writer between its two renames was done before its old folder was looked for
      continue;
    }
    const files = new Map<string, FileHandle>();
    try {
      const before = await version(folder);
      for (const name of choose(await list(folder))) {
        const file = await openIfThere(join(folder, name));
        if (file) files.set(name, file);
      }
      // Files in a folder never change: the same folder before and after means that all are its own.
      if (before === undefined || before !== (await version(folder))) continue;
      const openFile = async (name: string): Promise<Bytes> => {
        const file = files.get(name);
        if (file) return fileBytes(file, join(folder, name));
        throw new XlstmError(
          'checkpoint',
          `${join(folder, name)}: there is no such file`,
          'The checkpoint folder is not complete.',
        );
      };
      return await run({
        folder,
        place: join(folder, '/'),
        names: [...files.keys()],
        open: openFile,
        read: async (name) => whole(await openFile(name)),
      });
    } finally {
      for (const file of files.values()) await file.close();
    }
  }
  throw new XlstmError('checkpoint', `${path}: changes faster than it can be read`, 'Try again.');
}

async function present(path: string): Promise<string | undefined> {
  if ((await stat(path).catch(() => undefined))?.isDirectory()) return path;
  const olds = (await temporarySiblings(path)).filter(({ kind }) => kind === 'old');
  return (await newestFirst(olds.map((old) => old.path)))[0];
}

/** What tells a folder from one that took its name, and from itself with other files; undefined: it is gone. */
async function version(folder: string): Promise<string | undefined> {
  const found = await stat(folder, { bigint: true }).catch(() => undefined);
  return found && `${found.dev} ${found.ino} ${found.mtimeNs}`;
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new XlstmError('checkpoint', `${folder}: cannot be read (${code})`, 'Check who may read it.');
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    // Without waiting for the other end of a pipe of that name.
    return await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new XlstmError('checkpoint', `${path}: cannot be read (${code})`, 'Check who may read it.');
  }
}
