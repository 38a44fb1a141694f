import type { TokenSource } from '../../data/token_source.ts';
import type { Model } from '../../nn/model.ts';
import { Evaluator } from '../../training/evaluate.ts';
import type { TrainingBatch } from '../../training/objective.ts';

/** Tokens of the sequences that are read side by side. */
const TOKENS_PER_BATCH = 4096;

/**
 * The mean loss in nats per token over windows of the length of training that lie evenly over a text, each read without
 * memory of others.
 */
export async function heldOutLoss(
  model: Model,
  text: TokenSource,
  length: number,
  tokens: number,
): Promise<number> {
  const lanes = Math.max(1, Math.floor(TOKENS_PER_BATCH / length));
  using evaluator = new Evaluator(model, { lanes, length, carryState: false });
  const { loss } = await evaluator.runBatches(windows(text, lanes, length, tokens));
  return loss;
}

function* windows(
  text: TokenSource,
  lanes: number,
  length: number,
  wanted: number,
): Generator<TrainingBatch> {
  const most = Math.floor((text.length - 1) / length);
  const count = Math.min(most, Math.ceil(wanted / length));
  const window = new Int32Array(length + 1);
  const tokens = new Int32Array(lanes * length);
  const targets = new Int32Array(lanes * length);
  for (let first = 0; first < count; first += lanes) {
    targets.fill(-1);
    for (let lane = 0; lane < lanes && first + lane < count; lane++) {
      text.read(Math.floor(((first + lane) * most) / count) * length, window);
      tokens.set(window.subarray(0, length), lane * length);
      targets.set(window.subarray(1), lane * length);
    }
    yield { tokens, targets };
  }
}
