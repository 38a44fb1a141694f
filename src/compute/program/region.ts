import { XlstmError } from '../../errors.ts';
import { bytesOf, type Dtype } from './dtypes.ts';

/** Dimensions, the outermost first: whole numbers of at least 1. */
export type Shape = readonly number[];

export const sizeOf = (shape: Shape): number => shape.reduce((product, n) => product * n, 1);

export const shapeText = (shape: Shape): string => `[${shape.join(', ')}]`;

/** Every entry starts on a cache line. */
export const ENTRY_ALIGNMENT = 64;

const alignUp = (bytes: number): number => Math.ceil(bytes / ENTRY_ALIGNMENT) * ENTRY_ALIGNMENT;

/** An array of a region. */
export interface Entry {
  /** Its name in memories of the region. */
  readonly name: string;
  /** Its elements lie row by row. */
  readonly shape: Shape;
  /** What its elements are: f32, in which operations compute, or i32. */
  readonly dtype: Dtype;
  /** Bytes from the start of the region. */
  readonly offset: number;
}

/** Where an entry begins in an array of all numbers of its type that a region holds. */
export const startOf = ({ offset, dtype }: Entry): number => offset / bytesOf(dtype);

/**
 * A layout of named arrays in one piece of memory: the parameters of a model, its gradients, the recurrent state of
 * a session, the inputs and outputs of a Program. An engine's `allocate` gives a region memory; several Programs may
 * be bound to the same memory.
 */
export class Region {
  /** For people: errors and `print` of a Program show it. */
  readonly name: string;
  readonly #entries = new Map<string, Entry>();
  readonly #joined = new Map<string, Entry>();
  #bytes = 0;

  /** An empty one. */
  constructor(name: string) {
    this.name = name;
  }

  /** Bytes that memory of it takes: a multiple of 64. */
  get bytes(): number {
    return this.#bytes;
  }

  /** As many float32 as fill it. */
  get elements(): number {
    return this.#bytes / bytesOf('f32');
  }

  /** In order of declaration; names that `join` gave to several arrays are not among them. */
  get entries(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  /** Declares an array. Throws a usage error for a name that is there, and for sizes that are none. */
  add(name: string, shape: Shape, dtype: Dtype = 'f32'): Entry {
    const entry = this.#append(name, shape, dtype);
    this.#bytes = alignUp(this.#bytes);
    return entry;
  }

  /**
   * Adds arrays one right after another and a name for all of them as one array of the given shape: several parameters
   * that one kernel reads as a single matrix. `entries` lists the parts alone.
   */
  join(
    name: string,
    shape: Shape,
    parts: readonly { readonly name: string; readonly shape: Shape }[],
    dtype: Dtype = 'f32',
  ): Entry {
    const offset = this.#bytes;
    for (const part of parts) this.#append(part.name, part.shape, dtype);
    if (this.#bytes - offset !== bytesOf(dtype, sizeOf(shape))) {
      throw new XlstmError(
        'internal',
        `${this.name}: the parts of "${name}" take ${this.#bytes - offset} bytes, not ${bytesOf(dtype, sizeOf(shape))}`,
      );
    }
    this.#bytes = alignUp(this.#bytes);
    const entry = { name, shape, dtype, offset };
    this.#joined.set(name, entry);
    return entry;
  }

  #append(name: string, shape: Shape, dtype: Dtype): Entry {
    if (this.has(name)) throw new XlstmError('usage', `${this.name}: "${name}" is declared twice`);
    const elements = shape.every((size) => Number.isSafeInteger(size) && size >= 1) ? sizeOf(shape) : 0;
    if (elements < 1 || !Number.isSafeInteger(this.#bytes + bytesOf(dtype, elements))) {
      throw new XlstmError(
        'usage',
        `${this.name}: the shape of "${name}": expected whole numbers of at least 1, found ${shapeText(shape)}`,
      );
    }
    const entry = { name, shape, dtype, offset: this.#bytes };
    this.#entries.set(name, entry);
    this.#bytes += bytesOf(dtype, elements);
    return entry;
  }

  /** A region of the same layout under another name: the gradients of parameters, the moments of an optimizer. */
  mirror(name: string): Region {
    const copy = new Region(name);
    for (const [key, entry] of this.#entries) copy.#entries.set(key, entry);
    for (const [key, entry] of this.#joined) copy.#joined.set(key, entry);
    copy.#bytes = this.#bytes;
    return copy;
  }

  /** Leaves a cache line free behind what was added so far. */
  leaveGap(): void {
    this.#bytes += ENTRY_ALIGNMENT;
  }

  /** The bytes that belong to no entry, as ranges [from, to). */
  gaps(): [from: number, to: number][] {
    const gaps: [number, number][] = [];
    let end = 0;
    for (const { offset, shape, dtype } of this.#entries.values()) {
      if (offset > end) gaps.push([end, offset]);
      end = offset + bytesOf(dtype, sizeOf(shape));
    }
    if (end < this.#bytes) gaps.push([end, this.#bytes]);
    return gaps;
  }

  /** Whether there is an entry, or several joined ones, of this name. */
  has(name: string): boolean {
    return this.#entries.has(name) || this.#joined.has(name);
  }

  /** The entry, or the joined ones as one, of this name. Throws a usage error where there is none. */
  get(name: string): Entry {
    const entry = this.#entries.get(name) ?? this.#joined.get(name);
    if (!entry) {
      throw new XlstmError(
        'usage',
        `${this.name} holds no "${name}"; it has ${[...this.#entries.keys()].join(', ')}`,
      );
    }
    return entry;
  }
}
