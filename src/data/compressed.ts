import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { XlstmError } from '../errors.ts';

/** Bytes that come out at a time. */
const CHUNK = 2 ** 20;

/** How the bytes of files are packed, by the ends of their names. */
const UNPACKED = { '.gz': gunzipped, '.zst': unpackedZstd } as const;

/** The name without the end that says how its bytes are packed, and the bytes unpacked. */
export function unpack(
  name: string,
  bytes: AsyncIterable<Uint8Array>,
): { readonly inner: string; readonly bytes: AsyncIterable<Uint8Array> } {
  for (const [end, unpacked] of Object.entries(UNPACKED)) {
    if (name.toLowerCase().endsWith(end))
      return { inner: name.slice(0, -end.length), bytes: unpacked(name, bytes) };
  }
  return { inner: name, bytes };
}

const damaged = (name: string, what: string): XlstmError =>
  new XlstmError(
    'data',
    `${name}: cannot be unpacked (${what})`,
    'The file is cut off or damaged: copy it again.',
  );

async function* gunzipped(name: string, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: CHUNK });
  // Its error is the one that reading the unpacked bytes throws.
  const fed = pipeline(bytes, gunzip).catch(() => undefined);
  try {
    yield* gunzip;
  } catch (error) {
    if (error instanceof Error && /^Z_/.test((error as NodeJS.ErrnoException).code ?? '')) {
      throw damaged(name, error.message);
    }
    throw error;
  } finally {
    gunzip.destroy();
    await fed;
  }
}

async function* unpackedZstd(name: string, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { Decompress } = await import('fzstd');
  let ready: Uint8Array[] = [];
  let ended = false;
  const decompress = new Decompress((chunk, last) => {
    if (chunk.length > 0) ready.push(chunk);
    ended = last === true;
  });
  const push = (chunk: Uint8Array, last: boolean): void => {
    try {
      decompress.push(chunk, last);
    } catch (error) {
      throw damaged(name, (error as Error).message);
    }
  };
  for await (const chunk of bytes) {
    push(chunk, false);
    yield* ready;
    ready = [];
  }
  push(new Uint8Array(0), true);
  if (!ended) throw damaged(name, 'unexpected end of file');
  yield* ready;
}
