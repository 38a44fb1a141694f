import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import * as v from 'valibot';
import type { DocumentIndex } from '../data/document_index.ts';
import { changedError } from '../data/text_files.ts';
import type { TokenSource } from '../data/token_source.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { readTokenizer, tokenizerFiles } from '../data/tokenizer_files.ts';
import { XlstmError } from '../errors.ts';

/*
 * A token file:
 *   "xlstmtok", a byte for the version, 7 zero bytes
 *   the tokens, u16 or u32, little endian; zero bytes up to a multiple of 8
 *   where documents start, u64 each, little endian: numbers of tokens, ascending
 *   the facts, JSON
 *   the SHA-256 of the facts, their length as u64, "xlstmend"
 * It is written from the front to the end, so that a file that was cut off lacks its end.
 */

export const HEAD = Uint8Array.of(...new TextEncoder().encode('xlstmtok'), 2, 0, 0, 0, 0, 0, 0, 0);
export const END = new TextEncoder().encode('xlstmend');
const MAGIC_BYTES = 8;
const TRAILER_BYTES = 32 + 8 + END.length;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const factsSchema = v.object({
  tokens: count,
  documents: count,
  dtype: v.picklist(['u16', 'u32']),
  vocabSize: v.pipe(count, v.minValue(1)),
  sha256: v.string(),
  tokenizer: v.object({
    fingerprint: v.string(),
    start: v.optional(count),
    files: v.record(v.string(), v.unknown()),
  }),
});

/** What a token file says of itself. */
export interface TokenFileFacts {
  /** How many there are. */
  readonly tokens: number;
  /** How many texts they are of. */
  readonly documents: number;
  /** Bits of a token. */
  readonly dtype: 'u16' | 'u32';
  /** Tokens are 0 to vocabSize − 1. */
  readonly vocabSize: number;
  /** Of the tokens and of where documents start, as they lie in the file. */
  readonly sha256: string;
  /** What made them. */
  readonly tokenizer: {
    /** SHA-256 of the other two. */
    readonly fingerprint: string;
    /** The token that goes before a text, where a model wants one. */
    readonly start?: number | undefined;
    /** Contents of the files that it is rebuilt from, by name. */
    readonly files: Readonly<Record<string, unknown>>;
  };
}

/** What a token file keeps of a tokenizer, to be rebuilt, and to be told from another by its fingerprint. */
export function describeForTokens(tokenizer: Tokenizer): TokenFileFacts['tokenizer'] {
  const { start } = tokenizer;
  const files = Object.fromEntries(tokenizerFiles(tokenizer));
  const parts = JSON.stringify([start ?? null, files]);
  const fingerprint = createHash('sha256').update(parts).digest('hex');
  return { fingerprint, ...(start !== undefined && { start }), files };
}

/** Rebuilds a tokenizer from what a token file keeps of it. `place` begins the message of an error. */
export async function rebuildTokenizer(
  { files, start }: TokenFileFacts['tokenizer'],
  place = '',
): Promise<Tokenizer> {
  const borders = start === undefined ? {} : { startToken: start };
  const tokenizer = await readTokenizer(new Map(Object.entries(files)), place, borders);
  if (tokenizer) return tokenizer;
  throw new XlstmError('config', `${place}expected a tokenizer.json, found none`);
}

/** Most ids that 16 bits tell apart. */
const MOST_U16 = 2 ** 16;

/** What tokens are written as. */
export const dtypeOf = ({ vocabSize }: { readonly vocabSize: number }): TokenFileFacts['dtype'] =>
  vocabSize <= MOST_U16 ? 'u16' : 'u32';

/** Bytes of a token. */
export const tokenWidth = (dtype: TokenFileFacts['dtype']): 2 | 4 => (dtype === 'u16' ? 2 : 4);

/** Offset of the document index behind so many bytes of tokens. */
export const indexOffset = (tokenBytes: number): number => HEAD.length + Math.ceil(tokenBytes / 8) * 8;

