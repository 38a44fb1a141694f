import type { Executable, Memory } from '../compute/engines/engine.ts';
import type { EngineLimits } from '../compute/program/limits.ts';
import type { Program } from '../compute/program/program.ts';
import type { Region } from '../compute/program/region.ts';
import { type InferenceOutput, inferenceProgram, stateRegion } from './inference_programs.ts';
import type { LanguageModel } from './layer.ts';
import type { Model } from './model.ts';

/** The Programs that read `batch` sequences, one a length, planned when asked for; they share the layout of the state. */
export class SequencePrograms {
  readonly state: Region;
  readonly #network: LanguageModel;
  readonly #limits: EngineLimits;
  readonly #batch: number;
  readonly #wanted: InferenceOutput;
  readonly #programs = new Map<number, Program>();

  constructor(network: LanguageModel, limits: EngineLimits, batch: number, wanted: InferenceOutput) {
    this.#network = network;
    this.#limits = limits;
    this.#batch = batch;
    this.#wanted = wanted;
    this.state = stateRegion(network, batch);
  }

  static readonly #known = new WeakMap<EngineLimits, WeakMap<LanguageModel, SequencePrograms>>();

  /** Those of one sequence and its last position, planned once for all that read with a network on engines of a kind. */
  static of(network: LanguageModel, limits: EngineLimits): SequencePrograms {
    let ofEngine = SequencePrograms.#known.get(limits);
    if (!ofEngine) {
      ofEngine = new WeakMap();
      SequencePrograms.#known.set(limits, ofEngine);
    }
    let programs = ofEngine.get(network);
    if (!programs) {
      programs = new SequencePrograms(network, limits, 1, 'last');
      ofEngine.set(network, programs);
    }
    return programs;
  }

  get(length: number): Program {
    let program = this.#programs.get(length);
    if (!program) {
      program = inferenceProgram(this.#network, this.state, this.#batch, length, this.#wanted, this.#limits);
      this.#programs.set(length, program);
    }
    return program;
  }
}

/** Sequences that a model reads in pieces: one recurrent state, and an Executable for each length of a piece. */
export class SequenceRunner implements Disposable {
  /** Of the sequences; all zeros before any token. */
  readonly state: Memory;
  readonly #model: Model;
  readonly #programs: SequencePrograms;
  readonly #executables = new Map<number, Executable>();

  constructor(model: Model, programs: SequencePrograms) {
    this.#model = model;
    this.#programs = programs;
    this.state = model.engine.allocate(programs.state);
  }

  /** `batch` sequences, of which this is wanted. */
  static of(model: Model, batch: number, wanted: InferenceOutput): SequenceRunner {
    return new SequenceRunner(model, new SequencePrograms(model.network, model.engine.limits, batch, wanted));
  }

  /** Reads `length` tokens of each sequence and moves the state past them. Input: tokens [B, T]. Output: logits, or hidden. */
  executable(length: number): Executable {
    let executable = this.#executables.get(length);
    if (!executable) {
      const memories = [...this.#model.memories, this.state];
      executable = this.#model.engine.bind(this.#programs.get(length), memories);
      this.#executables.set(length, executable);
    }
    return executable;
  }

  free(): void {
    for (const executable of this.#executables.values()) executable.free();
    this.state.free();
  }

  [Symbol.dispose](): void {
    this.free();
  }
}
