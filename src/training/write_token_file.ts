import { checkNames, checkWhole } from '../checks.ts';
import { type Document, readDocuments } from '../data/text.ts';
import { findTexts, type TextFile } from '../data/text_files.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { TokenFileFacts } from './token_file.ts';
import { type DraftSources, TokenDraft } from './tokenize/draft.ts';
import { createEncoder, type Encoder } from './tokenize/encoder.ts';
import type { EncodedPart } from './tokenize/part.ts';
import { type Part, PartReader } from './tokenize/part_reader.ts';

/**
 * Writes texts as a token file, as they come: what is held in memory is a piece of them. The path gets the whole file or
 * stays as it was. Rejects with a data error for fewer than 2 tokens, and as the texts do.
 *
 * @param parts Texts; those that are too long for one in several, of which the later ones have `continues`.
 */
export async function writeTokenFile(
  path: string,
  tokenizer: Tokenizer,
  parts: AsyncIterable<Document>,
): Promise<TokenFileFacts> {
  const draft = await TokenDraft.open(path, tokenizer, undefined);
  const reader = new PartReader([{ bytes: undefined, read: () => parts }], draft.place);
  return write(draft, createEncoder(tokenizer, 1), reader.parts(), {});
}

/** How texts become a token file. */
export interface TokenizeOptions {
  /** What makes the tokens. */
  readonly tokenizer: Tokenizer;
  /** The field of JSON lines, or the column of Parquet files, that has the text. Default: text. */
  readonly field?: string | undefined;
  /**
   * Threads that encode; the file does not depend on them. More than one rebuild the tokenizer, so that one of a kind of
   * your own works on one alone. Default: 1, the calling one.
   */
  readonly threads?: number;
  /** Ends it when it aborts, with its reason as the error: what was written stays, and the next call goes on from there. */
  readonly signal?: AbortSignal;
  /** Called as tokens are written. */
  readonly onProgress?: (progress: TokenizeProgress) => void;
}

/** How far tokenizing is. */
export interface TokenizeProgress {
  /** Bytes of the files whose tokens are written. */
  readonly bytes: number;
  /** Those of them whose tokens were there when it began. */
  readonly bytesBefore: number;
  /** Of all files; undefined where one is a pipe. */
  readonly totalBytes: number | undefined;
  /** In the file, those that were there when it began included. */
  readonly tokens: number;
}

/** UTF-16 units that are encoded at a time. Tokens of longer texts may differ where they are cut. */
const PIECE = 2 ** 22;

/**
 * Writes the texts of files as a token file; each file, or record of one, is a document. The path gets the whole file or
 * nothing. Until then what is done lies in the folder `<path>.partial`: a call that follows one that failed or was killed
 * goes on from there, to the same bytes (texts from pipes are begun anew). Rejects with a data error where the files or
 * the tokenizer are not those of before, and where files cannot be read.
 *
 * @param paths Files, folders, patterns, and '-' for standard input.
 * @param path The token file.
 * @param options The tokenizer, and more.
 */
export async function tokenizeTexts(
  paths: readonly string[],
  path: string,
  options: TokenizeOptions,
): Promise<TokenFileFacts> {
  checkNames('tokenizeTexts', options, ['tokenizer', 'field', 'threads', 'signal', 'onProgress']);
  const { tokenizer, field, threads = 1, signal, onProgress } = options;
  checkWhole('threads', threads, 1);
  const files = await findTexts(paths);
  const draft = await TokenDraft.open(path, tokenizer, sourcesOf(files, field));
  const reader = new PartReader(
    files.map((file) => ({
      bytes: file.bytes,
      read: (onBytes, from) => readDocuments(file, PIECE, { onBytes, field, from }),
    })),
    draft.place,
  );
  const onPart = (bytes: number): void => {
    const { bytesBefore, totalBytes } = reader;
    onProgress?.({ bytes, bytesBefore, totalBytes, tokens: draft.tokens });
  };
  return write(draft, createEncoder(tokenizer, threads), reader.parts(), { signal, onPart });
}

function sourcesOf(files: readonly TextFile[], field: string | undefined): DraftSources | undefined {
  const texts = files.flatMap(({ name, bytes, modifiedMs }) =>
    bytes === undefined || modifiedMs === undefined ? [] : [{ name, bytes, modifiedMs }],
  );
  return texts.length < files.length ? undefined : { texts, field: field ?? null };
}

async function write(
  draft: TokenDraft,
  encoder: Encoder,
  parts: AsyncIterable<Part>,
  { signal, onPart }: { readonly signal?: AbortSignal; readonly onPart?: (bytesRead: number) => void },
): Promise<TokenFileFacts> {
  try {
    for await (const { encoded, part } of encodedInOrder(parts, encoder)) {
      await draft.append(encoded, part.after);
      onPart?.(part.bytesRead);
      signal?.throwIfAborted();
    }
    return await draft.finish();
  } catch (error) {
    if (signal?.aborted && draft.tokens > 0) await draft.keep();
    throw error;
  } finally {
    await encoder.close();
    await draft.close();
  }
}

interface Encoding {
  readonly part: Part;
  readonly encoded: Promise<EncodedPart>;
  done: boolean;
}

/** Encodes parts, several at a time, and gives them in their order. */
async function* encodedInOrder(
  parts: AsyncIterable<Part>,
  encoder: Encoder,
): AsyncGenerator<{ readonly part: Part; readonly encoded: EncodedPart }> {
  const ahead: Encoding[] = [];
  const first = async (): Promise<{ readonly part: Part; readonly encoded: EncodedPart }> => {
    const { part, encoded } = ahead.shift() as Encoding;
    return { part, encoded: await encoded };
  };
  for await (const part of parts) {
    const encoding: Encoding = { part, encoded: encoder.encode(part.documents), done: false };
    // Where it fails, that is told when its turn comes.
    const settled = (): void => {
      encoding.done = true;
    };
    encoding.encoded.then(settled, settled);
    ahead.push(encoding);
    while (ahead.length >= encoder.parallel || ahead[0]?.done) yield await first();
  }
  while (ahead.length > 0) yield await first();
}
