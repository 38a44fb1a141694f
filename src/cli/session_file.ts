import { readFile } from 'node:fs/promises';
import { XlstmError } from '../errors.ts';

/** The bytes of a saved session; undefined where there is no such file. */
export async function readSession(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new XlstmError(
      'data',
      code === 'EISDIR' ? `${path}: expected a file, found a folder` : `${path}: cannot be read (${message})`,
    );
  }
}
