import type { Tokenizer } from '../../data/tokenizer.ts';
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
  readonly bytes: number[];
  readonly logprob: number;
}

/** The log-probability of a token of a chat's answer; undefined where none was asked for. */
export function chatLogProbability(
  tokenizer: Tokenizer,
  { id, logProbability }: Piece,
): (TokenText & { readonly top_logprobs: TokenText[] }) | undefined {
  if (id === undefined || !logProbability) return undefined;
  const told = (id: number, logprob: number): TokenText => {
    const token = tokenizer.decode([id]);
    return { token, bytes: [...new TextEncoder().encode(token)], logprob };
  };
  return {
    ...told(id, logProbability.chosen),
    top_logprobs: logProbability.likeliest.map((each) => told(each.id, each.logProbability)),
  };
}

/** Those of the tokens of a completion; undefined where none were asked for. */
export function completionLogProbabilities(
  tokenizer: Tokenizer,
  pieces: readonly Piece[],
): object | undefined {
  const told = pieces.flatMap(({ id, logProbability }) =>
    id === undefined || !logProbability ? [] : [{ id, logProbability }],
  );
  if (told.length === 0) return undefined;
  const texts = told.map(({ id }) => tokenizer.decode([id]));
  let offset = 0;
  return {
    tokens: texts,
    token_logprobs: told.map(({ logProbability }) => logProbability.chosen),
    top_logprobs: told.map(({ logProbability }) =>
      Object.fromEntries(
        logProbability.likeliest.map((each) => [tokenizer.decode([each.id]), each.logProbability]),
      ),
    ),
    text_offset: texts.map((text) => {
      const at = offset;
      offset += text.length;
      return at;
    }),
  };
}
