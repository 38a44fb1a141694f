import { firstTokens, type TokenSource } from '../../data/token_source.ts';
import type { Model } from '../../nn/model.ts';
import { Random } from '../../random.ts';
import { Evaluator } from '../../training/evaluate.ts';
import type { StudyRecord } from './records.ts';

/** Tokens of a fact: the first half, when it comes again, is the cue, the second half is asked for. */
const FACT = 16;
const CUE = FACT / 2;
const SEQUENCES = 16;
const PIECE = 256;
const SEED = 1;

/**
 * What is left of a fact after so many tokens: a row of tokens drawn from the text at random stands at the beginning of a
 * sequence and again `distance` tokens later, with other text in between; behind it stands a row that was never there
 * before. `planted` is the loss of the second half of the one, `control` of the other: the difference is what was
 * remembered.
 */
export async function plantedRecall(
  model: Model,
  text: TokenSource,
  distances: readonly number[],
): Promise<NonNullable<StudyRecord['recall']>> {
  using evaluator = new Evaluator(model, { lanes: SEQUENCES, length: PIECE });
  const results: NonNullable<StudyRecord['recall']> = [];
  for (const distance of distances) {
    // Of a text that is shorter, as far as it goes.
    if (text.length < SEQUENCES + distance) continue;
    const length = distance + 2 * FACT;
    const found = await evaluator.logProbabilities(plantedSequences(text, distance));
    const lossFrom = (place: number): number => {
      let sum = 0;
      for (let sequence = 0; sequence < SEQUENCES; sequence++) {
        // At place i is what is said of token i + 1.
        for (let i = CUE - 1; i < FACT - 1; i++) sum -= found[sequence * length + place + i];
      }
      return sum / (SEQUENCES * (FACT - CUE));
    };
    results.push({ distance, planted: lossFrom(distance), control: lossFrom(distance + FACT) });
  }
  return results;
}

/** Sequences next to each other, and one token more, which the last one predicts. */
export function plantedSequences(text: TokenSource, distance: number): Int32Array {
  const random = new Random(SEED + distance);
  const length = distance + 2 * FACT;
  const stream = new Int32Array(SEQUENCES * length + 1);
  const all = firstTokens(text, text.length);
  const row = (): Int32Array => Int32Array.from({ length: FACT }, () => all[random.integer(all.length)]);
  for (let sequence = 0; sequence < SEQUENCES; sequence++) {
    const at = sequence * length;
    const start = random.integer(all.length - distance);
    stream.set(all.subarray(start, start + distance), at);
    const fact = row();
    stream.set(fact, at);
    stream.set(fact, at + distance);
    stream.set(row(), at + distance + FACT);
  }
  return stream;
}
