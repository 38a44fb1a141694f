import { createHash, type Hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { syncFolder, writeError, writeFileAtomic } from '../../checkpoints/files.ts';
import { readJsonFile } from '../../checkpoints/json_file.ts';
import { FileLock, takingOver } from '../../checkpoints/lock.ts';
import type { Tokenizer } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import {
  describeForTokens,
  dtypeOf,
  END,
  HEAD,
  indexOffset,
  type TokenFileFacts,
  tokenWidth,
} from '../token_file.ts';
import type { EncodedPart } from './part.ts';
import type { Place } from './part_reader.ts';

/*
 * A token file that is being written, FILE.partial/:
 *   tokens          the beginning of the file, as far as it is
 *   documents       where documents start, 8 bytes each
 *   sources.json    what it is made of
 *   progress.json   how much of the two is right, and where reading stands after that
 *   lock            while a process writes it
 * What lies in the two behind what progress.json says is written anew.
 */
const NAMES = ['tokens', 'documents', 'sources.json', 'progress.json'] as const;

/** What a text is told from another by: where it lies, its size, when it was changed. */
export interface SourceMark {
  readonly name: string;
  readonly bytes: number;
  readonly modifiedMs: number;
}

/** What tokens are made of. */
export interface DraftSources {
  /** The texts in their order. */
  readonly texts: readonly SourceMark[];
  /** The field of records that is read. */
  readonly field: string | null;
}

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const sourcesSchema = v.object({
  version: v.literal(HEAD[8]),
  tokenizer: v.string(),
  vocabSize: whole,
  field: v.nullable(v.string()),
  texts: v.array(v.object({ name: v.string(), bytes: whole, modifiedMs: v.number() })),
});
const progressSchema = v.object({
  tokens: whole,
  documents: whole,
  sha256: v.string(),
  place: v.object({
    ...{ source: whole, pieces: whole },
    next: v.optional(v.object({ byte: whole, lines: whole })),
  }),
});

/** Milliseconds of work that a process which is killed may lose. */
const KEPT_EVERY_MS = 1000;

/** Bytes that are read at a time. */
const PIECE_BYTES = 2 ** 22;

/** A token file on its way: what was written stays when the process ends, and the next one goes on from there. */
export class TokenDraft {
  /** The folder that it lies in until it is whole. */
  readonly folder: string;
  /** Where reading goes on. */
  place: Place = { source: 0, pieces: 0 };
  /** So far. */
  tokens = 0;
  /** So far. */
  documents = 0;
  readonly #path: string;
  readonly #tokenizer: Tokenizer;
  readonly #lock: FileLock;
  readonly #canGoOn: boolean;
  readonly #keptEveryMs: number;
  readonly #hash: Hash = createHash('sha256');
  #files: { readonly tokens: FileHandle; readonly documents: FileHandle } | undefined;
  /** Where the next bytes go. */
  #ends = { tokens: 0, documents: 0 };
  /** The first part is kept at once. */
  #lastKept = Number.NEGATIVE_INFINITY;
  /** There is something to go on from. */
  #kept = false;

  private constructor(
    path: string,
    tokenizer: Tokenizer,
    lock: FileLock,
    canGoOn: boolean,
    keptEveryMs: number,
  ) {
    this.folder = partialFolder(path);
    this.#path = path;
    this.#tokenizer = tokenizer;
    this.#lock = lock;
    this.#canGoOn = canGoOn;
    this.#keptEveryMs = keptEveryMs;
  }

  /**
   * Begins a file, or goes on with what an earlier process left of it. To be closed at the end. Rejects with a data error
   * where that was made of other sources or with another tokenizer, and where another process is at work on it.
   *
   * @param sources Undefined where nobody could tell them from others: nothing is kept of a file that does not become whole.
   */
  static async open(
    path: string,
    tokenizer: Tokenizer,
    sources: DraftSources | undefined,
    keptEveryMs = KEPT_EVERY_MS,
  ): Promise<TokenDraft> {
    const folder = partialFolder(path);
    await makePartialFolder(path, folder);
    const lock = await FileLock.acquire(join(folder, 'lock'), folder);
    const draft = new TokenDraft(path, tokenizer, lock, sources !== undefined, keptEveryMs);
    try {
      const kept = await readProgress(folder);
      if (kept) await draft.#resume(kept, sources);
      else await draft.#begin(sources);
      return draft;
    } catch (error) {
      await draft.close();
      throw writeError(path, error);
    }
  }

  /** Adds the tokens of a part, of which reading has come to a place. */
  async append({ bytes, tokens, starts }: EncodedPart, after: Place): Promise<void> {
    const index = Buffer.alloc(8 * starts.length);
    for (const [i, start] of starts.entries()) index.writeBigUInt64LE(BigInt(this.tokens + start), 8 * i);
    await this.#write('tokens', bytes);
    await this.#write('documents', index);
    this.#hash.update(bytes);
    this.tokens += tokens;
    this.documents += starts.length;
    this.place = after;
    if (performance.now() - this.#lastKept >= this.#keptEveryMs) await this.keep();
  }

  /** From here on, what was added is there for a later process. */
  async keep(): Promise<void> {
    if (!this.#canGoOn) return;
    const progress: v.InferOutput<typeof progressSchema> = {
      tokens: this.tokens,
      documents: this.documents,
      sha256: this.#hash.copy().digest('hex'),
      place: this.place,
    };
    try {
      await this.#open.tokens.datasync();
      await this.#open.documents.datasync();
      await writeFileAtomic(join(this.folder, 'progress.json'), JSON.stringify(progress));
    } catch (error) {
      throw this.#writeError(error);
    }
    this.#kept = true;
    this.#lastKept = performance.now();
  }

  /** Adds what follows the tokens, and gives the file its name. Rejects with a data error for fewer than 2 tokens. */
  async finish(): Promise<TokenFileFacts> {
    if (this.tokens < 2) {
      throw new XlstmError('data', `expected texts of at least 2 tokens, found ${this.tokens}`);
    }
    const { vocabSize } = this.#tokenizer;
    const dtype = dtypeOf(this.#tokenizer);
    const tokenBytes = this.tokens * tokenWidth(dtype);
    const add = async (bytes: Uint8Array): Promise<void> => {
      this.#hash.update(bytes);
      await this.#write('tokens', bytes);
    };
    await add(new Uint8Array(indexOffset(tokenBytes) - HEAD.length - tokenBytes));
    for await (const piece of piecesOf(this.#open.documents, 0, 8 * this.documents)) await add(piece);
    const facts: TokenFileFacts = {
      tokens: this.tokens,
      documents: this.documents,
      dtype,
      vocabSize,
      sha256: this.#hash.digest('hex'),
      tokenizer: describeForTokens(this.#tokenizer),
    };
    const json = Buffer.from(JSON.stringify(facts));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    await this.#write(
      'tokens',
      Buffer.concat([json, createHash('sha256').update(json).digest(), length, END]),
    );
    try {
      await this.#open.tokens.sync();
      await rename(join(this.folder, 'tokens'), this.#path);
      await syncFolder(dirname(this.#path));
    } catch (error) {
      throw this.#writeError(error);
    }
    this.#kept = false;
    return facts;
  }

  /** Lets go of the files. Of a file that is whole, or of which nothing was kept, no more than it is left. */
  async close(): Promise<void> {
    await this.#files?.tokens.close();
    await this.#files?.documents.close();
    if (!this.#kept) {
      for (const name of await readdir(this.folder).catch((): string[] => [])) {
        if (isOurs(name)) await rm(join(this.folder, name), { force: true }).catch(() => undefined);
      }
    }
    await this.#lock.release();
    // Another process may have taken it by now.
    if (!this.#kept) await rmdir(this.folder).catch(() => undefined);
  }

  get #open(): { readonly tokens: FileHandle; readonly documents: FileHandle } {
    if (this.#files) return this.#files;
    throw new XlstmError('internal', `${this.folder}: is not open`);
  }

  async #begin(sources: DraftSources | undefined): Promise<void> {
    await this.#openFiles('w+');
    await this.#write('tokens', HEAD);
    if (!sources) return;
    const json = JSON.stringify({ ...this.#marks(), ...sources });
    await writeFileAtomic(join(this.folder, 'sources.json'), json);
  }

  async #resume(kept: Kept, sources: DraftSources | undefined): Promise<void> {
    this.#kept = true;
    const difference = sources
      ? differenceOf(kept.sources, { ...this.#marks(), ...sources })
      : 'it was made of files, now of standard input or a pipe';
    if (difference) {
      throw new XlstmError(
        'data',
        `${this.folder}: cannot go on with this unfinished token file: ${difference}`,
        `Give the same texts and tokenizer as before, or delete the folder ${this.folder} to begin anew.`,
      );
    }
    const { tokens, documents, sha256, place } = kept.progress;
    const end = HEAD.length + tokens * tokenWidth(dtypeOf(this.#tokenizer));
    await this.#openFiles('r+');
    for await (const piece of piecesOf(this.#open.tokens, HEAD.length, end)) this.#hash.update(piece);
    const { size } = await this.#open.documents.stat();
    if (this.#hash.copy().digest('hex') !== sha256 || size < 8 * documents) {
      throw new XlstmError(
        'data',
        `${this.folder}: the unfinished token file is damaged: it does not hold what it did when it was kept`,
        `Delete the folder ${this.folder} to begin anew.`,
      );
    }
    await this.#open.tokens.truncate(end);
    await this.#open.documents.truncate(8 * documents);
    this.#ends = { tokens: end, documents: 8 * documents };
    Object.assign(this, { tokens, documents, place });
  }

  #marks(): Pick<Kept['sources'], 'version' | 'tokenizer' | 'vocabSize'> {
    const { fingerprint } = describeForTokens(this.#tokenizer);
    return { version: HEAD[8], tokenizer: fingerprint, vocabSize: this.#tokenizer.vocabSize };
  }

  async #openFiles(flags: 'w+' | 'r+'): Promise<void> {
    const tokens = await open(join(this.folder, 'tokens'), flags);
    this.#files = { tokens, documents: await open(join(this.folder, 'documents'), flags) };
  }

  async #write(name: 'tokens' | 'documents', bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#open[name].write(
          bytes,
          done,
          bytes.length - done,
          this.#ends[name] + done,
        );
        done += bytesWritten;
      }
    } catch (error) {
      throw this.#writeError(error);
    }
    this.#ends[name] += bytes.length;
  }

  #writeError(error: unknown): unknown {
    const found = writeError(this.#path, error);
    if (!(found instanceof XlstmError) || found === error) return found;
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOSPC' && code !== 'EDQUOT' && code !== 'EFBIG') return found;
    return new XlstmError(
      found.code,
      found.message,
      this.#kept
        ? `Make room and give the same command again: it goes on from ${this.folder}.`
        : 'Make room, or choose another disk; nothing was left on this one.',
    );
  }
}

/** Where a token file lies until it is whole. */
export const partialFolder = (path: string): string => `${path}.partial`;

/** A file of a draft, or what a crash left of writing one. */
const isOurs = (name: string): boolean => NAMES.some((each) => name === each || name.startsWith(`${each}.`));

async function makePartialFolder(path: string, folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw writeError(path, error);
    const found = await readdir(folder).catch(() => ['a file of that name']);
    const other = found.find((name) => !isOurs(name) && name !== 'lock' && name !== takingOver('lock'));
    if (other === undefined) return;
    throw new XlstmError(
      'data',
      `${folder}: expected an unfinished token file, or nothing, found ${other}`,
      'Move it, or name another file with --out.',
    );
  }
}

interface Kept {
  readonly sources: v.InferOutput<typeof sourcesSchema>;
  readonly progress: v.InferOutput<typeof progressSchema>;
}

/** What an earlier process left to go on from; undefined: nothing. */
async function readProgress(folder: string): Promise<Kept | undefined> {
  const progress = await readJsonFile(join(folder, 'progress.json'), 'data');
  // Without its tokens it is one that became whole.
  if (progress === undefined || !existsSync(join(folder, 'tokens'))) return undefined;
  const sources = await readJsonFile(join(folder, 'sources.json'), 'data');
  const read = v.safeParse(v.object({ sources: sourcesSchema, progress: progressSchema }), {
    sources,
    progress,
  });
  if (read.success) return read.output;
  throw new XlstmError(
    'data',
    `${folder}: the unfinished token file is damaged, or of another version of xlstm: ${v.getDotPath(read.issues[0]) ?? 'its JSON'}`,
    `Delete the folder ${folder} to begin anew.`,
  );
}

/** In which way sources are not those of before, for people. */
function differenceOf(
  before: Kept['sources'],
  now: Omit<Kept['sources'], 'texts'> & DraftSources,
): string | undefined {
  if (before.tokenizer !== now.tokenizer) {
    return `the tokenizer is another: one of ${now.vocabSize} tokens with the digest ${now.tokenizer.slice(0, 12)}, before one of ${before.vocabSize}, ${before.tokenizer.slice(0, 12)}`;
  }
  if (before.field !== now.field) {
    return `the field of records is ${now.field ?? 'text'}, before ${before.field ?? 'text'}`;
  }
  for (const [i, text] of before.texts.entries()) {
    const found = now.texts[i];
    if (!found) return `${text.name} is not among the texts any more`;
    if (found.name !== text.name) return `text ${i + 1} is ${found.name}, before ${text.name}`;
    if (found.bytes !== text.bytes) {
      return `${text.name} has changed: ${found.bytes} bytes, before ${text.bytes}`;
    }
    if (found.modifiedMs !== text.modifiedMs) {
      const [then, there] = [text, found].map(({ modifiedMs }) => new Date(modifiedMs).toISOString());
      return `${text.name} has changed: it was written at ${there}, before at ${then}`;
    }
  }
  const more = now.texts[before.texts.length];
  return more && `${more.name} is new among the texts`;
}

/** The bytes of a file from one offset to before another, as far as there are so many. */
async function* piecesOf(file: FileHandle, from: number, to: number): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; ) {
    const length = Math.min(PIECE_BYTES, to - at);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}
