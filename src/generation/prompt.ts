import { startToken, type Tokenizer } from '../data/tokenizer.ts';

/** The tokens of a text; one that begins a sequence follows the token that starts a document, if the tokenizer has one. */
export function promptTokens(tokenizer: Tokenizer, text: string, begins: boolean): Int32Array {
  const ids = tokenizer.encode(text);
  const document = startToken(tokenizer);
  if (document === undefined || !begins) return ids;
  const started = new Int32Array(ids.length + 1);
  started[0] = document;
  started.set(ids, 1);
  return started;
}
