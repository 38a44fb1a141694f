import { XlstmError } from '../../../errors.ts';

export const PAGE = 65536;
/** The most that a 32-bit address space holds. */
export const MAX_BYTES = 2 ** 32;
/** A memory begins with what the module's own data and a first workspace fit in, and grows. */
const FIRST_PAGES = 256;

/** A memory that can grow to as many bytes as the host allows: it may reserve their addresses at once. */
export function createMemory(shared: boolean): { memory: WebAssembly.Memory; maximum: number } {
  let refusal: unknown;
  for (let pages = MAX_BYTES / PAGE; pages >= FIRST_PAGES; pages /= 2) {
    try {
      const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: pages, shared });
      return { memory, maximum: pages * PAGE };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      refusal = error;
    }
  }
  throw new XlstmError(
    'engine',
    `the host gives WebAssembly no memory: ${(refusal as Error).message}`,
    'allow the process more address space (ulimit -v), or use another engine',
  );
}

/** Blocks start on cache lines. */
const ALIGNMENT = 64;
const alignUp = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

interface Gap {
  readonly start: number;
  readonly end: number;
}

/**
 * Hands out pieces of a WebAssembly memory above `base`: first fit over a list of gaps in address order, which are
 * joined again when a piece comes back; the memory grows when no gap is large enough.
 */
export class WasmHeap {
  readonly memory: WebAssembly.Memory;
  /** Bytes that the memory can grow to. */
  readonly limit: number;
  #gaps: Gap[] = [];
  #end: number;
  /** Everything from here on was never handed out and is still 0. */
  #untouched: number;

  constructor(memory: WebAssembly.Memory, base: number, limit: number) {
    this.memory = memory;
    this.limit = limit;
    this.#end = memory.buffer.byteLength;
    this.#untouched = alignUp(base);
    this.#gaps = [{ start: this.#untouched, end: this.#end }];
  }

  /** Bytes that the memory has grown to. */
  get size(): number {
    return this.#end;
  }

  /** The address of a piece of zeros. */
  allocate(bytes: number, what: string): number {
    const size = alignUp(Math.max(bytes, 1));
    let index = this.#gaps.findIndex(({ start, end }) => end - start >= size);
    if (index < 0) {
      this.#grow(size, what);
      index = this.#gaps.length - 1;
    }
    const { start, end } = this.#gaps[index];
    if (end - start === size) this.#gaps.splice(index, 1);
    else this.#gaps[index] = { start: start + size, end };
    const used = Math.min(size, Math.max(0, this.#untouched - start));
    new Uint8Array(this.memory.buffer, start, used).fill(0);
    this.#untouched = Math.max(this.#untouched, start + size);
    return start;
  }

  free(address: number, bytes: number): void {
    const freed = { start: address, end: address + alignUp(Math.max(bytes, 1)) };
    const index = this.#gaps.findIndex(({ start }) => start > address);
    this.#gaps.splice(index < 0 ? this.#gaps.length : index, 0, freed);
    const joined: Gap[] = [];
    for (const gap of this.#gaps) {
      const last = joined.at(-1);
      if (last?.end === gap.start) joined[joined.length - 1] = { start: last.start, end: gap.end };
      else joined.push(gap);
    }
    this.#gaps = joined;
  }

  #grow(size: number, what: string): void {
    const last = this.#gaps.at(-1);
    const tail = last?.end === this.#end ? last : undefined;
    const pages = Math.ceil((size - (tail ? tail.end - tail.start : 0)) / PAGE);
    try {
      this.memory.grow(pages);
    } catch {
      throw new XlstmError(
        'engine',
        `the WebAssembly engine has no memory for ${what}: it needs ${size.toLocaleString('en-US')} bytes more than ` +
          `the ${this.#end.toLocaleString('en-US')} it has grown to, and the memory ends at ${this.limit / 2 ** 20} MiB`,
        'use a smaller batch, context or model, or the native engine',
      );
    }
    if (tail) this.#gaps.pop();
    const start = tail ? tail.start : this.#end;
    this.#end = this.memory.buffer.byteLength;
    this.#gaps.push({ start, end: this.#end });
  }
}