/** Whether the file begins as a token file does. False for what is no plain file, or cannot be read. */
export function isTokenFile(path: string): boolean {
  let fd: number | undefined;
  try {
    // Opening a pipe would take its writer's text.
    if (!statSync(path).isFile()) return false;
    fd = openSync(path, 'r');
    const found = Buffer.alloc(MAGIC_BYTES);
    return (
      readSync(fd, found, 0, MAGIC_BYTES, 0) === MAGIC_BYTES && found.equals(HEAD.subarray(0, MAGIC_BYTES))
    );
  } catch {
    // Who reads it as a text says what is wrong.
    return false;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** An open token file: a source of tokens of which nothing is held in memory. To be closed at the end. */
export class TokenFile implements TokenSource {
  /** As it was given. */
  readonly path: string;
  /** Of tokens. */
  readonly length: number;
  /** Its digest of the tokens. */
  readonly identity: string;
  /** What it says of itself. */
  readonly facts: TokenFileFacts;
  /** Where documents start. */
  readonly documents: DocumentIndex;
  readonly #fd: number;
  readonly #size: number;
  readonly #mtimeMs: number;
  readonly #width: 2 | 4;
  #bytes = Buffer.alloc(0);
  #open = true;

  /** Throws a data error that names the path for what is no token file, or one that is cut off or damaged. */
  constructor(path: string) {
    this.path = path;
    this.#fd = openForReading(path);
    try {
      const { size, mtimeMs } = fstatSync(this.#fd);
      this.#size = size;
      this.#mtimeMs = mtimeMs;
      this.facts = this.#readFacts();
      this.length = this.facts.tokens;
      this.documents = {
        count: this.facts.documents,
        read: (first, into) => this.#readStarts(first, into),
      };
      this.identity = this.facts.sha256;
      this.#width = tokenWidth(this.facts.dtype);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  read(start: number, into: Int32Array): void {
    const bytes = this.#at(HEAD.length + start * this.#width, into.length * this.#width);
    const { buffer, byteOffset } = bytes;
    into.set(
      this.#width === 2
        ? new Uint16Array(buffer, byteOffset, into.length)
        : new Uint32Array(buffer, byteOffset, into.length),
    );
    for (let i = 0; i < into.length; i++) {
      if (into[i] >= 0 && into[i] < this.facts.vocabSize) continue;
      throw this.#damaged(
        `token ${start + i} is ${into[i] >>> 0}, of ${this.facts.vocabSize} that there are`,
      );
    }
  }

  /** The tokenizer that made the tokens. Rejects with a config error where it is none that is known here. */
  tokenizer(): Promise<Tokenizer> {
    return rebuildTokenizer(this.facts.tokenizer, `${this.path}: `);
  }

  /**
   * Reads all tokens and where documents start; throws a data error unless they are those that were written.
   *
   * @param onProgress Is told how many bytes were read, of how many.
   */
  verify(onProgress?: (bytes: number, totalBytes: number) => void): void {
    const hash = createHash('sha256');
    const end = indexOffset(this.length * this.#width) + 8 * this.facts.documents;
    for (let at = HEAD.length; at < end; at += VERIFIED_BYTES) {
      const piece = this.#at(at, Math.min(VERIFIED_BYTES, end - at));
      hash.update(piece);
      onProgress?.(at - HEAD.length + piece.length, end - HEAD.length);
    }
    if (hash.digest('hex') !== this.facts.sha256)
      throw this.#damaged('its content is not that of its digest');
  }

  /** No reading from here on. */
  close(): void {
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }

  #readStarts(first: number, into: Float64Array): void {
    const at = indexOffset(this.length * this.#width) + 8 * first;
    const { buffer, byteOffset } = this.#at(at, 8 * into.length);
    const words = new Uint32Array(buffer, byteOffset, 2 * into.length);
    for (let i = 0; i < into.length; i++) {
      into[i] = words[2 * i] + 2 ** 32 * words[2 * i + 1];
      if (into[i] <= this.length && (i === 0 || into[i] >= into[i - 1])) continue;
      throw this.#damaged(
        `document ${first + i} starts at token ${into[i]}, of ${this.length} that there are`,
      );
    }
  }

  /** Bytes of the file, until the next call. */
  #at(offset: number, length: number): Buffer {
    if (!this.#open) throw new XlstmError('usage', `${this.path}: is closed`);
    // A file that is replaced by another stays open as it was; one that is written over does not.
    const { size, mtimeMs } = fstatSync(this.#fd);
    if (size !== this.#size || mtimeMs !== this.#mtimeMs) {
      const hint = 'Write token files under a new name, as xlstm tokenize does.';
      throw changedError(this.path, this.#size, size, hint);
    }
    if (this.#bytes.length < length) this.#bytes = Buffer.alloc(length);
    let done = 0;
    while (done < length) {
      const read = this.#readSome(done, length - done, offset + done);
      if (read === 0) throw this.#damaged(`there is nothing at byte ${offset + done}`);
      done += read;
    }
    return this.#bytes.subarray(0, length);
  }

  #readSome(at: number, length: number, offset: number): number {
    try {
      return readSync(this.#fd, this.#bytes, at, length, offset);
    } catch (error) {
      throw new XlstmError('data', `${this.path}: cannot be read (${(error as Error).message})`);
    }
  }

  #readFacts(): TokenFileFacts {
    const size = this.#size;
    const head = this.#at(0, Math.min(size, HEAD.length));
    if (!head.subarray(0, MAGIC_BYTES).equals(HEAD.subarray(0, MAGIC_BYTES))) {
      throw new XlstmError(
        'data',
        `${this.path}: expected a token file, found another`,
        'Make one: xlstm tokenize TEXTS --out FILE',
      );
    }
    if (size >= HEAD.length && !head.equals(HEAD)) {
      throw new XlstmError(
        'data',
        `${this.path}: expected a token file of version ${HEAD[MAGIC_BYTES]}, found version ${head[MAGIC_BYTES]}`,
        'Make it again: xlstm tokenize TEXTS --out FILE',
      );
    }
    if (size < HEAD.length + TRAILER_BYTES) throw this.#cutOff();
    const trailer = Buffer.from(this.#at(size - TRAILER_BYTES, TRAILER_BYTES));
    if (!trailer.subarray(-END.length).equals(END)) throw this.#cutOff();
    const length = Number(trailer.readBigUInt64LE(32));
    const offset = size - TRAILER_BYTES - length;
    if (offset < HEAD.length) throw this.#damaged(`its facts are of ${length} bytes`);
    const json = this.#at(offset, length);
    if (!createHash('sha256').update(json).digest().equals(trailer.subarray(0, 32))) {
      throw this.#damaged('its facts are not those of their digest');
    }
    const { success, output } = v.safeParse(factsSchema, JSON.parse(json.toString()));
    if (!success) throw this.#damaged('its facts are not those of a token file');
    const tokenBytes = output.tokens * tokenWidth(output.dtype);
    if (indexOffset(tokenBytes) + 8 * output.documents === offset) return output;
    throw this.#damaged(
      `${output.tokens} tokens and ${output.documents} documents do not make ${size} bytes`,
    );
  }

  #cutOff(): XlstmError {
    return new XlstmError(
      'data',
      `${this.path}: the token file is cut off: it has ${this.#size} bytes and no end`,
      'Copy it again, or make it again: xlstm tokenize TEXTS --out FILE',
    );
  }

  #damaged(what: string): XlstmError {
    return new XlstmError(
      'data',
      `${this.path}: the token file is damaged: ${what}`,
      'Copy it again, or make it again: xlstm tokenize TEXTS --out FILE',
    );
  }
}

/** Bytes that are read at a time. */
const VERIFIED_BYTES = 2 ** 22;

function openForReading(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const what = missing ? 'there is no such file' : `cannot be read (${(error as Error).message})`;
    throw new XlstmError('data', `${path}: ${what}`, 'Check the path.');
  }
}
