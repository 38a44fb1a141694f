import { startToken, type Tokenizer } from '../../data/tokenizer.ts';
import { type Automaton, DEAD } from './automaton.ts';

/** The tokens of a tokenizer as bytes, in an order in which those that begin alike stand together. */
export class Vocabulary {
  readonly size: number;
  /** Tokens that end a text. */
  readonly ends: readonly number[];
  readonly #bytes: readonly (Uint8Array | undefined)[];
  /** Tokens that are text, in the order of their bytes. */
  readonly #sorted: readonly { readonly id: number; readonly bytes: Uint8Array; readonly shared: number }[];
  static readonly #known = new WeakMap<Tokenizer, Vocabulary>();

  private constructor(tokenizer: Tokenizer) {
    const start = startToken(tokenizer);
    const ends = new Set([...(tokenizer.ends ?? []), ...(start === undefined ? [] : [start])]);
    const specials = new Set([...tokenizer.specials.values(), ...ends]);
    this.size = tokenizer.vocabSize;
    this.ends = [...ends];
    this.#bytes = Array.from({ length: this.size }, (_, id) =>
      specials.has(id) ? undefined : bytesOf(tokenizer, id),
    );
    const texts = this.#bytes
      .flatMap((bytes, id) => (bytes && bytes.length > 0 ? [{ id, bytes }] : []))
      .sort((a, b) => compared(a.bytes, b.bytes));
    this.#sorted = texts.map(({ id, bytes }, i) => ({
      id,
      bytes,
      shared: i === 0 ? 0 : sharedLength(bytes, texts[i - 1].bytes),
    }));
  }

  /** That of a tokenizer, made once. */
  static of(tokenizer: Tokenizer): Vocabulary {
    let vocabulary = Vocabulary.#known.get(tokenizer);
    if (!vocabulary) {
      vocabulary = new Vocabulary(tokenizer);
      Vocabulary.#known.set(tokenizer, vocabulary);
    }
    return vocabulary;
  }

  /** What a token adds to a text; nothing where it is none. */
  bytes(id: number): Uint8Array | readonly number[] {
    return this.#bytes[id] ?? [];
  }

  /** The tokens that an automaton takes in a state: 1 where it does. What tokens share is read once. */
  taken(automaton: Automaton, state: number): Uint8Array {
    const taken = new Uint8Array(this.size);
    const states = [state];
    let wrong = Number.POSITIVE_INFINITY; // the byte that the token before could not go on with
    for (const { id, bytes, shared } of this.#sorted) {
      if (shared > wrong) continue;
      wrong = Number.POSITIVE_INFINITY;
      for (let i = shared; i < bytes.length; i++) {
        const next = automaton.after(states[i], bytes[i]);
        if (next === DEAD) {
          wrong = i;
          break;
        }
        states[i + 1] = next;
      }
      if (wrong === Number.POSITIVE_INFINITY) taken[id] = 1;
    }
    return taken;
  }
}

/** What a token adds to a text; undefined where that depends on what came before. */
function bytesOf(tokenizer: Tokenizer, id: number): Uint8Array | undefined {
  const { decodeBytes } = tokenizer as { decodeBytes?: (ids: readonly number[]) => Uint8Array };
  if (decodeBytes) return decodeBytes.call(tokenizer, [id]);
  const text = tokenizer.decode([id]);
  return text.includes('\uFFFD') ? undefined : new TextEncoder().encode(text);
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

function compared(a: Uint8Array, b: Uint8Array): number {
  const at = sharedLength(a, b);
  return at < a.length && at < b.length ? a[at] - b[at] : a.length - b.length;
}
