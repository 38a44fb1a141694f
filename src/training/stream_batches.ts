import { sliceTokens, type TokenSource } from '../data/token_source.ts';
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
export function laneBatches(stream: TokenSource, shape: StreamShape): Generator<TrainingBatch> {
  const laneLength = Math.ceil((stream.length - 1) / shape.lanes);
  const lanes = Array.from({ length: shape.lanes }, (_, lane) =>
    sliceTokens(stream, lane * laneLength, (lane + 1) * laneLength + 1),
  );
  return sequenceBatches(lanes, shape);
}

/**
 * At most so many tokens of a stream, always the same: windows of equal size that lie evenly over it, each read without
 * memory of others. Of all of it as `laneBatches`.
 */
export function* spreadBatches(
  stream: TokenSource,
  tokens: number,
  shape: StreamShape,
): Generator<TrainingBatch> {
  if (tokens >= stream.length) return yield* laneBatches(stream, shape);
  const { lanes } = shape;
  const rounds = Math.ceil(tokens / (lanes * WINDOW));
  // A window of one token would predict nothing.
  const count = Math.min(rounds * lanes, Math.floor(tokens / 2));
  const size = Math.floor(tokens / count);
  const windowAt = (i: number): TokenSource => {
    const start = Math.floor((i * (stream.length - size)) / Math.max(1, count - 1));
    return sliceTokens(stream, start, start + size);
  };
  for (let first = 0; first < count; first += lanes) {
    const group = Array.from({ length: Math.min(lanes, count - first) }, (_, i) => windowAt(first + i));
    yield* sequenceBatches(group, shape);
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
