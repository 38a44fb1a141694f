import type { Document } from '../../data/text.ts';
import { startToken, type Tokenizer } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import { dtypeOf } from '../token_file.ts';

/** The tokens of a part, as they lie in a token file. */
export interface EncodedPart {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly tokens: number;
  /** Tokens of the part before each document that starts in it. */
  readonly starts: Float64Array<ArrayBuffer>;
}

/** The tokens of texts. Throws a data error that names the text for what has no token. */
export function encodePart(tokenizer: Tokenizer, documents: readonly Document[]): EncodedPart {
  const start = startToken(tokenizer);
  const pieces: Int32Array[] = [];
  const starts: number[] = [];
  let tokens = 0;
  const add = (ids: Int32Array): void => {
    pieces.push(ids);
    tokens += ids.length;
  };
  for (const { name, text, continues } of documents) {
    if (!continues) {
      starts.push(tokens);
      if (start !== undefined) add(Int32Array.of(start));
    }
    try {
      add(tokenizer.encode(text));
    } catch (error) {
      if (!(error instanceof XlstmError)) throw error;
      throw new XlstmError(error.code, `${name}: ${error.message}`, error.hint);
    }
  }
  const words = dtypeOf(tokenizer) === 'u16' ? new Uint16Array(tokens) : new Uint32Array(tokens);
  let at = 0;
  for (const ids of pieces) {
    words.set(ids, at);
    at += ids.length;
  }
  return { bytes: new Uint8Array(words.buffer), tokens, starts: Float64Array.from(starts) };
}
