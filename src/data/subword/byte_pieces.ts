import { XlstmError } from '../../errors.ts';
import { joinBytes } from '../tokenizer.ts';
import { bytesOfToken } from './byte_alphabet.ts';
import type { TokenizerJson } from './tokenizer_json.ts';

/** What the ids of a byte-level tokenizer stand for. */
export class BytePieces {
  /** By id: bytes, or a text that begins anew. Undefined where an id stands for nothing. */
  readonly #pieces: readonly (Uint8Array | string | undefined)[];
  readonly #idOfByte = new Map<number, number>();

  constructor({ added_tokens }: TokenizerJson, ids: ReadonlyMap<string, number>, vocabSize: number) {
    const pieces = new Array<Uint8Array | string | undefined>(vocabSize).fill(undefined);
    for (const [token, id] of ids) pieces[id] = bytesOfToken(token) ?? token;
    for (const { content, id } of added_tokens) pieces[id] = content;
    for (const [id, piece] of pieces.entries()) {
      if (piece instanceof Uint8Array && piece.length === 1) this.#idOfByte.set(piece[0], id);
    }
    this.#pieces = pieces;
  }

  at(id: number): Uint8Array | string | undefined {
    return this.#pieces[id];
  }

  /** The bytes of ids; of a text those of UTF-8. */
  join(ids: ArrayLike<number>): Uint8Array {
    return joinBytes(ids, (id) => {
      const piece = this.#pieces[id];
      return typeof piece === 'string' ? new TextEncoder().encode(piece) : piece;
    });
  }

  /** Tokens of one byte each. Throws a data error for a byte that has none. */
  spell(bytes: Uint8Array): Int32Array {
    return Int32Array.from(bytes, (byte) => {
      const id = this.#idOfByte.get(byte);
      if (id !== undefined) return id;
      throw new XlstmError(
        'data',
        `encodeBytes: expected bytes that the tokenizer has tokens for, found 0x${byte.toString(16)}, which has none`,
      );
    });
  }
}
