import { checkNumber } from '../checks.ts';

/** A place in the tree: all that begins with the tokens on the way to it lies below. */
interface Node<T> {
  /** Tokens from the parent to here. */
  label: Int32Array;
  parent: Node<T> | undefined;
  readonly children: Map<number, Node<T>>;
  entry: Entry<T> | undefined;
}

interface Entry<T> {
  readonly value: T;
  readonly bytes: number;
}

/** What was known of the beginning of a sequence. */
export interface CachedPrefix<T> {
  /** How many of the tokens it stands for. */
  readonly length: number;
  /** What was put there. It may be given up at the next `put`. */
  readonly value: T;
}

const BYTES_OF_TOKEN = 4;

/**
 * Values by sequences of tokens, such as the state that follows them: a radix tree, so that sequences that begin alike
 * share what they have in common. Of too many bytes those that were used least lately are given up.
 */
export class PrefixCache<T> {
  /** What its values and their tokens may take. */
  readonly mostBytes: number;
  readonly #free: (value: T) => void;
  readonly #root: Node<T> = {
    label: new Int32Array(0),
    parent: undefined,
    children: new Map(),
    entry: undefined,
  };
  /** Nodes with an entry, those used last at the end. */
  readonly #used = new Set<Node<T>>();
  #bytes = 0;

  /**
   * An empty one. `mostBytes` bounds what its values and their tokens take; `free` is told of values that are given up.
   * Throws a usage error for a bound that is negative or no number.
   */
  constructor(mostBytes: number, free: (value: T) => void = () => {}) {
    checkNumber('mostBytes', mostBytes, 'a number of at least 0', (bytes) => bytes >= 0);
    this.mostBytes = mostBytes;
    this.#free = free;
  }

  /** What its values and their tokens take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Values that it holds. */
  get size(): number {
    return this.#used.size;
  }

  /** The value of the longest beginning of the tokens, all of them included, of at most `most`; undefined where none is known. */
  longest(tokens: ArrayLike<number>, most = tokens.length): CachedPrefix<T> | undefined {
    let node = this.#root;
    let length = 0;
    let found: { readonly node: Node<T>; readonly length: number } | undefined;
    for (;;) {
      if (node.entry) found = { node, length };
      const next = node.children.get(tokens[length]);
      if (
        !next ||
        length + next.label.length > most ||
        shared(next.label, tokens, length) < next.label.length
      )
        break;
      length += next.label.length;
      node = next;
    }
    if (!found?.node.entry) return undefined;
    this.#touch(found.node);
    return { length: found.length, value: found.node.entry.value };
  }

  /**
   * Keeps a value that takes so many bytes; what was there for the same tokens is given up. One that takes more than the
   * cache may hold is given up at once, and all others stay.
   */
  put(tokens: ArrayLike<number>, value: T, bytes: number): void {
    const size = bytes + BYTES_OF_TOKEN * tokens.length;
    if (size > this.mostBytes) {
      this.#free(value);
      return;
    }
    const node = this.#nodeOf(tokens);
    this.#drop(node);
    node.entry = { value, bytes: size };
    this.#bytes += size;
    this.#touch(node);
    for (const oldest of this.#used) {
      if (this.#bytes <= this.mostBytes) break;
      this.#drop(oldest);
      this.#prune(oldest);
    }
  }

  /** Gives all up. */
  clear(): void {
    for (const node of this.#used) this.#drop(node);
    this.#root.children.clear();
  }

  #touch(node: Node<T>): void {
    this.#used.delete(node);
    this.#used.add(node);
  }

  /** The node of these tokens, which is made where there is none. */
  #nodeOf(tokens: ArrayLike<number>): Node<T> {
    let node = this.#root;
    let at = 0;
    while (at < tokens.length) {
      const next = node.children.get(tokens[at]);
      if (!next) {
        const label = Int32Array.from({ length: tokens.length - at }, (_, i) => tokens[at + i]);
        return attach(node, { label, parent: node, children: new Map(), entry: undefined });
      }
      const same = shared(next.label, tokens, at);
      node = same < next.label.length ? split(next, same) : next;
      at += same;
    }
    return node;
  }

  #drop(node: Node<T>): void {
    if (!node.entry) return;
    const { value, bytes } = node.entry;
    node.entry = undefined;
    this.#bytes -= bytes;
    this.#used.delete(node);
    this.#free(value);
  }

  /** Takes out what leads to no value, and joins a way that no longer forks. */
  #prune(from: Node<T>): void {
    let node = from;
    while (node.parent && !node.entry && node.children.size === 0) {
      node.parent.children.delete(node.label[0]);
      node = node.parent;
    }
    if (!node.parent || node.entry || node.children.size !== 1) return;
    const [child] = node.children.values();
    const label = new Int32Array(node.label.length + child.label.length);
    label.set(node.label);
    label.set(child.label, node.label.length);
    child.label = label;
    attach(node.parent, child);
  }
}

/** How many tokens of a label come in `tokens` from `at` on. */
function shared(label: Int32Array, tokens: ArrayLike<number>, at: number): number {
  let count = 0;
  while (count < label.length && at + count < tokens.length && label[count] === tokens[at + count]) count++;
  return count;
}

function attach<T>(parent: Node<T>, child: Node<T>): Node<T> {
  child.parent = parent;
  parent.children.set(child.label[0], child);
  return child;
}

/** A node after the first `count` tokens of the label of this one. */
function split<T>(node: Node<T>, count: number): Node<T> {
  const middle: Node<T> = {
    label: node.label.slice(0, count),
    parent: node.parent,
    children: new Map(),
    entry: undefined,
  };
  attach(node.parent as Node<T>, middle);
  node.label = node.label.slice(count);
  attach(middle, node);
  return middle;
}
