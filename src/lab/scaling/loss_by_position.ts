import { firstTokens, type TokenSource } from '../../data/token_source.ts';
import type { Model } from '../../nn/model.ts';
import { Evaluator } from '../../training/evaluate.ts';
import type { StudyRecord } from './records.ts';

/** Times the length of training. */
const FACTOR = 32;

/** The length to which the loss by position is measured. */
export const longLength = (context: number): number => FACTOR * context;

const PIECE = 256;

/**
 * The mean loss of tokens by their place in a sequence of 32 times the training length, of at most so many sequences that
 * are next to each other in a text; places in ranges that double. Of a text that is shorter, as far as it goes.
 */
export async function lossByPosition(
  model: Model,
  text: TokenSource,
  context: number,
  mostSequences: number,
): Promise<NonNullable<StudyRecord['positions']>> {
  const length = Math.min(longLength(context), Math.floor((text.length - 1) / PIECE) * PIECE);
  const lanes = Math.min(mostSequences, Math.floor((text.length - 1) / length));
  using evaluator = new Evaluator(model, { lanes, length: PIECE });
  const found = await evaluator.logProbabilities(firstTokens(text, lanes * length + 1));
  const ranges: NonNullable<StudyRecord['positions']> = [];
  for (let from = 0; from < length; from = from === 0 ? 1 : 2 * from) {
    const to = Math.min(length, from === 0 ? 1 : 2 * from);
    let sum = 0;
    for (let lane = 0; lane < lanes; lane++) {
      for (let place = from; place < to; place++) sum -= found[lane * length + place];
    }
    ranges.push({ from, to, loss: sum / (lanes * (to - from)) });
  }
  return ranges;
}
