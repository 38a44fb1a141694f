import { XlstmError } from './errors.ts';

/** What a generator needs to continue exactly where it was; plain JSON. */
export interface RandomState {
  /** So that a state of another generator is refused. */
  readonly algorithm: 'xoshiro128**';
  /** 128 bits, as whole numbers from 0 to 2^32 − 1; not all 0. */
  readonly words: readonly [number, number, number, number];
  /** The second normal number of a pair that was drawn but not handed out yet. */
  readonly spareNormal: number | null;
}

const rotateLeft = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

/** A number in [0, 1) of the upper 27 and 26 bits of two draws. */
const unit = (first: number, second: number): number => ((first >>> 5) * 2 ** 26 + (second >>> 6)) / 2 ** 53;

/** One output of splitmix32: an odd-increment counter and a mixing function, so that near seeds give far words. */
function splitMix(counter: number): number {
  let z = counter | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return z ^ (z >>> 15);
}

/**
 * Seeded random numbers (xoshiro128**, Blackman and Vigna 2018): initialisers, samplers and batch orders draw from
 * it. Integer arithmetic only up to `uniform`, so a seed gives the same numbers on every machine.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;
  #spareNormal: number | null = null;

  /** The seed is a whole number from 0 to 2^53 − 1; any other throws a usage error. */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw new XlstmError('usage', `a seed is a whole number from 0 to 2^53 - 1, found ${seed}`);
    }
    const low = seed >>> 0;
    const high = Math.floor(seed / 2 ** 32);
    const word = (index: number): number =>
      splitMix(low + Math.imul(index, 0x9e3779b9)) ^ splitMix(high ^ Math.imul(index, 0x85ebca6b));
    this.#a = word(1);
    this.#b = word(2);
    this.#c = word(3);
    this.#d = word(4);
    // All zeros is the one state the generator never leaves.
    if ((this.#a | this.#b | this.#c | this.#d) === 0) this.#a = 1;
  }

  /** A generator that goes on where `state` was taken. Throws a checkpoint error for what is no state. */
  static restore(state: RandomState): Random {
    const { words } = state;
    const sound =
      state.algorithm === 'xoshiro128**' &&
      Array.isArray(words) &&
      words.length === 4 &&
      words.every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32) &&
      words.some((word) => word !== 0) &&
      (state.spareNormal === null || Number.isFinite(state.spareNormal));
    if (!sound) {
      throw new XlstmError('checkpoint', `not a state of a random generator: ${JSON.stringify(state)}`);
    }
    const random = new Random(0);
    [random.#a, random.#b, random.#c, random.#d] = words.map((word) => word | 0) as [
      number,
      number,
      number,
      number,
    ];
    random.#spareNormal = state.spareNormal;
    return random;
  }

  /** Where it stands, without drawing. */
  state(): RandomState {
    return {
      algorithm: 'xoshiro128**',
      words: [this.#a >>> 0, this.#b >>> 0, this.#c >>> 0, this.#d >>> 0],
      spareNormal: this.#spareNormal,
    };
  }

  /** 32 random bits as a whole number in [0, 2^32). */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result >>> 0;
  }

  /** A number in [low, high) with 53 random bits. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * unit(this.uint32(), this.uint32());
  }

  /** A whole number in [0, bound), each equally likely. Throws a usage error for a bound that is not from 1 to 2^32. */
  integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
      throw new XlstmError('usage', `integer(bound) takes a bound from 1 to 2^32, found ${bound}`);
    }
    // Draws from the incomplete last multiple of bound are rejected: they would favour small numbers.
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let draw = this.uint32();
    while (draw >= limit) draw = this.uint32();
    return draw % bound;
  }

  /** A normal number (Box and Muller 1958). */
  normal(mean = 0, deviation = 1): number {
    const spare = this.#spareNormal;
    if (spare !== null) {
      this.#spareNormal = null;
      return mean + deviation * spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spareNormal = radius * Math.sin(angle);
    return mean + deviation * radius * Math.cos(angle);
  }

  /** Fills an array with mean + deviation · normal(), faster than so many calls. */
  fillNormal(into: Float64Array, mean = 0, deviation = 1): void {
    let at = 0;
    if (into.length > 0 && this.#spareNormal !== null) into[at++] = mean + deviation * this.normal();
    // In local variables, and written out: millions of parameters are drawn so.
    let [a, b, c, d] = [this.#a, this.#b, this.#c, this.#d];
    const draws = new Float64Array(4);
    for (; at + 1 < into.length; at += 2) {
      for (let i = 0; i < 4; i++) {
        const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9);
        const shifted = b << 9;
        c ^= a;
        d ^= b;
        b ^= c;
        a ^= d;
        c ^= shifted;
        d = rotateLeft(d, 11);
        draws[i] = result >>> 0;
      }
      const radius = Math.sqrt(-2 * Math.log(1 - unit(draws[0], draws[1])));
      const angle = 2 * Math.PI * unit(draws[2], draws[3]);
      into[at] = mean + deviation * (radius * Math.cos(angle));
      into[at + 1] = mean + deviation * (radius * Math.sin(angle));
    }
    [this.#a, this.#b, this.#c, this.#d] = [a, b, c, d];
    if (at < into.length) into[at] = mean + deviation * this.normal();
  }

  /** 0 … count − 1 in random order, every order equally likely (Fisher and Yates). */
  permutation(count: number): Uint32Array {
    if (!Number.isInteger(count) || count < 0 || count >= 2 ** 32) {
      throw new XlstmError('usage', `permutation(count) takes a count from 0 to 2^32 - 1, found ${count}`);
    }
    const order = Uint32Array.from({ length: count }, (_, index) => index);
    for (let last = count - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      const kept = order[last];
      order[last] = order[other];
      order[other] = kept;
    }
    return order;
  }
}
