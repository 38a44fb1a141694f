import { readFile } from 'node:fs/promises';
import { type ErrorCode, XlstmError } from '../errors.ts';
import { type JsonLimits, parseJson } from '../json.ts';

/** Reads a file of JSON; undefined where there is no file. */
export async function readJsonFile(path: string, code: ErrorCode, limits?: JsonLimits): Promise<unknown> {
  let content: Uint8Array;
  try {
    content = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new XlstmError(
      code,
      `${path}: cannot be read (${(error as Error).message})`,
      'check that it is a file and who may read it',
    );
  }
  return parseJson(content, path, code, limits);
}
