import { checkOption } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';

/** The special token that starts a document. */
export const DOCUMENT = '<|document|>';

/** Turns token ids into text as they come. */
export interface StreamingDecoder {
  /** The text that became complete with this token: '' in the middle of a character of several bytes. */
  push(id: number): string;
  /** What an unfinished character leaves (U+FFFD, or nothing); the decoder is then as new. */
  flush(): string;
}

/** Texts to token ids and back. A class of one's own is one; with `registerTokenizer` checkpoints can hold it. */
export interface Tokenizer {
  /** Ids are whole numbers from 0 to vocabSize − 1. */
  readonly vocabSize: number;
  /** Special tokens by name. `encode` never makes them: text that spells a name is encoded like any other text. */
  readonly specials: ReadonlyMap<string, number>;
  /** The token that goes before a text. Left out: the special token `DOCUMENT`, if there is one. */
  readonly start?: number | undefined;
  /** Tokens by which a model says that a text is at its end, besides that start. Left out: none. */
  readonly ends?: ReadonlySet<number>;
  /** The ids of a text, in its order. */
  encode(text: string): Int32Array;
  /** The text of ids; of a special one its name. */
  decode(ids: ArrayLike<number>): string;
  /** For ids that come one by one; each has a state of its own. */
  decoder(): StreamingDecoder;
  /** Plain JSON that rebuilds the tokenizer; stored in a checkpoint. */
  toJSON(): TokenizerDescription;
}

/** What tokenizer.json holds. */
export interface TokenizerDescription {
  /** Which of the registered kinds of tokenizer rebuilds it. */
  readonly type: string;
  readonly [key: string]: unknown;
}

/** Ids 0 to 255 are the bytes of UTF-8; special tokens follow in the order given. */
export class ByteTokenizer implements Tokenizer {
  /** 256 and one for each special token. */
  readonly vocabSize: number;
  readonly specials: ReadonlyMap<string, number>;
  readonly #names: readonly string[];

  /** Throws a config error that begins with `source` for names that are empty or the same. */
  constructor(specials: readonly string[] = [], source = 'tokenizer') {
    checkSpecials(specials, source);
    this.#names = [...specials];
    this.specials = new Map(specials.map((name, index) => [name, 256 + index]));
    this.vocabSize = 256 + specials.length;
  }

  /** The bytes of the text. Throws a usage error for what is no text. */
  encode(text: string): Int32Array {
    checkOption(typeof text === 'string', 'encode', 'a text', text);
    return new Int32Array(new TextEncoder().encode(text));
  }

  /**
   * The text of bytes, U+FFFD where they are no UTF-8, and the names of special tokens. Throws a data error for an id
   * that is none.
   */
  decode(ids: ArrayLike<number>): string {
    const decoder = this.decoder();
    let text = '';
    for (let index = 0; index < ids.length; index++) text += decoder.push(ids[index]);
    return text + decoder.flush();
  }

  /** The ids of bytes, UTF-8 or not. Throws a usage error for what is no Uint8Array. */
  encodeBytes(bytes: Uint8Array): Int32Array {
    checkOption(bytes instanceof Uint8Array, 'encodeBytes', 'a Uint8Array', bytes);
    return new Int32Array(bytes);
  }

  /** The bytes of ids: those that `encodeBytes` was given. Of a special one the bytes of its name. */
  decodeBytes(ids: ArrayLike<number>): Uint8Array {
    return joinBytes(ids, (id) => {
      this.#check(id);
      return id < 256 ? Uint8Array.of(id) : new TextEncoder().encode(this.#names[id - 256]);
    });
  }

  /** For ids that come one by one; its `push` throws a data error for an id that is none. */
  decoder(): StreamingDecoder {
    // ignoreBOM keeps a byte order mark in the text instead of dropping it.
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
    const byte = new Uint8Array(1);
    return {
      push: (id) => {
        this.#check(id);
        if (id >= 256) return utf8.decode() + this.#names[id - 256];
        byte[0] = id;
        return utf8.decode(byte, { stream: true });
      },
      flush: () => utf8.decode(),
    };
  }

  toJSON(): TokenizerDescription {
    return { type: 'byte', specials: this.#names };
  }

  #check(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.vocabSize) return;
    throw new XlstmError('data', `token ids of this tokenizer are 0 to ${this.vocabSize - 1}, found ${id}`);
  }
}

function checkSpecials(specials: readonly string[], source: string): void {
  const names = Array.isArray(specials) && specials.every((name) => typeof name === 'string' && name !== '');
  if (names && new Set(specials).size === specials.length) return;
  throw new XlstmError(
    'config',
    `${source}: special tokens need distinct, non-empty names, found ${quote(specials)}`,
  );
}

/** The bytes of ids, one after another. */
export function joinBytes(
  ids: ArrayLike<number>,
  bytesOf: (id: number) => Uint8Array | undefined,
): Uint8Array {
  let joined = new Uint8Array(4 * ids.length + 16);
  let end = 0;
  for (let index = 0; index < ids.length; index++) {
    const bytes = bytesOf(ids[index]);
    if (bytes === undefined) continue;
    if (end + bytes.length > joined.length) {
      const larger = new Uint8Array(2 * joined.length + bytes.length);
      larger.set(joined);
      joined = larger;
    }
    joined.set(bytes, end);
    end += bytes.length;
  }
  return joined.slice(0, end);
}

/** The token that goes before a text: `start` of the tokenizer, or else the special token `DOCUMENT`. */
export const startToken = ({ start, specials }: Tokenizer): number | undefined =>
  start ?? specials.get(DOCUMENT);

/** One token stream of several documents; each follows the token that goes before a text, if there is one. */
export const encodeDocuments = (tokenizer: Tokenizer, documents: readonly string[]): Int32Array =>
  encodeParts(
    tokenizer,
    documents.map((text) => ({ text })),
  );

/** As `encodeDocuments`; a part that `continues` the one before does not begin a document. */
export function encodeParts(
  tokenizer: Tokenizer,
  parts: readonly { readonly text: string; readonly continues?: true }[],
): Int32Array {
  const start = startToken(tokenizer);
  const encoded = parts.flatMap(({ text, continues }) =>
    start === undefined || continues
      ? [tokenizer.encode(text)]
      : [Int32Array.of(start), tokenizer.encode(text)],
  );
  return concatIds(encoded);
}

/** Ids, one list after another. */
export function concatIds(lists: readonly ArrayLike<number>[]): Int32Array {
  const all = new Int32Array(lists.reduce((total, ids) => total + ids.length, 0));
  let at = 0;
  for (const ids of lists) {
    all.set(ids, at);
    at += ids.length;
  }
  return all;
}
