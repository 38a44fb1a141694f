import type { LanguageModel } from '../nn/layer.ts';
import { inferenceProgram, stateRegion } from '../nn/programs.ts';
import type { Program } from '../program/program.ts';
import type { Region } from '../program/region.ts';

/** Lengths of the pieces that a sequence is read in, so that any length takes a few Programs. */
const LENGTHS = [256, 128, 64, 32, 16, 8, 4, 2, 1] as const;

/** The longest piece for so many tokens. */
export const pieceLength = (tokens: number): number => LENGTHS.find((length) => length <= tokens) ?? 1;

/** The Programs that read one sequence, planned once for all sessions of a model; they share the layout of its state. */
export class SequencePrograms {
  readonly state: Region;
  readonly #network: LanguageModel;
  readonly #programs = new Map<number, Program>();

  private constructor(network: LanguageModel) {
    this.#network = network;
    this.state = stateRegion(network, 1);
  }

  static readonly #known = new WeakMap<LanguageModel, SequencePrograms>();

  static of(network: LanguageModel): SequencePrograms {
    let programs = SequencePrograms.#known.get(network);
    if (!programs) {
      programs = new SequencePrograms(network);
      SequencePrograms.#known.set(network, programs);
    }
    return programs;
  }

  get(length: number): Program {
    let program = this.#programs.get(length);
    if (!program) {
      program = inferenceProgram(this.#network, this.state, 1, length, 'last');
      this.#programs.set(length, program);
    }
    return program;
  }
}
