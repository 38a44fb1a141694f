import { checkChoice, checkNames, checkOption, checkWhole } from '../checks.ts';
import { XlstmError } from '../errors.ts';
import { Random } from '../random.ts';
import { type DocumentIndex, documentOffset } from './document_index.ts';
import { Permutation } from './permutation.ts';
import { findDocuments, ShuffledDocuments } from './shuffled_documents.ts';
import { type TokenSource, type Tokens, tokenSource } from './token_source.ts';

/** How the tokens of a stream follow each other in batches. */
export type BatchOrder = 'contiguous' | 'documents' | 'shuffled';

/** The names of all orders. */
export const BATCH_ORDERS = ['contiguous', 'documents', 'shuffled'] as const satisfies readonly BatchOrder[];

/** How a stream of tokens is cut into batches. */
export interface BatchOptions {
  /** Rows of a batch, B. */
  readonly batchSize: number;
  /** Tokens of one row, T. */
  readonly length: number;
  /**
   * 'contiguous': the stream is cut into `batchSize` lanes and batch k holds the tokens k·T … of every lane, so that
   * the recurrent state may be carried from batch to batch. 'documents': the same with whole documents, every epoch in a
   * new order. 'shuffled': every epoch a new order of all windows of T tokens.
   */
  readonly order: BatchOrder;
  /** Of a random order: a whole number of at least 0. Default: 0. */
  readonly seed?: number;
  /** The id of the token that starts a document: `reset` is 1 there. Default: none does. */
  readonly documentStart?: number;
}

/** All arrays are [B, T]. */
export interface Batch {
  /** Ids, row by row. */
  readonly tokens: Int32Array;
  /** The token after each token. */
  readonly targets: Int32Array;
  /** 1 where a document starts: the state is cleared before this token. */
  readonly reset: Uint8Array;
  /** Every row continues the same row of the batch before: the state may be carried over. */
  readonly continues: boolean;
}

/** Which batch comes next; plain JSON. */
export interface BatchPosition {
  /** From 0 on. */
  readonly epoch: number;
  /** Its number in the epoch, from 0 on. */
  readonly batch: number;
}

/**
 * Batches for language modelling from one stream of tokens, the same for the same options. Tokens that do not fill
 * a lane or a window are left out: at most B·T of them.
 */
export class TokenBatches {
  /** At least 1. */
  readonly batchesPerEpoch: number;
  /** B·T */
  readonly tokensPerBatch: number;
  readonly #tokens: TokenSource;
  readonly #options: BatchOptions;
  readonly #index: DocumentIndex | undefined;
  #epoch = 0;
  #batch = 0;
  #order: { epoch: number; windows: Permutation } | null = null;
  #documents: { epoch: number; stream: TokenSource } | null = null;

  /**
   * The tokens are not copied; those of a source are read for each batch. Of the order 'documents' a source without an
   * index of them is read once, to find them. Throws a usage error for an option or a token
   * that is not right, a data error for a stream that is shorter than B·T + 1.
   */
  constructor(tokens: Tokens, options: BatchOptions) {
    checkNames('TokenBatches', options, ['batchSize', 'length', 'order', 'seed', 'documentStart']);
    const { batchSize, length, order, seed, documentStart } = options;
    checkWhole('batchSize', batchSize, 1);
    checkWhole('length', length, 1);
    checkChoice('order', order, BATCH_ORDERS);
    if (seed !== undefined) checkWhole('seed', seed, 0);
    if (documentStart !== undefined) checkWhole('documentStart', documentStart, 0);
    const source = tokenSource(tokens);
    const needed = batchSize * length + 1;
    if (source.length < needed) {
      throw new XlstmError(
        'data',
        `the text is too short for one batch: ${batchSize} × ${length} tokens and one more need ${needed}, found ${source.length}`,
        'use more text, a smaller batch or shorter sequences',
      );
    }
    if (order === 'documents') {
      checkOption(
        documentStart !== undefined,
        'documentStart',
        'the token that starts a document',
        undefined,
      );
      this.#index = source.documents ?? findDocuments(source, documentStart as number);
      if (this.#index.count === 0 || documentOffset(this.#index, 0) !== 0) {
        throw new XlstmError('data', 'order documents: expected a document at the first token, found none');
      }
    }
    this.#tokens = source;
    this.#options = options;
    this.tokensPerBatch = batchSize * length;
    // A target is the token after: the last token of the stream is only a target.
    const usable = source.length - 1;
    this.batchesPerEpoch =
      order === 'shuffled'
        ? Math.floor(Math.floor(usable / length) / batchSize)
        : Math.floor(Math.floor(usable / batchSize) / length);
  }

