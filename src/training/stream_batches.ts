import { sliceTokens, type TokenSource } from '../data/token_source.ts';
import { oneProcess } from '../distributed/collective.ts';
import type { Rank } from './micro_batch_shares.ts';
import type { TrainingBatch } from './objective.ts';

/** How a stream is read. */
export interface StreamShape {
  /** Sequences side by side. */
  readonly lanes: number;
  /** Tokens of each in a batch. */
  readonly length: number;
  /** The id of the token that starts a document. */
  readonly documentStart?: number;
}

/** Tokens of a window of a part that is measured: many for what a state remembers, few for windows in many places. */
const WINDOW = 4096;

/** A stream in as many pieces of equal size as there are lanes, each read without memory of the one before. */
export const laneBatches = (stream: TokenSource, shape: StreamShape): Generator<TrainingBatch> =>
  sequenceBatches(pieces(stream, shape.lanes), shape);

function pieces(stream: TokenSource, count: number): readonly TokenSource[] {
  const length = Math.ceil((stream.length - 1) / count);
  return Array.from({ length: count }, (_, i) => sliceTokens(stream, i * length, (i + 1) * length + 1));
}

/**
 * Windows of equal size that lie evenly over a stream and have at most so many tokens of it together, always the same;
 * undefined where these are all.
 */
export function spreadWindows(
  stream: TokenSource,
  tokens: number,
  lanes: number,
): readonly TokenSource[] | undefined {
  if (tokens >= stream.length) return undefined;
  const rounds = Math.ceil(tokens / (lanes * WINDOW));
  // A window of one token would predict nothing.
  const count = Math.min(rounds * lanes, Math.floor(tokens / 2));
  const size = Math.floor(tokens / count);
  return Array.from({ length: count }, (_, i) => {
    const start = Math.floor((i * (stream.length - size)) / Math.max(1, count - 1));
    return sliceTokens(stream, start, start + size);
  });
}

/** How several processes share what is measured of a stream. */
export interface MeasuredShare {
  /** Pieces of a stream that is measured whole, each without memory of the one before. Default: as many as lanes. */
  readonly pieces?: number;
  /** Which of several processes asks: each gets its share of the sequences, `lanes` of them at a time. Default: the only one. */
  readonly share?: Rank;
}

/** The tokens of `spreadWindows`, each window read without memory of others; of all tokens those of `pieces`. */
export function* spreadBatches(
  stream: TokenSource,
  tokens: number,
  shape: StreamShape,
  { pieces: count, share = oneProcess }: MeasuredShare = {},
): Generator<TrainingBatch> {
  const { lanes } = shape;
  const together = count ?? lanes;
  const sequences = spreadWindows(stream, tokens, together) ?? pieces(stream, together);
  for (let group = share.rank; group * lanes < sequences.length; group += share.size) {
    yield* sequenceBatches(sequences.slice(group * lanes, (group + 1) * lanes), shape);
  }
}

/** Sequences, at most one for each lane, from their beginning to the end of the longest: the same arrays again and again. */
function* sequenceBatches(
  sequences: readonly TokenSource[],
  { lanes, length, documentStart }: StreamShape,
): Generator<TrainingBatch> {
  const tokens = new Int32Array(lanes * length);
  const targets = new Int32Array(lanes * length).fill(-1);
  const reset = new Uint8Array(lanes * length);
  const window = new Int32Array(length + 1);
  const longest = Math.max(...sequences.map((sequence) => sequence.length - 1));
  for (let start = 0; start < longest; start += length) {
    for (const [lane, sequence] of sequences.entries()) {
      const count = Math.max(0, Math.min(length, sequence.length - 1 - start));
      const read = window.subarray(0, count === 0 ? 0 : count + 1);
      sequence.read(start, read);
      const row = lane * length;
      tokens.fill(0, row, row + length).set(read.subarray(0, count), row);
      targets.fill(-1, row, row + length).set(read.subarray(1), row);
      for (let t = 0; t < length; t++) reset[row + t] = t < count && read[t] === documentStart ? 1 : 0;
    }
    yield { tokens, targets, reset, continues: start > 0 };
  }
}
