import { type Batch, type BatchOptions, type BatchPosition, TokenBatches } from '../data/batches.ts';
import type { Tokens } from '../data/token_source.ts';
import { numberOf, type Rank, shareOf } from './micro_batch_shares.ts';

/** How a stream of tokens is cut into the micro-batches of steps, each of `batchSize` rows. */
export interface StepBatchOptions extends BatchOptions {
  /** Of a step. */
  readonly microBatches: number;
}

/**
 * The micro-batches of each step that fall to this rank; all of them together do not depend on the number of ranks.
 * Shuffled they follow each other; in other orders each has lanes of its own, so that it continues the one at its
 * place in the step before.
 */
export class StepBatches {
  readonly #batches: TokenBatches;
  readonly #options: StepBatchOptions;
  readonly #rank: Rank;

  /** Throws as TokenBatches does. */
  constructor(tokens: Tokens, options: StepBatchOptions, rank: Rank) {
    const { microBatches, ...each } = options;
    const lanes = each.order === 'shuffled' ? 1 : microBatches;
    this.#batches = new TokenBatches(tokens, { ...each, batchSize: each.batchSize * lanes });
    this.#options = options;
    this.#rank = rank;
  }

  /** Those of the step at the position, which moves on. Throws what the source of the tokens throws. */
  next(): readonly Batch[] {
    const { microBatches, batchSize, order } = this.#options;
    const own = Array.from({ length: shareOf(microBatches, this.#rank) }, (_, i) => numberOf(i, this.#rank));
    if (order !== 'shuffled') {
      const position = this.#batches.position();
      this.#batches.skip();
      return own.map((number) => this.#batches.at(position, { from: number * batchSize, count: batchSize }));
    }
    const positions = Array.from({ length: microBatches }, () => {
      const position = this.#batches.position();
      this.#batches.skip();
      return position;
    });
    return own.map((number) => this.#batches.at(positions[number]));
  }

  /** Of the first micro-batch of the step that `next` gives. */
  position(): BatchPosition {
    return this.#batches.position();
  }

  /** The next step is that of `position`. Throws a data error for a position that is none of this stream. */
  seek(position: BatchPosition): void {
    this.#batches.seek(position);
  }
}
