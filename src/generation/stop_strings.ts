import { XlstmError } from '../errors.ts';
import { quote } from '../quote.ts';

/**
 * Text on its way out, held back as long as it may turn out to be the beginning of a stop string. It knows from which
 * tokens the text came, so that a session can be taken back to the last token whose text went out.
 */
export class StopFilter {
  readonly #stops: readonly string[];
  readonly #longest: number;
  /** Text that came in and did not go out. */
  #text = '';
  /** Tokens whose text is not all out; `end`: how much of #text must go for that; undefined in mid-character. */
  #held: { readonly id: number; end: number | undefined }[] = [];
  #released: number[] = [];
  #stopped = false;

  constructor(stop: string | readonly string[]) {
    const stops: unknown = typeof stop === 'string' ? [stop] : stop;
    const right = Array.isArray(stops) && stops.every((text) => typeof text === 'string' && text !== '');
    if (!right)
      throw new XlstmError('usage', `stop: expected texts that are not empty, found ${quote(stop)}`);
    this.#stops = [...(stops as readonly string[])];
    this.#longest = Math.max(0, ...this.#stops.map((text) => text.length));
  }

  /** Whether a stop string is complete. Of several that come together the one that ends first counts. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Tokens whose text is not all out. */
  get held(): readonly number[] {
    return this.#held.map(({ id }) => id);
  }

  /** The tokens whose text the last `push` let out, to the end. */
  get released(): readonly number[] {
    return this.#released;
  }

  /** Takes a token and the text that it completes ('' in mid-character); returns the text that is free to go out. */
  push(id: number, piece: string): string {
    if (this.#stops.length === 0) return piece;
    this.#held.push({ id, end: undefined });
    return this.#take(piece);
  }

  /** The end of the text: takes what an unfinished character left, returns all that may go out. */
  flush(piece: string): string {
    const text = this.#take(piece);
    if (this.#stopped) return text;
    const rest = this.#text;
    this.#text = '';
    this.#held = [];
    return text + rest;
  }

  #take(piece: string): string {
    this.#text += piece;
    if (piece !== '') for (const token of this.#held) token.end ??= this.#text.length;
    const out = this.#free();
    const text = this.#text.slice(0, out);
    this.#text = this.#text.slice(out);
    this.#released = [];
    while (this.#held.length > 0 && (this.#held[0].end ?? Number.POSITIVE_INFINITY) <= out) {
      this.#released.push(this.#held.shift()!.id);
    }
    for (const token of this.#held) if (token.end !== undefined) token.end -= out;
    return text;
  }

  /** The length of the text before a stop string or what may become one. */
  #free(): number {
    const text = this.#text;
    let start = text.length;
    let end = Number.POSITIVE_INFINITY;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at < 0 || at + stop.length > end || (at + stop.length === end && at >= start)) continue;
      start = at;
      end = at + stop.length;
      this.#stopped = true;
    }
    if (this.#stopped) return start;
    for (let at = Math.max(0, text.length - this.#longest + 1); at < text.length; at++) {
      const tail = text.slice(at);
      if (this.#stops.some((stop) => stop.startsWith(tail))) return at;
    }
    return text.length;
  }
}
