import { XlstmError } from '../../errors.ts';
import { type EngineLimits, requireKernel } from '../program/limits.ts';
import { type Address, instructionBytes, linkedWords, type Program } from '../program/program.ts';
import type { Region } from '../program/region.ts';
import type { Engine, EngineName, Executable, Memory } from './engine.ts';
import { boundMemories, CheckedMemory, freedProgram, type HostStorage } from './memory.ts';
import { closedError, Stream } from './stream.ts';

/** A piece of an engine's memory. What is not released is given back when nothing refers to the block any more. */
export interface Block extends HostStorage {
  /** Bytes from the start of the address space in which the kernels run. */
  readonly address: number;
}

/** A Program's words, where the kernels can read them. */
export interface Words {
  readonly address: number;
  readonly count: number;
  release(): void;
}

/** What differs between the engines that run the C++ kernels. */
export interface Machine {
  readonly name: EngineName;
  readonly threads: number;
  readonly description: string;
  readonly limits: EngineLimits;
  /** A block of zeros. */
  allocate(bytes: number, what: string): Block;
  /** Present where kernels report who touches bytes that belong to nothing: then Programs are made to show it. */
  guard?(block: Block, from: number, to: number): void;
  place(words: Float64Array): Words;
  /**
   * Below this many operations and bytes a run (about a millisecond) is not worth leaving the calling thread for: what it costs
   * to go and to come back is a tenth of it.
   */
  readonly shortRun: { readonly flops: number; readonly bytes: number };
  /** Runs on the calling thread and others. An exception means that the machine is of no use any more. */
  run(words: Words, threads: number): void;
  /** The same without the calling thread. Absent where it has to take part. */
  readonly runElsewhere?: (words: Words, threads: number) => Promise<void>;
  /** `failed` hears of a thread that is lost between or during runs. Absent where that cannot happen. */
  watch?(failed: (error: Error) => void): void;
  close(): Promise<void>;
}

/**
 * What it costs to call the other threads up, and to meet them after each instruction, in operations. A Program that
 * has less to do runs on one thread. Results do not depend on it.
 */
const START_FLOPS = 2e6;
const MEETING_FLOPS = 1e5;

/** An engine over kernels in C++: binds Programs to memory and runs them one after the other. */
export class CpuEngine implements Engine {
  readonly #machine: Machine;
  readonly #stream = new Stream();
  /** Workspace of all Programs, as large as the largest needs. */
  #work: Block | undefined;
  /** What a run off this thread reads and writes, so that garbage collection does not take it meanwhile. */
  readonly #inUse = new Set<unknown>();
  #failure: XlstmError | undefined;
  #closing: Promise<void> | undefined;

  constructor(machine: Machine) {
    this.#machine = machine;
    machine.watch?.((error) => this.#failed(error));
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

  get limits(): EngineLimits {
    return this.#machine.limits;
  }

  allocate(region: Region): CheckedMemory<Block> {
    this.#stream.check();
    return new CheckedMemory(region, this.#machine.allocate(region.bytes, region.name), this.#stream);
  }

  bind(program: Program, memories: readonly Memory[]): Executable {
    this.#stream.check();
    for (const { kernel } of program.instructions)
      requireKernel(`program ${program.name} takes ${kernel}`, kernel, this.limits);
    const bound = boundMemories<Block>(program, memories, this.#stream);
    this.#reserveWork(program);
    const io = this.allocate(program.io);
    for (const { name, values } of program.constants) io.write(name, values);
    bound.set(program.io, io);
    if (this.#machine.guard)
      for (const [from, to] of program.io.gaps()) this.#machine.guard(io.storage, from, to);
    const used = [...bound.values()];
    const worthwhile =
      this.#machine.guard !== undefined ||
      program.flops >= START_FLOPS + program.instructions.length * MEETING_FLOPS;
    const threads = worthwhile ? this.threads : 1;
    const { shortRun } = this.#machine;
    const bytes = program.instructions.reduce((sum, instruction) => sum + instructionBytes(instruction), 0);
    const short = program.flops < shortRun.flops && bytes < shortRun.bytes;

    let freed = false;
    let words: Words | undefined;
    let linkedTo: Block | undefined;
    // Only in a run's turn: then no other run uses the words.
    const link = (): Words => {
      const work = this.#work;
      if (!words || linkedTo !== work) {
        words?.release();
        words = undefined;
        const addressOf = ({ region, offset }: Address): number =>
          (region === program.work ? work! : bound.get(region)!.storage).address + offset;
        words = this.#machine.place(program.link(addressOf));
        linkedTo = work;
      }
      return words;
    };
    const check = (): void => {
      this.#stream.check();
      if (freed) throw freedProgram(program);
      for (const memory of used) memory.check();
    };
    const run = (): void | Promise<void> => {
      check();
      if (this.#stream.idle && (short || !this.#machine.runElsewhere)) return this.#runHere(link(), threads);
      return this.#stream.ask(() => this.#runElsewhere(link(), threads, used));
    };
    const profile = async (): Promise<Float64Array> => {
      check();
      return this.#stream.ask(() => {
        const seconds = new Float64Array(program.instructions.length);
        const placed = link();
        let { address } = placed;
        for (const [i, instruction] of program.instructions.entries()) {
          const count = linkedWords(instruction);
          const start = performance.now();
          this.#runHere({ ...placed, address, count }, threads);
          seconds[i] = (performance.now() - start) / 1000;
          address += Float64Array.BYTES_PER_ELEMENT * count;
        }
        return seconds;
      });
    };
    const free = (): void => {
      if (freed) return;
      freed = true;
      io.free();
      if (!this.#stream.ended) this.#stream.act(() => words?.release());
    };
    return { program, io, run, profile, free, [Symbol.dispose]: free };
  }

  close(): Promise<void> {
    this.#closing ??= this.#stream.end(closedError(this.name)).then(() => this.#machine.close());
    return this.#closing;
  }

  #runHere(words: Words, threads: number): void {
    try {
      this.#machine.run(words, threads);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async #runElsewhere(words: Words, threads: number, used: unknown): Promise<void> {
    if (!this.#machine.runElsewhere) return this.#runHere(words, threads);
    const inUse = [words, this.#work, used];
    this.#inUse.add(inUse);
    try {
      await this.#machine.runElsewhere(words, threads);
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#inUse.delete(inUse);
    }
  }

  /** Half a run is in memory and threads may be gone: nothing can go on from here. */
  #failed(error: unknown): XlstmError {
    this.#failure ??= new XlstmError(
      'engine',
      `the ${this.name} engine failed and cannot be used any more: ${(error as Error).message}`,
      'create another engine to go on; what was in the memory of this one is lost',
    );
    this.#stream.abandon(this.#failure);
    return this.#failure;
  }

  #reserveWork(program: Program): void {
    const before = this.#work;
    const { bytes } = program.work;
    if (before && bytes <= before.bytes) return;
    const what = `the workspace of program ${program.name}`;
    if (!before || !this.#stream.idle) {
      this.#work = this.#machine.allocate(bytes, what);
      if (before) this.#stream.act(() => before.release());
      return;
    }
    before.release(); // first: the new one may only fit in its place
    try {
      this.#work = this.#machine.allocate(bytes, what);
    } catch (error) {
      // The Programs bound before go on with what they had.
      this.#work = this.#machine.allocate(before.bytes, 'the workspace');
      throw error;
    }
  }
}
