import { XlstmError } from '../../errors.ts';
import { bytesOf, type Dtype, type Numbers } from '../program/dtypes.ts';
import type { Program } from '../program/program.ts';
import { type Entry, type Region, sizeOf, startOf } from '../program/region.ts';
import type { CopiedPart, Memory, Values } from './engine.ts';
import type { Stream } from './stream.ts';

/** Where a memory's numbers lie. Places and counts are in elements of a type, and checked. */
export interface Storage {
  readonly bytes: number;
  write(values: ArrayLike<number>, at: number, dtype: Dtype): void;
  /** A copy as it is now. */
  read(at: number, count: number, dtype: Dtype): Values | Promise<Values>;
  clear(): void;
  /** Gives `work` all numbers to read and change. */
  lend<T>(work: (values: Values) => T | Promise<T>): T | Promise<T>;
  /** Takes over elements of another storage of the same engine. */
  copy(source: Storage, from: number, count: number, at: number): void;
  /** Gives the elements back: nothing uses them from now on. */
  release(): void;
}

/** One that JavaScript reaches. */
export interface HostStorage extends Storage {
  /** All of it as numbers of a type (f32 where none is named); ask anew for each use, since growing memory can move the view. */
  values(dtype?: Dtype): Numbers;
}

/** How numbers that JavaScript reaches are written, read and copied. */
export function hostStorage(
  bytes: number,
  values: (dtype?: Dtype) => Numbers,
  release: () => void,
): HostStorage {
  return {
    bytes,
    values,
    release,
    write: (numbers, at, dtype) => values(dtype).set(numbers, at),
    read: (at, count, dtype) => floating(values(dtype).slice(at, at + count)),
    clear: () => void values().fill(0),
    lend: (work) => work(floating(values())),
    copy: (source, from, count, at) =>
      // As i32: bits of packed weights are no numbers.
      values('i32').set((source as HostStorage).values('i32').subarray(from, from + count), at),
  };
}

const usage = (message: string, hint?: string): XlstmError => new XlstmError('usage', message, hint);

/** Memory whose calls are checked and take place in the order of the engine whose stream it is given. */
export class CheckedMemory<S extends Storage = Storage> implements Memory {
  readonly region: Region;
  readonly storage: S;
  readonly stream: Stream;
  #freed = false;

  constructor(region: Region, storage: S, stream: Stream) {
    this.region = region;
    this.storage = storage;
    this.stream = stream;
  }

  write(name: string, values: ArrayLike<number>, at = 0): void {
    const { dtype } = this.#entry(name);
    this.#set(values, this.#place(name, at, values.length), dtype);
  }

  writeAll(values: ArrayLike<number>): void {
    this.check();
    const elements = this.#elements;
    if (values.length !== elements) {
      throw usage(`${this.region.name} holds ${elements} elements; ${values.length} values do not fit`);
    }
    this.#set(values, 0);
  }

  clear(): void {
    this.check();
    this.stream.act(() => this.storage.clear());
  }

