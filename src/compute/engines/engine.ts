// Disposable, for programs whose own settings do not know it: every declaration that names it imports this file.
/// <reference lib="esnext.disposable" preserve="true" />
import type { EngineLimits } from '../program/limits.ts';
import type { Program } from '../program/program.ts';
import type { Region } from '../program/region.ts';

/**
 * reference: TypeScript in float64, slow, for checking the others. wasm: WebAssembly, everywhere. native: machine code,
 * in Node. webgpu: graphics processors, in browsers and, with the package "webgpu", in Node.
 */
export type EngineName = 'reference' | 'wasm' | 'native' | 'webgpu';

/** Values of an engine's memory; `reference` computes in float64. */
export type Values = Float32Array | Float64Array;

/** Elements of one entry, which the memories of both regions have under one name. */
export interface CopiedPart {
  /** The entry, in both regions. */
  readonly name: string;
  /** The first element that is written. Default: 0. */
  readonly at?: number;
  /** The first element that is read. Default: 0. */
  readonly from?: number;
  /** Default: all of the source's entry from `from` on. */
  readonly count?: number;
}

/**
 * Memory that an engine gave to a region.
 *
 * Per engine, everything takes place in the order in which it was asked for: writes, copies, reads, runs, and giving
 * memory back. Nothing has to be awaited for the sake of order. The values of a write are those at the time of the
 * call. A read's promise does not wait for what is asked for after it.
 *
 * All calls throw an XlstmError of code `usage` where names, places or lengths do not fit, or the memory was freed, and
 * of code `engine` where the engine is closed or has failed.
 */
export interface Memory extends Disposable {
  /** Its layout. */
  readonly region: Region;
  /** Writes values into an entry of the region, from element `at` of the entry on. */
  write(name: string, values: ArrayLike<number>, at?: number): void;
  /** Writes the whole memory in region order, gaps between entries included: `region.elements` values. */
  writeAll(values: ArrayLike<number>): void;
  /** Sets every element to 0. */
  clear(): void;
  /** Takes over what another memory of this engine holds: all of it, for regions of one layout, or a part. */
  copyFrom(source: Memory, part?: CopiedPart): void;
  /** A copy of an entry, or of `count` of its elements from element `at` on. */
  read(name: string, at?: number, count?: number): Promise<Values>;
  /** A copy of the whole memory in region order. */
  readAll(): Promise<Values>;
  /**
   * Gives `work`, in its turn, the numbers themselves in region order, to read and change until what it returns has come
   * to pass; what is asked for later waits for it. Meanwhile no memory of this engine may be allocated.
   */
  access<T>(work: (values: Values) => T | Promise<T>): Promise<T>;
  /** Gives the memory back once what was asked for before has taken place. What nobody frees is found in time. */
  free(): void;
}

/** How an engine draws tokens by itself between runs of a Program. */
export interface DraftOptions {
  /** The entry of `io` that a run reads its token from. */
  readonly input: string;
  /** The entry of `io` that a run leaves the logits of the next token in. */
  readonly output: string;
  /** The tokens that can be drawn are 0 … vocabSize - 1. */
  readonly vocabSize: number;
  /** As in SamplingOptions; 0: the likeliest. */
  readonly temperature: number;
  /** As in SamplingOptions; 1: all. */
  readonly topP: number;
  /** As in SamplingOptions; 0: all. */
  readonly minP: number;
  /** A number in [0, 1) for each token that is drawn: there is one run more. */
  readonly uniforms: readonly number[];
}

/** What came of runs whose tokens the engine drew. */
export interface Draft {
  /** The token drawn behind each run but the last. */
  readonly tokens: readonly number[];
  /** The logits of each run. */
  readonly logits: readonly Values[];
}

/** A Program bound to memory. */
export interface Executable extends Disposable {
  /** What runs. */
  readonly program: Program;
  /** Memory of the Program's inputs and outputs. */
  readonly io: Memory;
  /**
   * Runs the whole list once. A short Program may run on the calling thread where nothing is pending, and is over
   * when the call returns nothing; else a promise tells when. The call throws, or the promise rejects, where memory
   * was freed or the engine is closed or fails.
   */
  run(): void | Promise<void>;
  /**
   * Runs the list again and again, each time with the token drawn from the logits of the time before, and reads back once.
   * Only where reading back costs a wait. Tokens are drawn in float32: now and then another one than a Sampler draws.
   */
  draft?(options: DraftOptions): Promise<Draft>;
  /** Runs the list once, one instruction after the other by itself: the seconds that each of them took. */
  profile(): Promise<Float64Array>;
  /** Gives `io` and the Program's words back, after the runs that were asked for. */
  free(): void;
}

/** What an engine computes with. */
export interface EngineOptions {
  /** Threads that share the work of a Program; results do not depend on it. Default: the machine's cores. */
  threads?: number;
  /** Default: the best that the machine has. native: avx512, avx2, sse2, neon or generic; wasm: relaxed or simd. */
  instructionSet?: string;
  /**
   * webgpu: computes large products in matrices of subgroups of such operands, where the graphics processor and its driver
   * have them, which is experimental: else it is an error. f16 rounds the operands of these products to 11 bits and
   * takes what is beyond 65,504 for infinite. Default: none, registers.
   */
  subgroupMatrices?: 'f32' | 'f16';
}

/**
 * Executes Programs. An engine knows memory and kernels, no graph and no model.
 */
export interface Engine {
  /** Which one it is. */
  readonly name: EngineName;
  /** Threads that share the work of a Program. */
  readonly threads: number;
  /** What its kernels can take: `plan` needs to know. */
  readonly limits: EngineLimits;
  /** One line for people: instruction set, threads. */
  readonly description: string;
  /** Memory for a region, set to 0. */
  allocate(region: Region): Memory;
  /** Binds a Program to memory for every region but `work` and `io`, which the engine provides. */
  bind(program: Program, memories: readonly Memory[]): Executable;
  /** Stops threads, after what was asked for. Nothing of this engine is usable from now on. */
  close(): Promise<void>;
}
