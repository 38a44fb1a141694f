import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/**
 * Makes a folder and those above it; returns the uppermost one that was not there before. Throws the system's error. Node's own
 * `recursive` never ends where a folder takes no new ones and says of them that they are not there, as /proc does.
 */
export function ensureFolder(path: string): string | undefined {
  const folder = resolve(path);
  const above = dirname(folder);
  try {
    mkdirSync(folder);
    return folder;
  } catch (error) {
    if (isFolder(folder)) return undefined;
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === folder) throw error;
  }
  const first = ensureFolder(above);
  try {
    mkdirSync(folder);
  } catch (error) {
    if (!isFolder(folder)) throw error; // else another process made it meanwhile
  }
  return first ?? folder;
}