  copyFrom(source: Memory, part?: CopiedPart): void {
    this.check();
    const from = ownMemory(source, this.stream);
    if (!part) {
      if (!sameLayout(this.region, source.region) || this.storage.bytes !== from.storage.bytes) {
        throw usage(
          `${this.region.name} and ${source.region.name} differ in their layout: name the part to copy`,
        );
      }
      this.stream.act(() => this.storage.copy(from.storage, 0, this.#elements, 0));
      return;
    }
    const start = part.from ?? 0;
    const count = part.count ?? sizeOf(from.#entry(part.name).shape) - start;
    const read = from.#place(part.name, start, count);
    const written = this.#place(part.name, part.at ?? 0, count);
    const { dtype } = from.#entry(part.name);
    if (this.#entry(part.name).dtype !== dtype) {
      throw usage(`${part.name} is ${dtype} in ${source.region.name}, not in ${this.region.name}`);
    }
    this.stream.act(() => this.storage.copy(from.storage, read, count, written));
  }

  async read(name: string, at = 0, count = sizeOf(this.#entry(name).shape) - at): Promise<Values> {
    const start = this.#place(name, at, count);
    const { dtype } = this.#entry(name);
    return this.#read(start, count, dtype);
  }

  async readAll(): Promise<Values> {
    this.check();
    return this.#read(0, this.#elements, 'f32');
  }

  /** What was asked for after it does not wait for numbers that are still on their way. */
  async #read(at: number, count: number, dtype: Dtype): Promise<Values> {
    const { values } = await this.stream.read(() => ({ values: this.storage.read(at, count, dtype) }));
    return values;
  }

  async access<T>(work: (values: Values) => T | Promise<T>): Promise<T> {
    this.check();
    return this.stream.ask(() => this.storage.lend(work));
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    if (this.stream.ended) return; // all of the engine's memory is given back with it
    this.stream.act(() => this.storage.release());
  }

  [Symbol.dispose](): void {
    this.free();
  }

  /** Refuses freed memory. */
  check(): void {
    if (this.#freed) throw usage(`the memory of ${this.region.name} was freed`);
  }

  /** Values are copied where they have to wait: the caller's array is the caller's after the call. */
  #set(values: ArrayLike<number>, at: number, dtype: Dtype = 'f32'): void {
    const { stream, storage } = this;
    const kept = stream.idle ? values : new Float64Array(values);
    stream.act(() => storage.write(kept, at, dtype));
  }

  /** Float32 that fill the memory. */
  get #elements(): number {
    return this.storage.bytes / bytesOf('f32');
  }

  #entry(name: string): Entry {
    this.check();
    const { region } = this;
    if (!region.has(name)) {
      const names = Array.from(region.entries, (entry) => entry.name);
      throw usage(`${region.name} holds no "${name}"; it has ${names.join(', ')}`);
    }
    return region.get(name);
  }

  /** Where elements of an entry lie among those of its type; they have to be there. */
  #place(name: string, at: number, count: number): number {
    const entry = this.#entry(name);
    const { offset, shape, dtype } = entry;
    const size = sizeOf(shape);
    if (!(Number.isInteger(at) && Number.isInteger(count) && at >= 0 && count >= 0 && at + count <= size)) {
      throw usage(`${this.region.name}.${name}: ${count} values from ${at} on do not fit in ${size}`);
    }
    if (offset + bytesOf(dtype, size) > this.storage.bytes) throw grown(this);
    return startOf(entry) + at;
  }
}

const floating = (values: Numbers): Values =>
  values instanceof Int32Array ? new Float64Array(values) : values;

export const freedProgram = ({ name }: Program): XlstmError => usage(`program ${name} was freed`);

const grown = ({ region, storage }: CheckedMemory): XlstmError =>
  usage(
    `${region.name} has grown to ${region.bytes} bytes since it got memory for ${storage.bytes}`,
    'allocate memory when the region is complete',
  );

function ownMemory(memory: Memory, stream: Stream): CheckedMemory {
  if (!(memory instanceof CheckedMemory) || memory.stream !== stream) {
    throw usage(`the memory of ${memory.region.name} belongs to another engine`);
  }
  memory.check();
  return memory;
}

/** The memory of each region that a Program addresses, but for its workspace; refuses what does not serve. */
export function boundMemories<S extends Storage>(
  program: Program,
  memories: readonly Memory[],
  stream: Stream,
): Map<Region, CheckedMemory<S>> {
  const given = new Map(
    memories.map((memory) => [memory.region, ownMemory(memory, stream) as CheckedMemory<S>]),
  );
  const bound = new Map<Region, CheckedMemory<S>>();
  for (const region of program.regions) {
    if (region === program.work || region === program.io) continue;
    const memory = given.get(region);
    if (!memory) throw usage(`program ${program.name}: no memory was given for region ${region.name}`);
    if (memory.storage.bytes < region.bytes) throw grown(memory);
    bound.set(region, memory);
  }
  return bound;
}

function sameLayout(a: Region, b: Region): boolean {
  if (a === b) return true;
  const [first, second] = [[...a.entries], [...b.entries]];
  return (
    first.length === second.length &&
    first.every(
      ({ name, offset, shape, dtype }, i) =>
        name === second[i].name &&
        dtype === second[i].dtype &&
        offset === second[i].offset &&
        sizeOf(shape) === sizeOf(second[i].shape),
    )
  );
}
