import { open, stat } from 'node:fs/promises';
import { XlstmError } from '../errors.ts';
import { changedError, readable } from './text_files.ts';
import { invalidUtf8 } from './utf8.ts';

/** A column of a Parquet file, by what the head of the file says. */
export interface ParquetColumn {
  readonly name: string;
  /** Undefined of a group of columns. */
  readonly type: string | undefined;
  readonly isRepeated: boolean;
}

/** A Parquet file that is open; its rows are read a group at a time. */
export interface ParquetFile {
  readonly columns: readonly ParquetColumn[];
  /** Rows of each group. */
  readonly groups: readonly number[];
  readonly bytes: number;
  /** Rows from `start` to before `end`, as objects of these columns. A text that is no UTF-8 stays bytes. */
  rows(columns: readonly string[], start: number, end: number): Promise<Record<string, unknown>[]>;
  /** Throws a data error where the file has changed since it was opened. */
  checkUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a Parquet file; `name` is for messages. Throws a data error for what cannot be read or is no Parquet. */
export async function openParquet(name: string, path: string): Promise<ParquetFile> {
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
  try {
    const metadata = await attempt(() => parquetMetadataAsync(file));
    return {
      columns: parquetSchema(metadata).children.map(({ element }) => ({
        name: element.name,
        type: element.type,
        isRepeated: element.repetition_type === 'REPEATED',
      })),
      groups: metadata.row_groups.map((group) => Number(group.num_rows)),
      bytes: before.size,
      rows: (columns, rowStart, rowEnd) =>
        attempt(() =>
          parquetReadObjects({
            ...{ file, metadata, columns: [...columns], rowStart, rowEnd, compressors },
            parsers: { stringFromBytes },
          }),
        ),
      async checkUnchanged() {
        const after = await readable(path, () => stat(path));
        if (after.size === before.size && after.mtimeMs === before.mtimeMs) return;
        throw changedError(path, before.size, after.size);
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function stringFromBytes(bytes: Uint8Array | undefined): string | Uint8Array | undefined {
  if (bytes === undefined) return undefined;
  return invalidUtf8(bytes) < bytes.length
    ? bytes
    : new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}