  /**
   * The batch at the position, which moves on; after the last batch of an epoch comes the first of the next. Throws what
   * the source of the tokens throws.
   */
  next(): Batch {
    const batch = this.at(this.position());
    this.skip();
    return batch;
  }

  /** Moves the position on without reading anything. */
  skip(): void {
    this.#batch++;
    if (this.#batch === this.batchesPerEpoch) {
      this.#batch = 0;
      this.#epoch++;
    }
  }

  /** Of the batch that `next` gives. */
  position(): BatchPosition {
    return { epoch: this.#epoch, batch: this.#batch };
  }

  /** The next batch is the one at `position`. Throws a data error for a position that is none of this stream. */
  seek(position: BatchPosition): void {
    this.#check(position);
    this.#epoch = position.epoch;
    this.#batch = position.batch;
  }

  /**
   * Any batch, without moving the position. Throws a data error for a position that is none of this stream.
   *
   * @param rows Those to read: `count` from `from` on. Default: all.
   */
  at(position: BatchPosition, rows = { from: 0, count: this.#options.batchSize }): Batch {
    this.#check(position);
    const { length, order, documentStart } = this.#options;
    const { from, count } = rows;
    const tokens = new Int32Array(count * length);
    const targets = new Int32Array(count * length);
    const reset = new Uint8Array(count * length);
    const window = new Int32Array(length + 1);
    for (let row = 0; row < count; row++) {
      this.#stream(position.epoch).read(this.#start(position, from + row), window);
      tokens.set(window.subarray(0, length), row * length);
      targets.set(window.subarray(1), row * length);
    }
    if (documentStart !== undefined) {
      for (let index = 0; index < tokens.length; index++)
        reset[index] = tokens[index] === documentStart ? 1 : 0;
    }
    return { tokens, targets, reset, continues: order !== 'shuffled' && position.batch > 0 };
  }

  /** The tokens that lanes or windows are cut from. */
  #stream(epoch: number): TokenSource {
    if (!this.#index) return this.#tokens;
    if (this.#documents?.epoch !== epoch) {
      const stream = new ShuffledDocuments(this.#tokens, this.#index, this.#seed(epoch));
      this.#documents = { epoch, stream };
    }
    return this.#documents.stream;
  }

  /** Its own for each epoch: a position alone says where to go on. */
  #seed(epoch: number): number {
    return new Random(this.#options.seed ?? 0).uint32() * 2 ** 20 + (epoch % 2 ** 20);
  }

  /** Where in the stream a row of a batch starts. */
  #start({ epoch, batch }: BatchPosition, row: number): number {
    const { batchSize, length, order } = this.#options;
    const usable = this.#tokens.length - 1;
    if (order !== 'shuffled') return row * Math.floor(usable / batchSize) + batch * length;
    if (this.#order?.epoch !== epoch) {
      const windows = new Permutation(Math.floor(usable / length), this.#seed(epoch));
      this.#order = { epoch, windows };
    }
    return this.#order.windows.at(batch * batchSize + row) * length;
  }

  #check({ epoch, batch }: BatchPosition): void {
    const sound = Number.isSafeInteger(epoch) && epoch >= 0 && Number.isSafeInteger(batch) && batch >= 0;
    if (!sound || batch >= this.batchesPerEpoch) {
      throw new XlstmError(
        'data',
        `expected a position with an epoch from 0 on and a batch from 0 to ${this.batchesPerEpoch - 1}, found epoch ${epoch}, batch ${batch}`,
        'is this the same text, batch size and length as before?',
      );
    }
  }
}
