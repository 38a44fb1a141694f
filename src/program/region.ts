import { XlstmError } from '../errors.ts';

export type Shape = readonly number[];

export const sizeOf = (shape: Shape): number => shape.reduce((product, n) => product * n, 1);

export const shapeText = (shape: Shape): string => `[${shape.join(', ')}]`;

/** Elements; 64 bytes of float32, so every entry starts on a cache line. */
const ALIGNMENT = 16;

export const alignUp = (elements: number): number => Math.ceil(elements / ALIGNMENT) * ALIGNMENT;

export interface Entry {
  readonly name: string;
  readonly shape: Shape;
  /** Elements from the start of the region. */
  readonly offset: number;
}

/**
 * A layout of named arrays in one piece of memory: the parameters of a model, its gradients, the recurrent state of
 * a session, the inputs and outputs of a Program. An engine's `allocate` gives a region memory; several Programs may
 * be bound to the same memory.
 */
export class Region {
  readonly name: string;
  readonly #entries = new Map<string, Entry>();
  readonly #joined = new Map<string, Entry>();
  #elements = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Elements in all. */
  get elements(): number {
    return this.#elements;
  }

  get entries(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  add(name: string, shape: Shape): Entry {
    const entry = this.#append(name, shape);
    this.#elements = alignUp(this.#elements);
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
  ): Entry {
    const offset = this.#elements;
    for (const part of parts) this.#append(part.name, part.shape);
    if (this.#elements - offset !== sizeOf(shape)) {
      throw new XlstmError(
        'internal',
        `${this.name}: the parts of "${name}" have ${this.#elements - offset} elements, not ${sizeOf(shape)}`,
      );
    }
    this.#elements = alignUp(this.#elements);
    const entry = { name, shape, offset };
    this.#joined.set(name, entry);
    return entry;
  }

  #append(name: string, shape: Shape): Entry {
    if (this.has(name)) throw new XlstmError('internal', `${this.name}: "${name}" is declared twice`);
    const entry = { name, shape, offset: this.#elements };
    this.#entries.set(name, entry);
    this.#elements += sizeOf(shape);
    return entry;
  }

  /** A region of the same layout under another name: the gradients of parameters, the moments of an optimizer. */
  mirror(name: string): Region {
    const copy = new Region(name);
    for (const [key, entry] of this.#entries) copy.#entries.set(key, entry);
    for (const [key, entry] of this.#joined) copy.#joined.set(key, entry);
    copy.#elements = this.#elements;
    return copy;
  }

  has(name: string): boolean {
    return this.#entries.has(name) || this.#joined.has(name);
  }

  get(name: string): Entry {
    const entry = this.#entries.get(name) ?? this.#joined.get(name);
    if (!entry) {
      throw new XlstmError(
        'internal',
        `${this.name} holds no "${name}"; it has ${[...this.#entries.keys()].join(', ')}`,
      );
    }
    return entry;
  }
}
