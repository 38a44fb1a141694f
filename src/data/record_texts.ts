import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';
import { nearest } from './nearest.ts';
import { openParquet } from './parquet_file.ts';
import type { ReadOptions, TextFile } from './text_files.ts';
import { type Document, fileStart, type PlacedDocument, type Position } from './text_pieces.ts';
import { invalidUtf8 } from './utf8.ts';

/** A surrogate without its other half. */
const HALF_CHARACTER = /\p{Surrogate}/u;

/**
 * The texts of JSON lines: of each, its field of that name. A record without text is left out, a line of more than
 * `mostUnits` UTF-16 units refused.
 *
 * @param from Where the pieces begin: at a line.
 */
export async function* jsonLineTexts(
  name: string,
  pieces: AsyncIterable<PlacedDocument & { readonly next: Position }>,
  field: string,
  mostUnits: number,
  from = fileStart,
): AsyncGenerator<PlacedDocument> {
  let rest = '';
  let line = from.lines;
  let byte = from.byte;
  const document = (json: string, end: '\n' | ''): PlacedDocument | undefined => {
    line++;
    byte += Buffer.byteLength(json) + end.length;
    if (json.trim() === '') return undefined;
    const text = fieldOf(json, field, `${name}: line ${line}`);
    return text === '' ? undefined : { name: `${name}:${line}`, text, next: { byte, lines: line } };
  };
  for await (const { text, next } of pieces) {
    // A byte order mark lies before the first line.
    if (byte === 0) byte = next.byte - Buffer.byteLength(text);
    if (rest.length + text.length > mostUnits) {
      throw new XlstmError(
        'data',
        `${name}: line ${line + 1}: expected a record of at most ${mostUnits} characters, found more`,
        'Is it JSON lines, a record a line?',
      );
    }
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    for (const json of lines) {
      const found = document(json, '\n');
      if (found) yield found;
    }
  }
  const last = document(rest, '');
  if (last) yield last;
}

function fieldOf(json: string, field: string, place: string): string {
  let record: unknown;
  try {
    record = JSON.parse(json);
  } catch (error) {
    throw new XlstmError(
      'data',
      `${place}: expected JSON, found ${quote(json)} (${(error as Error).message})`,
    );
  }
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    throw new XlstmError('data', `${place}: expected an object, found ${quote(record)}`);
  }
  const value = (record as Record<string, unknown>)[field];
  if (typeof value === 'string') {
    const half = value.match(HALF_CHARACTER);
    if (half === null) return value;
    throw new XlstmError(
      'data',
      `${place}: ${field}: expected a text, found half a character, ${JSON.stringify(half[0])}, in it`,
      'Two such escapes make a character; one alone has no bytes. Write the file anew.',
    );
  }
  if (Object.hasOwn(record, field)) {
    throw new XlstmError('data', `${place}: ${field}: expected a text, found ${quote(value)}`);
  }
  throw missing(place, 'field', field, Object.keys(record));
}

/** The texts of a column of a Parquet file, a group of rows at a time. A row without text is left out. */
export async function* parquetTexts(
  { name, path }: TextFile & { readonly path: string },
  column: string,
  { onBytes }: ReadOptions,
): AsyncGenerator<Document> {
  const file = await openParquet(name, path);
  try {
    const found = file.columns.find((one) => one.name === column);
    if (!found)
      throw missing(
        name,
        'column',
        column,
        file.columns.map((one) => one.name),
      );
    const { type = 'a group', isRepeated } = found;
    if (type !== 'BYTE_ARRAY' || isRepeated) {
      throw new XlstmError('data', `${name}: column ${column}: expected texts, found ${type}`);
    }
    let row = 0;
    for (const count of file.groups) {
      const rows = await file.rows([column], row, row + count);
      for (let i = 0; i < rows.length; i++) {
        const text: unknown = rows[i][column];
        if (text === null || text === undefined || text === '') continue;
        if (text instanceof Uint8Array) {
          const at = invalidUtf8(text);
          throw new XlstmError(
            'data',
            `${name}: row ${row + i}: ${column}: expected UTF-8, found the byte 0x${text[at].toString(16)} at ${at} of it`,
            'Write the column anew, as texts in UTF-8.',
          );
        }
        if (typeof text !== 'string') {
          throw new XlstmError(
            'data',
            `${name}: row ${row + i}: ${column}: expected a text, found ${quote(text)}`,
          );
        }
        yield { name: `${name}:${row + i}`, text };
      }
      row += count;
      onBytes?.(file.bytes / file.groups.length);
    }
  } finally {
    await file.close();
  }
  await file.checkUnchanged();
}

function missing(place: string, what: string, name: string, there: readonly string[]): XlstmError {
  const [near] = nearest(name, there);
  const option = near === undefined ? '--field NAME' : `--field ${quote(near)}`;
  return new XlstmError(
    'data',
    `${place}: expected a ${what} ${quote(name)}, found ${there.map((other) => quote(other)).join(', ') || 'none'}`,
    there.length === 0 ? undefined : `Name the one that has the text: ${option}`,
  );
}
