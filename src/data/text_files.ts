import { createReadStream } from 'node:fs';
import { type FileHandle, open, readdir, realpath, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { XlstmError } from '../errors.ts';
import { isGlob, parseGlob } from './glob.ts';
import { fileStart, type Position } from './text_pieces.ts';

/** A file of texts, a pipe, or standard input. */
export interface TextFile {
  /** A path, or "standard input". */
  readonly name: string;
  /** Undefined of standard input. */
  readonly path: string | undefined;
  /** Size of a plain file; undefined of what ends when it ends. */
  readonly bytes: number | undefined;
  /** When a plain file was changed last, in milliseconds since 1970. */
  readonly modifiedMs?: number;
}

/**
 * The files that paths stand for: files, folders (every file in them and their folders in the order of their names;
 * names that start with a dot and empty files are left out), patterns (`*`, `**`, `?`, `[a-z]`, `{a,b}`), pipes, and '-' for
 * standard input. Throws a data error that names the path for what is not there.
 */
export async function findTexts(paths: readonly string[]): Promise<TextFile[]> {
  if (paths.length === 0) throw new XlstmError('usage', 'expected files, folders or "-", found none');
  if (paths.filter((path) => path === '-').length > 1) {
    throw new XlstmError('usage', 'standard input ("-") can be read once, found it twice');
  }
  const files: TextFile[] = [];
  for (const path of paths) {
    if (path === '') throw new XlstmError('data', 'expected the path of a text, found an empty one');
    if (path === '-') files.push({ name: 'standard input', path: undefined, bytes: undefined });
    else files.push(...(await filesAt(path)));
  }
  return files;
}

async function filesAt(path: string): Promise<TextFile[]> {
  // A file may have signs of a pattern in its name.
  const there = await stat(path).catch(() => undefined);
  if (!there && isGlob(path)) return filesLike(path);
  const found = there ?? (await readable(path, () => stat(path)));
  if (!found.isDirectory()) {
    return [
      found.isFile()
        ? { name: path, path, bytes: found.size, modifiedMs: found.mtimeMs }
        : { name: path, path, bytes: undefined },
    ];
  }
  const names = await listFiles(path, new Set());
  const files = await filesNamed(names);
  if (files.length > 0) return files;
  const what = names.length === 0 ? 'no files' : 'only empty files';
  throw new XlstmError('data', `${path}: the folder holds ${what}`);
}

async function filesLike(pattern: string): Promise<TextFile[]> {
  const { folder, matches } = parseGlob(pattern);
  const names = (await listFiles(folder, new Set())).filter((name) => matches(relative(folder, name)));
  const files = await filesNamed(names);
  if (files.length > 0) return files;
  throw new XlstmError(
    'data',
    `${pattern}: ${names.length === 0 ? 'no file has such a name' : 'only empty files'}`,
    `Looked for in ${folder}; names that start with a dot are left out.`,
  );
}

async function filesNamed(names: readonly string[]): Promise<TextFile[]> {
  const files: TextFile[] = [];
  for (const name of names) {
    const stats = await readable(name, () => stat(name));
    // Opening a pipe waits for a writer, which may never come.
    if (!stats.isFile()) {
      throw new XlstmError(
        'data',
        `${name}: expected a file, found a pipe or device`,
        'move it out of the folder, or give it by its own name',
      );
    }
    if (stats.size > 0) {
      files.push({ name, path: name, bytes: stats.size, modifiedMs: stats.mtimeMs });
    }
  }
  return files;
}

/** `above` holds the folders on the way here, so that a link back to one of them is not followed forever. */
async function listFiles(path: string, above: ReadonlySet<string>): Promise<string[]> {
  if (!(await readable(path, () => stat(path))).isDirectory()) return [path];
  const real = await readable(path, () => realpath(path));
  const names = await readable(path, () => readdir(path));
  if (above.has(real)) return [];
  const files: string[] = [];
  for (const name of names.sort()) {
    if (!name.startsWith('.')) files.push(...(await listFiles(join(path, name), new Set([...above, real]))));
  }
  return files;
}

/** What the system says to a read, as a data error that names the path. */
export async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw readError(path, error);
  }
}

function readError(path: string, error: unknown): unknown {
  if (error instanceof XlstmError) return error;
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
    return new XlstmError('data', `${path}: there is no such file or folder`, 'check the path');
  }
  return new XlstmError(
    'data',
    `${path}: cannot be read (${(error as Error).message})`,
    'check who may read it',
  );
}

/** How files are read. */
export interface ReadOptions {
  /** What '-' stands for. Default: standard input. */
  readonly input?: AsyncIterable<Uint8Array | string> | undefined;
  /** Is told how many bytes of the file were read, as they are. */
  readonly onBytes?: (bytes: number) => void;
  /** The field of JSON lines, or the column of a Parquet file, that has the text. Default: text. */
  readonly field?: string | undefined;
  /** Where to begin in a plain file: a place that an earlier text of it had as `next`. Default: at its start. */
  readonly from?: Position | undefined;
}

/** Bytes that are read at a time. */
const CHUNK = 2 ** 20;

/** The bytes of a file, piece by piece. Throws a data error for one that cannot be read, or that changes meanwhile. */
export async function* fileBytes(
  file: TextFile,
  { input = process.stdin, onBytes, from = fileStart }: ReadOptions = {},
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks(file, input, from.byte)) {
    onBytes?.(chunk.length);
    yield chunk;
  }
}

async function* chunks(
  { path, bytes }: TextFile,
  input: AsyncIterable<Uint8Array | string>,
  from: number,
): AsyncGenerator<Uint8Array> {
  if (path === undefined) {
    for await (const chunk of input) {
      yield typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk;
    }
  } else if (bytes === undefined) {
    try {
      yield* createReadStream(path, { highWaterMark: CHUNK });
    } catch (error) {
      throw readError(path, error);
    }
  } else {
    const file = await readable(path, () => open(path));
    try {
      yield* plainBytes(file, path, bytes, from);
    } finally {
      await file.close();
    }
  }
}

async function* plainBytes(
  file: FileHandle,
  path: string,
  bytes: number,
  from: number,
): AsyncGenerator<Uint8Array> {
  const { mtimeMs } = await file.stat();
  let at = from;
  for (;;) {
    const { buffer, bytesRead } = await readable(path, () => file.read(Buffer.alloc(CHUNK), 0, CHUNK, at));
    if (bytesRead === 0) break;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
  const now = await file.stat();
  if (at === bytes && now.size === bytes && now.mtimeMs === mtimeMs) return;
  throw changedError(path, bytes, Math.max(at, now.size));
}

/** Of a file that was so many bytes long when it was opened, and is as many now. */
export const changedError = (
  path: string,
  before: number,
  now: number,
  hint = 'Read it when nothing writes it any more, or read a copy.',
): XlstmError =>
  new XlstmError(
    'data',
    `${path}: changed while it was read: ${before === now ? `${now} bytes as before, but written to` : `${before} bytes before, ${now} now`}`,
    hint,
  );
