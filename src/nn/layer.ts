import { dropout } from '../graph/elementwise.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Shape } from '../program/region.ts';

/** Recurrent state by name. Empty: the state before the first token, all zeros. */
export type LayerState = Readonly<Record<string, Tensor>>;

export type StateShapes = Readonly<Record<string, Shape>>;

/** What holds for a whole forward pass. */
export class Pass {
  /** [B, T]: 1 where a token starts a document and erases what the state remembers. */
  readonly reset: Tensor | undefined;
  readonly #seed: Tensor | undefined;
  #salt = 0;

  /** With a seed ([1], a whole number below 2^24) dropout is active; without one it does nothing. */
  constructor(options: { reset?: Tensor; dropoutSeed?: Tensor } = {}) {
    this.reset = options.reset;
    this.#seed = options.dropoutSeed;
  }

  drops(rate: number): boolean {
    return this.#seed !== undefined && rate > 0;
  }

  dropout(x: Tensor, rate: number): Tensor {
    return this.#seed && rate > 0 ? dropout(x, rate, this.#seed, this.#salt++) : x;
  }
}

/** A layer that runs over a sequence [B, T, D] and carries a state of constant size from piece to piece. */
export interface SequenceLayer {
  stateShapes(batch: number): StateShapes;
  forward(x: Tensor, pass: Pass, state: LayerState): { y: Tensor; state: LayerState };
}

/** A model from tokens to logits; what trains, evaluates and generates works on this. */
export interface LanguageModel {
  readonly vocabSize: number;
  stateShapes(batch: number): StateShapes;
  /** tokens [B, T] to the vectors [B, T, D] that the output layer reads. */
  forward(tokens: Tensor, pass: Pass, state: LayerState): { y: Tensor; state: LayerState };
  /** The output layer: [B, T, D] to logits [B, T, vocabSize]. */
  logits(y: Tensor): Tensor;
}

/** The entries of a state below a prefix, without it. */
export function stateBelow(state: LayerState, prefix: string): LayerState {
  const start = `${prefix}.`;
  const inner = Object.entries(state).filter(([name]) => name.startsWith(start));
  return Object.fromEntries(inner.map(([name, t]) => [name.slice(start.length), t]));
}

/** The entries of a record under a prefix. */
export const under = <T>(prefix: string, record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [`${prefix}.${name}`, value]));
