import { XlstmError } from '../errors.ts';

/** The special token that starts a document. */
export const DOCUMENT = '<|document|>';

/** Turns token ids into text as they come. */
export interface StreamingDecoder {
  /** The text that became complete with this token: '' in the middle of a character of several bytes. */
  push(id: number): string;
  /** What an unfinished character leaves (U+FFFD, or nothing); the decoder is then as new. */
  flush(): string;
}

export interface Tokenizer {
  readonly vocabSize: number;
  /** Special tokens by name. `encode` never makes them: text that spells a name is encoded like any other text. */
  readonly specials: ReadonlyMap<string, number>;
  encode(text: string): Int32Array;
  decode(ids: ArrayLike<number>): string;
  decoder(): StreamingDecoder;
  /** What rebuilds the tokenizer; stored in a checkpoint. */
  toJSON(): TokenizerDescription;
}

export interface TokenizerDescription {
  readonly type: 'byte';
  readonly specials: readonly string[];
}

/** Ids 0 to 255 are the bytes of UTF-8; special tokens follow in the order given. */
export class ByteTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly specials: ReadonlyMap<string, number>;
  readonly #names: readonly string[];

  constructor(specials: readonly string[] = []) {
    if (new Set(specials).size !== specials.length || specials.includes('')) {
      throw new XlstmError(
        'config',
        `special tokens need distinct, non-empty names, found ${JSON.stringify(specials)}`,
      );
    }
    this.#names = [...specials];
    this.specials = new Map(specials.map((name, index) => [name, 256 + index]));
    this.vocabSize = 256 + specials.length;
  }

  encode(text: string): Int32Array {
    return Int32Array.from(new TextEncoder().encode(text));
  }

  decode(ids: ArrayLike<number>): string {
    const decoder = this.decoder();
    let text = '';
    for (let index = 0; index < ids.length; index++) text += decoder.push(ids[index]);
    return text + decoder.flush();
  }

  decoder(): StreamingDecoder {
    // ignoreBOM keeps a byte order mark in the text instead of dropping it.
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
    const byte = new Uint8Array(1);
    return {
      push: (id) => {
        if (!Number.isInteger(id) || id < 0 || id >= this.vocabSize) {
          throw new XlstmError(
            'data',
            `token ids of this tokenizer are 0 to ${this.vocabSize - 1}, found ${id}`,
          );
        }
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
}

/** Rebuilds the tokenizer that `toJSON` described. */
export function createTokenizer(description: unknown, source = 'tokenizer'): Tokenizer {
  const { type, specials } = (description ?? {}) as Partial<TokenizerDescription>;
  if (type !== 'byte' || !Array.isArray(specials) || !specials.every((name) => typeof name === 'string')) {
    throw new XlstmError(
      'config',
      `${source}: expected {"type": "byte", "specials": [names]}, found ${JSON.stringify(description)}`,
    );
  }
  return new ByteTokenizer(specials);
}

/** One token stream of several documents; each starts with the document token if the tokenizer has one. */
export function encodeDocuments(tokenizer: Tokenizer, documents: readonly string[]): Int32Array {
  const start = tokenizer.specials.get(DOCUMENT);
  const encoded = documents.map((text) => tokenizer.encode(text));
  const extra = start === undefined ? 0 : 1;
  const stream = new Int32Array(encoded.reduce((total, ids) => total + ids.length + extra, 0));
  let at = 0;
  for (const ids of encoded) {
    if (start !== undefined) stream[at++] = start;
    stream.set(ids, at);
    at += ids.length;
  }
  return stream;
}
