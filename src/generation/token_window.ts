import { checkWhole } from '../checks.ts';

const MOST_CAPACITY = 2 ** 20;

/** The last tokens of a sequence: at most `capacity` of them, whatever its length. */
export class TokenWindow {
  readonly #ring: Int32Array;
  #length = 0;
  #next = 0;

  /** An empty one. Throws a usage error for a capacity that is not from 1 to 2^20. */
  constructor(capacity: number) {
    checkWhole('capacity', capacity, 1, MOST_CAPACITY);
    this.#ring = new Int32Array(capacity);
  }

  /** Tokens that it holds, at most `capacity`. */
  get length(): number {
    return this.#length;
  }

  /** Adds a token; of a full window the oldest one is forgotten. */
  push(id: number): void {
    this.#ring[this.#next] = id;
    this.#next = (this.#next + 1) % this.#ring.length;
    if (this.#length < this.#ring.length) this.#length++;
  }

  /** The token that came `back` tokens before the latest, 0 <= back < length. */
  back(back: number): number {
    const at = this.#next - 1 - back;
    return this.#ring[at < 0 ? at + this.#ring.length : at];
  }

  /** An independent window with the same tokens. */
  copy(): TokenWindow {
    const copy = new TokenWindow(this.#ring.length);
    copy.#ring.set(this.#ring);
    copy.#length = this.#length;
    copy.#next = this.#next;
    return copy;
  }

  /** Oldest first. */
  toArray(): Int32Array {
    return Int32Array.from({ length: this.#length }, (_, i) => this.back(this.#length - 1 - i));
  }
}
