import { XlstmError } from '../errors.ts';
import { type Address, linkedWords, type Program } from '../program/program.ts';
import { type Region, sizeOf } from '../program/region.ts';
import type { Engine, EngineName, Executable, Memory } from './engine.ts';

/** A piece of an engine's memory. It is given back when nothing refers to the block any more. */
export interface Block {
  /** Bytes from the start of the address space in which the kernels run. */
  readonly address: number;
  readonly elements: number;
  /** The block's elements; ask anew for each use, since growing memory can move the view. */
  floats(): Float32Array;
}

/** A Program's words, where the kernels can read them. */
export interface Words {
  readonly address: number;
  readonly count: number;
}

/** What differs between the engines that run the C++ kernels. */
export interface Machine {
  readonly name: EngineName;
  readonly threads: number;
  readonly description: string;
  /** A block of zeros. */
  allocate(elements: number, what: string): Block;
  /** Takes a block back at once: no Program that runs from now on uses it. */
  release(block: Block): void;
  place(words: Float64Array): Words;
  run(words: Words, threads: number): void;
  /** Absent where the calling thread has to take part. */
  runElsewhere?(words: Words, threads: number): Promise<void>;
  close(): Promise<void>;
}

/** Below this many operations a run (about a millisecond) is not worth leaving the calling thread for. */
const SHORT_RUN_FLOPS = 2e7;

/**
 * What it costs to call the other threads up, and to meet them after each instruction, in operations. A Program that
 * has less to do runs on one thread. Results do not depend on it.
 */
const START_FLOPS = 2e6;
const MEETING_FLOPS = 1e5;

/** An engine over kernels in C++: binds Programs to memory and runs them one after the other. */
export class CpuEngine implements Engine {
  readonly #machine: Machine;
  /** Workspace of all Programs, as large as the largest needs. */
  #work: Block | undefined;
  #workElements = 0;
  /** The newest run that is not over yet; runs go one after the other. */
  #last: Promise<void> | undefined;
  /** What a run off this thread reads and writes, so that garbage collection does not take it meanwhile. */
  readonly #inUse = new Set<unknown>();
  #closed = false;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  get name(): EngineName {
    return this.#machine.name;
  }

  get threads(): number {
    return this.#machine.threads;
  }

  get description(): string {
    return this.#machine.description;
  }

  allocate(region: Region): Memory {
    this.#checkOpen();
    return new CpuMemory(region, this.#machine.allocate(region.elements, region.name), () => this.#idle());
  }

  bind(program: Program, memories: readonly Memory[]): Executable {
    this.#checkOpen();
    const given = new Map<Region, CpuMemory>();
    for (const memory of memories) {
      if (!(memory instanceof CpuMemory)) {
        throw new XlstmError(
          'internal',
          `memory of ${memory.region.name} is another engine's, not ${this.name}'s`,
        );
      }
      given.set(memory.region, memory);
    }
    const io = this.allocate(program.io) as CpuMemory;
    given.set(program.io, io);
    for (const { name, values } of program.constants) io.write(name, values);
    for (const region of program.regions) {
      if (region !== program.work && !given.has(region)) {
        throw new XlstmError(
          'internal',
          `program ${program.name}: no memory was given for region ${region.name}`,
        );
      }
    }
    this.#reserveWork(program);
    const worthwhile = program.flops >= START_FLOPS + program.instructions.length * MEETING_FLOPS;
    const threads = worthwhile ? this.threads : 1;
    const short = program.flops < SHORT_RUN_FLOPS || !this.#machine.runElsewhere;

    let words: Words | undefined;
    let linkedTo: Block | undefined;
    const link = (): Words => {
      const work = this.#work;
      if (!words || linkedTo !== work) {
        const addressOf = ({ region, offset }: Address): number =>
          (region === program.work ? work : given.get(region)?.block)!.address + 4 * offset;
        words = this.#machine.place(program.link(addressOf));
        linkedTo = work;
      }
      return words;
    };
    const run = (): void | Promise<void> => {
      this.#checkOpen();
      if (short && !this.#last) return this.#machine.run(link(), threads);
      return this.#enqueue(async () => {
        const placed = link();
        if (short) return this.#machine.run(placed, threads);
        const inUse = [placed, linkedTo, given];
        this.#inUse.add(inUse);
        await this.#machine.runElsewhere!(placed, threads).finally(() => this.#inUse.delete(inUse));
      });
    };
    const profile = async (): Promise<Float64Array> => {
      this.#checkOpen();
      const seconds = new Float64Array(program.instructions.length);
      await this.#enqueue(async () => {
        let { address } = link();
        for (const [i, instruction] of program.instructions.entries()) {
          const count = linkedWords(instruction);
          const start = performance.now();
          this.#machine.run({ address, count }, threads);
          seconds[i] = (performance.now() - start) / 1000;
          address += Float64Array.BYTES_PER_ELEMENT * count;
        }
      });
      return seconds;
    };
    return { program, io, run, profile };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#idle();
    await this.#machine.close();
  }

  async #idle(): Promise<void> {
    while (this.#last) await this.#last;
  }

  #enqueue(start: () => Promise<void>): Promise<void> {
    const run = (this.#last ?? Promise.resolve()).then(start);
    const last = run.catch(() => {}); // the caller's promise carries the error
    this.#last = last;
    last.then(() => {
      if (this.#last === last) this.#last = undefined;
    });
    return run;
  }

  #reserveWork(program: Program): void {
    const { elements } = program.work;
    if (this.#work && elements <= this.#workElements) return;
    if (this.#work) this.#machine.release(this.#work);
    try {
      this.#work = this.#machine.allocate(elements, `the workspace of program ${program.name}`);
      this.#workElements = elements;
    } catch (error) {
      // The Programs bound before go on with what they had.
      if (this.#work) this.#work = this.#machine.allocate(this.#workElements, 'the workspace');
      throw error;
    }
  }

  #checkOpen(): void {
    if (this.#closed) {
      throw new XlstmError('engine', `the ${this.name} engine is closed`, 'create another engine to go on');
    }
  }
}

class CpuMemory implements Memory {
  readonly region: Region;
  readonly block: Block;
  readonly #idle: () => Promise<void>;

  constructor(region: Region, block: Block, idle: () => Promise<void>) {
    this.region = region;
    this.block = block;
    this.#idle = idle;
  }

  write(name: string, values: ArrayLike<number>, at = 0): void {
    const entry = this.region.get(name);
    const size = sizeOf(entry.shape);
    if (at < 0 || at + values.length > size) {
      throw new XlstmError(
        'internal',
        `${this.region.name}.${name}: ${values.length} values from ${at} on do not fit in ${size}`,
      );
    }
    this.block.floats().set(values, entry.offset + at);
  }

  async read(name: string): Promise<Float32Array> {
    const { offset, shape } = this.region.get(name);
    await this.#idle();
    return this.block.floats().slice(offset, offset + sizeOf(shape));
  }

  async readAll(): Promise<Float32Array> {
    await this.#idle();
    return this.block.floats().slice();
  }

  writeAll(values: ArrayLike<number>): void {
    if (values.length !== this.region.elements) {
      throw new XlstmError(
        'internal',
        `${this.region.name} holds ${this.region.elements} elements, not ${values.length}`,
      );
    }
    this.block.floats().set(values);
  }

  clear(): void {
    this.block.floats().fill(0);
  }
}
