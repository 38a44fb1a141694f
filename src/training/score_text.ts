import { checkNames } from '../checks.ts';
import { DOCUMENT, encodeDocuments, type Tokenizer } from '../data/tokenizer.ts';
import { XlstmError } from '../errors.ts';
import type { LanguageModel } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { Evaluator } from './evaluate.ts';

/** A token of a text as a model sees it. */
export interface ScoredToken {
  /** Its id. */
  readonly id: number;
  /** The text that is complete with it: empty in the middle of a character of several bytes. */
  readonly text: string;
  /** In nats, given all of the text before it; undefined of a first token, where the tokenizer has none to begin with. */
  readonly logProbability: number | undefined;
}

/** A line of a text, its end included. */
export interface ScoredLine {
  /** In order; one that goes over the end of a line is of the line where it begins. */
  readonly tokens: readonly ScoredToken[];
  /** Sum over its tokens, in nats. */
  readonly logProbability: number;
}

/** Positions of a call: enough for matrix products that pay. */
const LENGTH = 256;

/**
 * The log-probabilities of a text's tokens and lines. The text is read as a whole, from a state without memory: a line's
 * probability is that after the lines before it. Rejects with a data error for a text of which no token can be
 * predicted, and with the reason of a `signal` that aborts.
 */
export async function scoreText(
  model: Model<LanguageModel>,
  tokenizer: Tokenizer,
  text: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly ScoredLine[]> {
  checkNames('scoreText', options, ['signal']);
  const documentStart = tokenizer.specials.get(DOCUMENT);
  const stream = encodeDocuments(tokenizer, [text]);
  if (stream.length < 2) {
    throw new XlstmError('data', `expected at least 2 tokens of text, found ${stream.length}`);
  }
  using evaluator = new Evaluator(model, { lanes: 1, length: LENGTH, documentStart });
  const scores = await evaluator.logProbabilities(stream, options);
  const decoder = tokenizer.decoder();
  const lines: ScoredToken[][] = [[]];
  for (let at = documentStart === undefined ? 0 : 1; at < stream.length; at++) {
    const piece = decoder.push(stream[at]);
    const last = lines[lines.length - 1];
    last.push({ id: stream[at], text: piece, logProbability: at === 0 ? undefined : scores[at - 1] });
    if (piece.includes('\n') && at + 1 < stream.length) lines.push([]);
  }
  return lines.map((tokens) => ({
    tokens,
    logProbability: tokens.reduce((sum, { logProbability = 0 }) => sum + logProbability, 0),
  }));
}
