import type { StreamingDecoder, Tokenizer } from '../../data/tokenizer.ts';
import { XlstmError } from '../../errors.ts';
import { bytesOf } from '../../generation/grammar/vocabulary.ts';
import type { FinishReason, Piece } from '../../generation/writing.ts';
import { Output } from '../output.ts';
import type { Choice } from './served_model.ts';

/** A piece of one of several answers. */
export interface ChoicePiece {
  readonly index: number;
  readonly piece: Piece;
}

/** The pieces of all answers as they come. Ending the loop ends all of them; the first that fails fails it. */
export function merged(choices: readonly Choice[]): AsyncIterable<ChoicePiece> {
  const all = new Output<ChoicePiece, undefined>(() => {
    for (const { text } of choices) void text.return();
  });
  const pump = async ({ index, text }: Choice): Promise<void> => {
    for await (const piece of text) all.push({ index, piece });
  };
  Promise.all(choices.map(pump)).then(
    () => all.end(undefined),
    (error: unknown) => {
      for (const { text } of choices) void text.return();
      all.fail(error);
    },
  );
  return all;
}

/** Why an answer ended, in the words of OpenAI's API. */
export const finishReason = (reason: FinishReason | undefined): 'length' | 'stop' | null =>
  reason === undefined ? null : reason === 'length' ? 'length' : 'stop';

interface TokenText {
  readonly token: string;
  /** null where a token has none by itself. */
  readonly bytes: number[] | null;
  readonly logprob: number;
}

/** The log-probability of a token of a chat's answer; undefined where none was asked for. */
export function chatLogProbability(
  tokenizer: Tokenizer,
  { id, logProbability }: Piece,
): (TokenText & { readonly top_logprobs: TokenText[] }) | undefined {
  if (id === undefined || !logProbability) return undefined;
  const told = (id: number, logprob: number): TokenText => {
    const bytes = tokenBytes(tokenizer, id);
    return { token: tokenName(tokenizer, id), bytes: bytes ? [...bytes] : null, logprob };
  };
  return {
    ...told(id, logProbability.chosen),
    top_logprobs: logProbability.likeliest.map((each) => told(each.id, each.logProbability)),
  };
}

/** What is told of the tokens of a completion, piece by piece. */
export class CompletionLogProbabilities {
  readonly #tokenizer: Tokenizer;
  readonly #decoder: StreamingDecoder;
  /** Characters of the text before the next token. */
  #offset = 0;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    this.#decoder = tokenizer.decoder();
  }

  /** Of the next pieces; null where nothing was asked for. */
  tell(pieces: readonly Piece[]): object | null {
    const told = pieces.flatMap(({ id, logProbability }) =>
      id === undefined || !logProbability ? [] : [{ id, logProbability }],
    );
    if (told.length === 0) return null;
    const name = (id: number): string => tokenName(this.#tokenizer, id);
    return {
      tokens: told.map(({ id }) => name(id)),
      token_logprobs: told.map(({ logProbability }) => logProbability.chosen),
      top_logprobs: told.map(({ logProbability }) =>
        Object.fromEntries(logProbability.likeliest.map((each) => [name(each.id), each.logProbability])),
      ),
      text_offset: told.map(({ id }) => {
        const at = this.#offset;
        this.#offset += this.#decoder.push(id).length;
        return at;
      }),
    };
  }
}

/** The bytes of a token; undefined where it has none by itself. */
function tokenBytes(tokenizer: Tokenizer, id: number): Uint8Array | undefined {
  try {
    return bytesOf(tokenizer, id);
  } catch (error) {
    if (!(error instanceof XlstmError)) throw error;
    // Its tokens are texts; a decoder keeps the space before a word.
    const decoder = tokenizer.decoder();
    const text = decoder.push(id) + decoder.flush();
    return text.includes('\uFFFD') ? undefined : new TextEncoder().encode(text);
  }
}

/** A token as text; where it is a part of a character its bytes, so that no two parts have one name. */
function tokenName(tokenizer: Tokenizer, id: number): string {
  const bytes = tokenBytes(tokenizer, id);
  const text = bytes && utf8(bytes);
  if (text !== undefined) return text;
  if (!bytes) return tokenizer.decode([id]);
  return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
}

/** What bytes say; undefined where they are no UTF-8. */
function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
