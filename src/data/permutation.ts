import { Random } from '../random.ts';

/** Enough that no test here tells the order from a random one, also of a few windows. */
const ROUNDS = 8;

/** The finalizer of MurmurHash3 over two words: every bit of the result depends on all of theirs. */
function mix(value: number, key: number): number {
  let z = (value ^ key) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13) ^ key, 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}

/** What becomes `value` when `added` is added to it, modulo `size`. */
const back = (value: number, added: number, size: number): number => (value + size - (added % size)) % size;

/**
 * A random order of 0 … count − 1 that is computed place by place and takes no memory: a Feistel network over a
 * rectangle of at least `count` cells (Black and Rogaway 2002). Where it leads out of the range it is followed until it
 * is back in, which keeps it one to one.
 */
export class Permutation {
  readonly #count: number;
  readonly #rows: number;
  readonly #columns: number;
  readonly #keys: readonly number[];

  /** `count` is at most 2^52; the seed as that of `Random`. */
  constructor(count: number, seed: number) {
    const random = new Random(seed);
    this.#count = count;
    this.#rows = Math.max(1, Math.ceil(Math.sqrt(count)));
    this.#columns = Math.max(1, Math.ceil(count / this.#rows));
    this.#keys = Array.from({ length: ROUNDS }, () => random.uint32());
  }

  /** The number at a place from 0 to count − 1. */
  at(place: number): number {
    let cell = place;
    do cell = this.#step(cell);
    while (cell >= this.#count);
    return cell;
  }

  /** The place of a number: `at(placeOf(number))` is the number. */
  placeOf(number: number): number {
    let cell = number;
    do cell = this.#stepBack(cell);
    while (cell >= this.#count);
    return cell;
  }

  #step(cell: number): number {
    let row = Math.floor(cell / this.#columns);
    let column = cell % this.#columns;
    for (let round = 0; round < ROUNDS; round += 2) {
      row = (row + mix(column, this.#keys[round])) % this.#rows;
      column = (column + mix(row, this.#keys[round + 1])) % this.#columns;
    }
    return row * this.#columns + column;
  }

  #stepBack(cell: number): number {
    let row = Math.floor(cell / this.#columns);
    let column = cell % this.#columns;
    for (let round = ROUNDS - 2; round >= 0; round -= 2) {
      column = back(column, mix(row, this.#keys[round + 1]), this.#columns);
      row = back(row, mix(column, this.#keys[round]), this.#rows);
    }
    return row * this.#columns + column;
  }
}
