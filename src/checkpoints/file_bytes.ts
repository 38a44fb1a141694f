import { constants } from 'node:buffer';
import { readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { XlstmError } from '../errors.ts';
import type { Bytes } from './bytes.ts';

/** One call of the system reads less than 2 GiB. */
const PIECE = 2 ** 30;

/**
 * An open file of any size, read when it is asked for. Throws a checkpoint error that names the file for what is none
 * and for pieces that it cannot give. The handle must stay open while it is in use.
 */
export async function fileBytes(file: FileHandle, path: string, piece: number = PIECE): Promise<Bytes> {
  const found = await file.stat();
  if (!found.isFile()) throw new XlstmError('checkpoint', `${path}: expected a file, found something else`);
  const { size } = found;
  return {
    length: size,
    subarray(begin, end) {
      if (end - begin > constants.MAX_LENGTH) throw tooLong(path, end - begin);
      const bytes = new Uint8Array(end - begin);
      let at = 0;
      while (at < bytes.length) {
        const read = readPiece(file.fd, bytes, at, Math.min(piece, bytes.length - at), begin + at, path);
        if (read === 0) {
          throw new XlstmError(
            'checkpoint',
            `${path}: expected ${size} bytes, found ${begin + at}: it was cut off`,
          );
        }
        at += read;
      }
      return bytes;
    },
  };
}

const tooLong = (path: string, found: number): XlstmError =>
  new XlstmError(
    'checkpoint',
    `${path}: expected at most ${constants.MAX_LENGTH} bytes, which is what an array of this Node.js holds, found ${found}`,
    'From version 22 on they hold more.',
  );

function readPiece(
  fd: number,
  bytes: Uint8Array,
  at: number,
  length: number,
  position: number,
  path: string,
): number {
  try {
    return readSync(fd, bytes, at, length, position);
  } catch (error) {
    throw new XlstmError('checkpoint', `${path}: cannot be read (${(error as Error).message})`);
  }
}
