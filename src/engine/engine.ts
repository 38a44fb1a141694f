import type { Program } from '../program/program.ts';
import type { Region } from '../program/region.ts';

export type EngineName = 'reference' | 'wasm' | 'native';

/** Memory that an engine gave to a region. It is freed when nothing refers to it any more. */
export interface Memory {
  readonly region: Region;
  /** Writes values into an entry of the region, from element `at` of the entry on. */
  write(name: string, values: ArrayLike<number>, at?: number): void;
  /** A copy of an entry. Asynchronous because a GPU needs it. */
  read(name: string): Promise<Float32Array | Float64Array>;
  /** A copy of the whole memory in region order. */
  readAll(): Promise<Float32Array | Float64Array>;
  writeAll(values: ArrayLike<number>): void;
  /** Sets every element to 0. */
  clear(): void;
}

/** A Program bound to memory. */
export interface Executable {
  readonly program: Program;
  /** Memory of the Program's inputs and outputs. */
  readonly io: Memory;
  /**
   * Runs the whole list once. CPU engines run a short Program where they are called and return nothing; a longer
   * one may run off the calling thread and returns a promise. Runs of one engine never overlap.
   */
  run(): void | Promise<void>;
  /** Runs the list once, one instruction after the other by itself: the seconds that each of them took. */
  profile(): Promise<Float64Array>;
}

export interface EngineOptions {
  /** Threads that share the work of a Program; results do not depend on it. Default: the machine's cores. */
  threads?: number;
}

/**
 * Executes Programs. An engine knows memory and kernels, no graph and no model.
 */
export interface Engine {
  readonly name: EngineName;
  readonly threads: number;
  /** One line for people: instruction set, threads. */
  readonly description: string;
  /** Memory for a region, set to 0. */
  allocate(region: Region): Memory;
  /** Binds a Program to memory for every region but `work` and `io`, which the engine provides. */
  bind(program: Program, memories: readonly Memory[]): Executable;
  /** Stops threads. Memory of this engine is not usable afterwards. */
  close(): Promise<void>;
}
