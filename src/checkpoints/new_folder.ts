import { existsSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { XlstmError } from '../errors.ts';
import { type FileContent, makeFolder, type ReplaceOptions, replaceFolder } from './files.ts';

/** Throws a data error where something is at the path already; `hint` says what to do. */
export function checkNew(path: string, hint = 'Name another folder.'): void {
  if (existsSync(path)) throw new XlstmError('data', `${path}: is there already`, hint);
}

/** As `replaceFolder`, with the folders above the path, which go again where it fails. */
export async function writeFolder(
  path: string,
  files: ReadonlyMap<string, FileContent>,
  options: ReplaceOptions = {},
): Promise<void> {
  const above = dirname(path);
  const made = await makeFolder(above);
  try {
    await replaceFolder(path, files, options);
  } catch (error) {
    if (made !== undefined) await removeEmptyFolders(above, made);
    throw error;
  }
}

/** Removes a folder and those above it up to the topmost one; where another process has put something into one, it and those above stay. */
export async function removeEmptyFolders(folder: string, topmost: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch {
    return;
  }
  if (resolve(folder) !== resolve(topmost)) await removeEmptyFolders(dirname(folder), topmost);
}
