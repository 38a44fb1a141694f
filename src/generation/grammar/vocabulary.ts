import { startToken, type Tokenizer } from '../../data/tokenizer.ts';
import { type Automaton, DEAD } from './automaton.ts';

/** The tokens of a tokenizer as bytes, in a tree in which those that begin alike share what they begin with. */
export class Vocabulary {
  readonly size: number;
  /** Tokens that end a text. */
  readonly ends: readonly number[];
  readonly #bytes: readonly (Uint8Array | undefined)[];
  readonly #tree: Tree;
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
    this.#tree = treeOf(this.#bytes);
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
    const { bytes, depths, deepest, past, ids, firstIds } = this.#tree;
    const states = new Int32Array(deepest + 1);
    states[0] = state;
    for (let node = 0; node < bytes.length; ) {
      const depth = depths[node];
      const next = automaton.after(states[depth - 1], bytes[node]);
      if (next === DEAD) {
        node = past[node];
        continue;
      }
      states[depth] = next;
      for (let i = firstIds[node]; i < firstIds[node + 1]; i++) taken[ids[i]] = 1;
      node++;
    }
    return taken;
  }
}

/**
 * A node is a text with which tokens begin. Those below a node follow it, so that a walk is a loop: 40,000 nodes are a vocabulary of
 * 32,000 tokens.
 */
interface Tree {
  /** The last byte of each node's text. */
  readonly bytes: Uint8Array;
  /** The length of each node's text. */
  readonly depths: Int32Array;
  readonly deepest: number;
  /** The first node that is not below. */
  readonly past: Int32Array;
  /** Those tokens whose text is that of node i are ids[firstIds[i]] … ids[firstIds[i + 1] - 1]. */
  readonly ids: Int32Array;
  readonly firstIds: Int32Array;
}

function treeOf(tokens: readonly (Uint8Array | undefined)[]): Tree {
  const sorted = tokens
    .flatMap((bytes, id) => (bytes && bytes.length > 0 ? [{ id, bytes }] : []))
    .sort((a, b) => compared(a.bytes, b.bytes));
  const [bytes, depths, past, firstIds]: number[][] = [[], [], [], []];
  /** The nodes of the token before, by the length of their text. */
  const open: number[] = [];
  const close = (depth: number): void => {
    while (open.length > depth) past[open.pop() as number] = bytes.length;
  };
  sorted.forEach((token, i) => {
    close(i === 0 ? 0 : sharedLength(token.bytes, sorted[i - 1].bytes));
    for (let at = open.length; at < token.bytes.length; at++) {
      open.push(bytes.length);
      bytes.push(token.bytes[at]);
      depths.push(at + 1);
      firstIds.push(i);
    }
  });
  close(0);
  return {
    bytes: Uint8Array.from(bytes),
    depths: Int32Array.from(depths),
    deepest: depths.reduce((most, depth) => Math.max(most, depth), 0),
    past: Int32Array.from(past),
    ids: Int32Array.from(sorted, ({ id }) => id),
    firstIds: Int32Array.from([...firstIds, sorted.length]),
  };
}

/**
 * What a token adds to a text; undefined where that depends on what came before. Throws a usage error where the tokenizer has no
 * tokens for bytes.
 */
export function bytesOf(tokenizer: Tokenizer, id: number): Uint8Array | undefined {
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
