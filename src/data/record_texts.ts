import { open, stat } from 'node:fs/promises';
import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';
import { nearest } from './nearest.ts';
import { type ReadOptions, readable, type TextFile } from './text_files.ts';
import type { Document } from './text_pieces.ts';

/** The texts of JSON lines: of each, its field of that name. A record without text is left out. */
export async function* jsonLineTexts(
  name: string,
  pieces: AsyncIterable<Document>,
  field: string,
): AsyncGenerator<Document> {
  let rest = '';
  let line = 0;
  const document = (json: string): Document | undefined => {
    line++;
    if (json.trim() === '') return undefined;
    const text = fieldOf(json, field, `${name}: line ${line}`);
    return text === '' ? undefined : { name: `${name}:${line}`, text };
  };
  for await (const { text } of pieces) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    for (const json of lines) {
      const found = document(json);
      if (found) yield found;
    }
  }
  const last = document(rest);
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
  if (typeof value === 'string') return value;
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
  const { parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import('hyparquet');
  const { compressors } = await import('hyparquet-compressors');
  const attempt = async <T>(read: () => Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      if (error instanceof XlstmError || 'code' in (error as object)) throw error;
      throw new XlstmError(
        'data',
        `${name}: cannot be read as Parquet (${(error as Error).message})`,
        'The file is cut off or damaged, or no Parquet file.',
      );
    }
  };
  const before = await readable(path, () => stat(path));
  const handle = await readable(path, () => open(path));
  try {
    const file = {
      byteLength: before.size,
      slice: async (start: number, end = before.size): Promise<ArrayBuffer> => {
        const bytes = new Uint8Array(end - start);
        let done = 0;
        while (done < bytes.length) {
          const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done);
          if (bytesRead === 0) throw new Error(`there is nothing at byte ${start + done}`);
          done += bytesRead;
        }
        return bytes.buffer;
      },
    };
    const metadata = await attempt(() => parquetMetadataAsync(file));
    const columns = parquetSchema(metadata).children;
    const found = columns.find(({ element }) => element.name === column);
    if (!found)
      throw missing(
        name,
        'column',
        column,
        columns.map(({ element }) => element.name),
      );
    const { type = 'a group', repetition_type } = found.element;
    if (type !== 'BYTE_ARRAY' || repetition_type === 'REPEATED') {
      throw new XlstmError('data', `${name}: column ${column}: expected texts, found ${type}`);
    }
    let row = 0;
    for (const group of metadata.row_groups) {
      const end = row + Number(group.num_rows);
      const rows = await attempt(() =>
        parquetReadObjects({ file, metadata, columns: [column], rowStart: row, rowEnd: end, compressors }),
      );
      for (let i = 0; i < rows.length; i++) {
        const text: unknown = rows[i][column];
        if (text === null || text === undefined || text === '') continue;
        if (typeof text !== 'string') {
          throw new XlstmError(
            'data',
            `${name}: row ${row + i}: ${column}: expected a text, found ${quote(text)}`,
          );
        }
        yield { name: `${name}:${row + i}`, text };
      }
      row = end;
      onBytes?.(before.size / metadata.row_groups.length);
    }
  } finally {
    await handle.close();
  }
  const after = await readable(path, () => stat(path));
  if (after.size === before.size && after.mtimeMs === before.mtimeMs) return;
  throw new XlstmError(
    'data',
    `${path}: changed while it was read: ${before.size} bytes before, ${after.size} now`,
    'Read it when nothing writes it any more, or read a copy.',
  );
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
