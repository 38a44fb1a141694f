import { arrayIndex, type DocumentIndex } from './document_index.ts';
import { Permutation } from './permutation.ts';
import type { TokenSource } from './token_source.ts';

/** Documents between two places of which it is known how many tokens lie before them: a number of 8 bytes for so many. */
const GROUP = 16;

/** Documents whose beginnings are read at a time. */
const PIECE = 2 ** 16;

/**
 * The documents of a source, whole, one after another in a random order that follows from a seed. Places are computed as
 * they are read: half a byte is held for each document. Making one reads the index once, from its beginning to its end.
 */
export class ShuffledDocuments implements TokenSource {
  /** Tokens of all documents. */
  readonly length: number;
  readonly #source: TokenSource;
  readonly #index: DocumentIndex;
  readonly #order: Permutation;
  /** Tokens before each group of documents in the new order, and at the end all. */
  readonly #before: Float64Array;
  readonly #borders = new Float64Array(2);

  constructor(source: TokenSource, index: DocumentIndex, seed: number) {
    this.#source = source;
    this.#index = index;
    this.#order = new Permutation(index.count, seed);
    this.#before = new Float64Array(Math.ceil(index.count / GROUP) + 1);
    this.#measureGroups();
    this.length = this.#before[this.#before.length - 1];
  }

  read(start: number, into: Int32Array): void {
    const group = this.#groupAt(start);
    let place = group * GROUP;
    let before = this.#before[group];
    for (let done = 0; done < into.length; place++) {
      const [from, end] = this.#document(this.#order.at(place));
      const skipped = Math.max(0, start + done - before);
      const count = Math.min(end - from - skipped, into.length - done);
      if (count > 0) {
        this.#source.read(from + skipped, into.subarray(done, done + count));
        done += count;
      }
      before += end - from;
    }
  }

  #measureGroups(): void {
    const { count } = this.#index;
    const sums = this.#before.subarray(1);
    const starts = new Float64Array(Math.min(PIECE, count) + 1);
    for (let first = 0; first < count; first += PIECE) {
      const documents = Math.min(PIECE, count - first);
      const known = Math.min(documents + 1, count - first);
      this.#index.read(first, starts.subarray(0, known));
      if (known === documents) starts[documents] = this.#source.length;
      for (let i = 0; i < documents; i++) {
        sums[Math.floor(this.#order.placeOf(first + i) / GROUP)] += starts[i + 1] - starts[i];
      }
    }
    for (let i = 1; i < this.#before.length; i++) this.#before[i] += this.#before[i - 1];
  }

  /** The last group that begins at a token or before it. */
  #groupAt(token: number): number {
    let [low, high] = [0, this.#before.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#before[middle] <= token) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Where a document begins and ends in the source. */
  #document(number: number): readonly [number, number] {
    const last = number === this.#index.count - 1;
    this.#index.read(number, last ? this.#borders.subarray(0, 1) : this.#borders);
    return [this.#borders[0], last ? this.#source.length : this.#borders[1]];
  }
}

/** Tokens that are looked through at a time. */
const SEARCHED = 2 ** 20;

/** Looks for the token that starts documents. What lies before the first of them is a document, too. */
export function findDocuments(source: TokenSource, startToken: number): DocumentIndex {
  const starts: number[] = [];
  const piece = new Int32Array(Math.min(SEARCHED, source.length));
  for (let from = 0; from < source.length; from += SEARCHED) {
    const tokens = piece.subarray(0, Math.min(SEARCHED, source.length - from));
    source.read(from, tokens);
    for (let i = tokens.indexOf(startToken); i >= 0; i = tokens.indexOf(startToken, i + 1)) {
      starts.push(from + i);
    }
  }
  if (source.length > 0 && starts[0] !== 0) starts.unshift(0);
  return arrayIndex(starts);
}
