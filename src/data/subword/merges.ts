import { BYTE_CHARACTERS } from './byte_alphabet.ts';

/** What training a byte-level BPE found. */
export interface Merged {
  /** Tokens in the order of their ids: special ones, bytes, merged ones. */
  readonly tokens: readonly string[];
  /** The pairs that were merged, in order. */
  readonly merges: readonly (readonly [string, string])[];
  /** Tokens that the words become, each as often as its word is there. */
  readonly tokenCount: number;
  /** Bytes of the words, counted likewise. */
  readonly byteCount: number;
}

/** Pairs that are there once teach nothing. */
const LEAST_COUNT = 2;

/** Two tokens that follow each other within words. */
interface Pair {
  readonly left: number;
  readonly right: number;
  count: number;
  /** Words in which it is new since it was put into the queue. */
  found: number[] | undefined;
}

/** A pair as the queue has it: the count may have fallen since. */
interface Candidate {
  readonly pair: Pair;
  count: number;
  readonly words: readonly number[];
}

/**
 * Merges the most frequent pair of tokens until there are `vocabSize` tokens, or no pair is there twice (Sennrich et al.
 * 2016). Among equally frequent ones the pair with the smaller ids comes first, so that the result does not depend
 * on the order of the words; it is that of the Python package `tokenizers`, counts of pairs that come up again included.
 *
 * @param words How often each word is there.
 * @param specials Tokens before the others.
 */
export function mergePairs(
  words: ReadonlyMap<string, number>,
  vocabSize: number,
  specials: readonly string[],
  onProgress: (tokens: number) => void,
): Merged {
  const tokens = [...specials, ...[...BYTE_CHARACTERS].sort()];
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const { symbols, starts, lengths, counts } = spell(words, ids);
  const pairs: Map<number, Pair>[] = [];
  const queue = new Queue();
  let fresh: Pair[] = [];

  const pairOf = (left: number, right: number): Pair => {
    pairs[left] ??= new Map();
    const known = pairs[left].get(right);
    if (known) return known;
    const pair: Pair = { left, right, count: 0, found: undefined };
    pairs[left].set(right, pair);
    return pair;
  };
  const appears = (left: number, right: number, word: number): void => {
    const pair = pairOf(left, right);
    pair.count += counts[word];
    if (pair.found === undefined) {
      pair.found = [];
      fresh.push(pair);
    }
    if (pair.found.at(-1) !== word) pair.found.push(word);
  };
  const disappears = (left: number, right: number, word: number): void => {
    pairOf(left, right).count -= counts[word];
  };
  const enqueue = (): void => {
    for (const pair of fresh) {
      if (pair.count > 0) queue.push({ pair, count: pair.count, words: pair.found ?? [] });
      pair.found = undefined;
    }
    fresh = [];
  };
  const mergeIn = (word: number, { left, right }: Pair, made: number): void => {
    const start = starts[word];
    const end = start + lengths[word];
    let to = start;
    for (let at = start; at < end; at++) {
      if (symbols[at] !== left || at + 1 === end || symbols[at + 1] !== right) {
        symbols[to++] = symbols[at];
        continue;
      }
      if (to > start) {
        disappears(symbols[to - 1], left, word);
        appears(symbols[to - 1], made, word);
      }
      symbols[to++] = made;
      at++;
      if (at + 1 < end) {
        disappears(right, symbols[at + 1], word);
        appears(made, symbols[at + 1], word);
      }
    }
    lengths[word] = to - start;
  };

  const total = (): number => counts.reduce((sum, count, word) => sum + count * lengths[word], 0);

  const byteCount = total();
  for (let word = 0; word < counts.length; word++) {
    const start = starts[word];
    for (let at = start + 1; at < start + lengths[word]; at++) appears(symbols[at - 1], symbols[at], word);
  }
  enqueue();
  // A pair can come up again after it was merged, where a token is made in two ways: the later place in the order counts.
  const merged = new Map<Pair, readonly [string, string]>();
  while (tokens.length < vocabSize) {
    const top = queue.pop();
    if (!top) break;
    const { pair } = top;
    if (top.count !== pair.count) {
      if (pair.count > 0) queue.push({ ...top, count: pair.count });
      continue;
    }
    if (top.count < LEAST_COUNT) break;
    const parts = [tokens[pair.left], tokens[pair.right]] as const;
    const token = parts.join('');
    const made = ids.get(token) ?? tokens.length;
    if (made === tokens.length) {
      ids.set(token, made);
      tokens.push(token);
      onProgress(tokens.length);
    }
    merged.delete(pair);
    merged.set(pair, parts);
    for (const word of top.words) mergeIn(word, pair, made);
    enqueue();
  }
  return { tokens, merges: [...merged.values()], tokenCount: total(), byteCount };
}

/** The words as ids of their bytes, one after another. */
function spell(words: ReadonlyMap<string, number>, ids: ReadonlyMap<string, number>) {
  const idOfByte = BYTE_CHARACTERS.map((character) => ids.get(character) as number);
  const encoder = new TextEncoder();
  const starts = new Int32Array(words.size);
  const lengths = new Int32Array(words.size);
  const counts = new Float64Array(words.size);
  let symbols = new Int32Array(8 * words.size + 16);
  let end = 0;
  let index = 0;
  for (const [word, count] of words) {
    const bytes = encoder.encode(word);
    if (end + bytes.length > symbols.length) {
      const larger = new Int32Array(2 * symbols.length + bytes.length);
      larger.set(symbols);
      symbols = larger;
    }
    starts[index] = end;
    lengths[index] = bytes.length;
    counts[index++] = count;
    for (const byte of bytes) symbols[end++] = idOfByte[byte];
  }
  return { symbols, starts, lengths, counts };
}

const precedes = (a: Candidate, b: Candidate): boolean => {
  if (a.count !== b.count) return a.count > b.count;
  return a.pair.left === b.pair.left ? a.pair.right < b.pair.right : a.pair.left < b.pair.left;
};

/** A binary heap: the candidate that precedes all others is at its root. */
class Queue {
  readonly #heap: Candidate[] = [];

  push(candidate: Candidate): void {
    const heap = this.#heap;
    let at = heap.push(candidate) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!precedes(candidate, heap[above])) break;
      heap[at] = heap[above];
      at = above;
    }
    heap[at] = candidate;
  }

  pop(): Candidate | undefined {
    const heap = this.#heap;
    const root = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return root;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && precedes(heap[below + 1], heap[below])) below++;
      if (!precedes(heap[below], last)) break;
      heap[at] = heap[below];
      at = below;
    }
    heap[at] = last;
    return root;
  }
}
