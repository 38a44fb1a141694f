import { checkOption, checkRange } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import { type DocumentIndex, joinIndexes, repeatIndex, sliceIndex } from './document_index.ts';

/** Tokens in a row that lie in memory or elsewhere, a file for one: read by windows. */
export interface TokenSource {
  /** How many there are. */
  readonly length: number;
  /**
   * What tells these tokens from others, where that is known without reading them all: a digest. Left out: the tokens
   * themselves.
   */
  readonly identity?: string;
  /** Where documents begin. Left out: it does not say. */
  readonly documents?: DocumentIndex | undefined;
  /**
   * Fills `into` with the tokens from `start` on; all of them have to be there. Throws a data error for tokens that
   * cannot be read, or are no longer what they were.
   */
  read(start: number, into: Int32Array): void;
}

/** Tokens as a program has them: in an array, or behind a source. */
export type Tokens = Int32Array | TokenSource;

/** Ids are whole numbers of 32 bits. */
const MOST_IDS = 2 ** 31;

/**
 * A source of tokens; an array is not copied. Throws a usage error that begins with `name` for what is neither, and for
 * an array with a number in it that is no id.
 */
export function tokenSource(tokens: Tokens, name = 'tokens'): TokenSource {
  if (tokens instanceof Int32Array) {
    checkRange(name, tokens, { ids: MOST_IDS });
    return arraySource(tokens);
  }
  const { length, read } = tokens ?? {};
  const right = Number.isSafeInteger(length) && length >= 0 && typeof read === 'function';
  checkOption(right, name, 'an Int32Array, or a source with length and read', tokens);
  return tokens;
}

/** The numbers of an array, unchecked. */
export function arraySource(tokens: ArrayLike<number>): TokenSource {
  const read =
    tokens instanceof Int32Array
      ? (start: number, into: Int32Array): void => into.set(tokens.subarray(start, start + into.length))
      : (start: number, into: Int32Array): void => {
          for (let i = 0; i < into.length; i++) into[i] = tokens[start + i];
        };
  return { length: tokens.length, read };
}

/** A part of a source, from `start` to before `end`, as far as there are so many. */
export function sliceTokens(source: TokenSource, start: number, end: number = source.length): TokenSource {
  const last = Math.min(end, source.length);
  const identity = source.identity === undefined ? undefined : `${source.identity} ${start} to ${last}`;
  return {
    length: Math.max(0, last - start),
    ...(identity === undefined ? {} : { identity }),
    get documents() {
      return source.documents && sliceIndex(source.documents, start, last);
    },
    read: (from, into) => source.read(start + from, into),
  };
}

/** Sources one after another. */
export function joinTokens(sources: readonly TokenSource[]): TokenSource {
  if (sources.length === 1) return sources[0];
  const starts = [0];
  for (const { length } of sources) starts.push(starts[starts.length - 1] + length);
  const known = sources.every(({ identity }) => identity !== undefined);
  return {
    length: starts[sources.length],
    ...(known ? { identity: sources.map(({ identity }) => identity).join(', ') } : {}),
    get documents() {
      const indexes = sources.flatMap(({ documents }) => documents ?? []);
      return indexes.length < sources.length ? undefined : joinIndexes(indexes, starts);
    },
    read(start, into) {
      for (const [i, source] of sources.entries()) {
        const from = Math.max(start, starts[i]);
        const end = Math.min(start + into.length, starts[i + 1]);
        if (from < end) source.read(from - starts[i], into.subarray(from - start, end - start));
      }
    },
  };
}

/**
 * Sources one after another, each so often that its tokens have their share of all; the least repeated is there once,
 * others are cut off in their last repetition. Throws a data error for one without tokens.
 */
export function weighTokens(sources: readonly TokenSource[], weights: readonly number[]): TokenSource {
  const empty = sources.findIndex(({ length }) => length === 0);
  if (empty >= 0) throw new XlstmError('data', `source ${empty + 1} has no tokens to train on`);
  const total = Math.max(...sources.map(({ length }, i) => length / weights[i]));
  return joinTokens(sources.map((source, i) => repeatTokens(source, Math.round(total * weights[i]))));
}

function repeatTokens(source: TokenSource, length: number): TokenSource {
  const { identity } = source;
  return {
    length,
    ...(identity === undefined ? {} : { identity: `${length} of ${identity}` }),
    get documents() {
      return source.documents && repeatIndex(source.documents, source.length, length);
    },
    read(start, into) {
      for (let done = 0; done < into.length; ) {
        const from = (start + done) % source.length;
        const part = into.subarray(done, Math.min(into.length, done + source.length - from));
        source.read(from, part);
        done += part.length;
      }
    },
  };
}

/** Copies of at most `count` tokens, the first ones. */
export function firstTokens(source: TokenSource, count: number): Int32Array {
  const tokens = new Int32Array(Math.min(count, source.length));
  source.read(0, tokens);
  return tokens;
}
