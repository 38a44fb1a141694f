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
    if (this.#entries.has(name)) {
      throw new XlstmError('internal', `${this.name}: "${name}" is declared twice`);
    }
    const entry = { name, shape, offset: this.#elements };
    this.#entries.set(name, entry);
    this.#elements += alignUp(sizeOf(shape));
    return entry;
  }

  /** A region of the same layout under another name: the gradients of parameters, the moments of an optimizer. */
  mirror(name: string): Region {
    const copy = new Region(name);
    for (const entry of this.entries) copy.add(entry.name, entry.shape);
    return copy;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  get(name: string): Entry {
    const entry = this.#entries.get(name);
    if (!entry) {
      throw new XlstmError(
        'internal',
        `${this.name} holds no "${name}"; it has ${[...this.#entries.keys()].join(', ')}`,
      );
    }
    return entry;
  }
}
