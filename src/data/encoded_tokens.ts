import { XlstmError } from '../errors.ts';
import type { TokenSource } from './token_source.ts';
import { startToken, type Tokenizer } from './tokenizer.ts';

/** Tokens of a block: what grows is a list of blocks, so that nothing is copied as there are more. */
const BLOCK = 2 ** 20;

/** Most ids that 16 bits tell apart. */
const MOST_U16 = 2 ** 16;

/** Tokens in memory, in 16 bits each where the vocabulary allows it. */
class EncodedTokens implements TokenSource {
  length = 0;
  readonly #vocabSize: number;
  readonly #blocks: (Uint16Array | Uint32Array)[] = [];

  constructor(vocabSize: number) {
    this.#vocabSize = vocabSize;
  }

  push(ids: ArrayLike<number>): void {
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      if (!(Number.isInteger(id) && id >= 0 && id < this.#vocabSize)) {
        throw new XlstmError(
          'data',
          `the tokenizer gave the token ${id}, of ${this.#vocabSize} that it says it has`,
        );
      }
      const at = this.length % BLOCK;
      if (at === 0) this.#blocks.push(this.#newBlock());
      this.#blocks[this.#blocks.length - 1][at] = id;
      this.length++;
    }
  }

  read(start: number, into: Int32Array): void {
    for (let done = 0; done < into.length; ) {
      const at = (start + done) % BLOCK;
      const count = Math.min(into.length - done, BLOCK - at);
      const block = this.#blocks[Math.floor((start + done) / BLOCK)];
      into.set(block.subarray(at, at + count), done);
      done += count;
    }
  }

  #newBlock(): Uint16Array | Uint32Array {
    return this.#vocabSize <= MOST_U16 ? new Uint16Array(BLOCK) : new Uint32Array(BLOCK);
  }
}

/**
 * The tokens of texts, one after another, each behind the token that goes before a text, if there is one; a part that
 * `continues` the one before does not begin a text. Throws a data error for an id that the tokenizer does not have.
 */
export function encodeTexts(
  tokenizer: Tokenizer,
  parts: Iterable<{ readonly text: string; readonly continues?: true }>,
): TokenSource {
  const tokens = new EncodedTokens(tokenizer.vocabSize);
  const start = startToken(tokenizer);
  for (const { text, continues } of parts) {
    if (start !== undefined && !continues) tokens.push([start]);
    tokens.push(tokenizer.encode(text));
  }
  return tokens;
}
