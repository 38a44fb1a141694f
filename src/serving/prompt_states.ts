import type { Engine, Memory } from '../compute/engines/engine.ts';
import { PrefixCache } from '../generation/prefix_cache.ts';

/** States are kept at multiples of so many tokens, or of a piece where it is longer. */
const STRIDE = 64;

/**
 * States that follow beginnings of prompts, at places where every prompt that goes on from there is cut into pieces: what
 * follows has the same bits as if all were read.
 */
export class PromptStates {
  readonly #engine: Engine;
  readonly #stride: number;
  readonly #states: PrefixCache<Memory>;

  constructor(engine: Engine, pieceLength: number, mostBytes: number) {
    this.#engine = engine;
    this.#stride = Math.max(pieceLength, STRIDE);
    this.#states = new PrefixCache(mostBytes, (state) => state.free());
  }

  /** Bytes that the states and their tokens take. */
  get bytes(): number {
    return this.#states.bytes;
  }

  /** Sets a state to what follows a beginning of the prompt that was read before; a token is left, for the logits that follow it. */
  skip(tokens: Int32Array, state: Memory): number {
    const known = this.#states.longest(tokens, tokens.length - 1);
    if (!known) return 0;
    state.copyFrom(known.value);
    return known.length;
  }

  /** Keeps the state that follows the first `read` tokens, where that is such a place. */
  keep(tokens: Int32Array, read: number, state: Memory): void {
    if (read % this.#stride !== 0 || state.region.bytes > this.#states.mostBytes) return;
    if (this.#states.longest(tokens, read)?.length === read) return;
    const copy = this.#engine.allocate(state.region);
    copy.copyFrom(state);
    this.#states.put(tokens.subarray(0, read), copy, state.region.bytes);
  }

  free(): void {
    this.#states.clear();
  }
}
