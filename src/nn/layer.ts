import { dropout } from '../compute/graph/elementwise.ts';
import type { Tensor } from '../compute/graph/tensor.ts';
import type { Shape } from '../compute/program/region.ts';

/** Recurrent state by name. Empty: the state before the first token, all zeros. */
export type LayerState = Readonly<Record<string, Tensor>>;

/** The shapes of a state's arrays, by the names that LayerState has for them. */
export type StateShapes = Readonly<Record<string, Shape>>;

/** What a layer or a network makes of a piece of its sequences. */
export interface LayerOutput {
  /** The result of each step: [B, T, D]; of a network that pools, that of the sequence: [B, 1, D]. */
  readonly y: Tensor;
  /**
   * The state after the last step: every name of `stateShapes`, where it is to be carried on. Empty of a layer that cannot
   * tell it behind padding, or that has none.
   */
  readonly state: LayerState;
}

/** What holds for a whole forward pass. */
export class Pass {
  /** 1 where a token starts a document and erases what the state remembers: [B, T]. */
  readonly reset: Tensor | undefined;
  /**
   * Steps of each row, from 1 to T: [B, 1]. What follows them is padding. Undefined: T in all rows. A layer
   * with a convolution throws a usage error for a pass that has reset as well.
   */
  readonly lengths: Tensor | undefined;
  readonly #seed: Tensor | undefined;
  #salt = 0;

  /** With a seed ([1], a whole number below 2^24) dropout is active; without one it does nothing. */
  constructor(options: { reset?: Tensor; lengths?: Tensor; dropoutSeed?: Tensor } = {}) {
    this.reset = options.reset;
    this.lengths = options.lengths;
    this.#seed = options.dropoutSeed;
  }

  /** Whether a dropout of this rate drops anything in this pass. */
  drops(rate: number): boolean {
    return this.#seed !== undefined && rate > 0;
  }

  /**
   * x with each element dropped with probability `rate` and divided by 1 − rate otherwise; x itself in a pass without a
   * seed. Each call of a pass drops others. Throws a usage error for a rate of 1 or more.
   */
  dropout(x: Tensor, rate: number): Tensor {
    return this.#seed && rate > 0 ? dropout(x, rate, this.#seed, this.#salt++) : x;
  }
}

/**
 * A layer that runs over a sequence [B, T, D] and carries a state of constant size from piece to piece. What it gives for
 * a step does not depend on later ones, so padding behind a row changes nothing before it; a layer that returns a state
 * although the pass has lengths returns that of each row's last step.
 */
export interface SequenceLayer {
  /** The shapes of its state for a batch of so many sequences; empty: it has none. */
  stateShapes(batch: number): StateShapes;
  /** x [B, T, D] to y of as many steps, from the state before the first of them; an empty one is all zeros. */
  forward(x: Tensor, pass: Pass, state: LayerState): LayerOutput;
}

/** What a model computes with its parameters: sequences in pieces, with a state that goes from piece to piece. */
export interface Network {
  /** The shapes of its state for a batch of so many sequences, by name; those of layers under a prefix of their own. */
  stateShapes(batch: number): StateShapes;
}

/** A network from tokens to logits; what generates works on this. */
export interface LanguageModel extends Network {
  /** V: tokens are whole numbers from 0 to V − 1. */
  readonly vocabSize: number;
  /** tokens [B, T] to the vectors [B, T, D] that the output layer reads. */
  forward(tokens: Tensor, pass: Pass, state: LayerState): LayerOutput;
  /** The output layer: [B, T, D] to logits [B, T, V]. */
  logits(y: Tensor): Tensor;
}

export function isLanguageModel(network: Network): network is LanguageModel {
  const { vocabSize, forward, logits } = network as Partial<LanguageModel>;
  return Number.isSafeInteger(vocabSize) && typeof forward === 'function' && typeof logits === 'function';
}

/** What lies below each prefix of a state's names: a model asks for all of its blocks, one after another. */
const parts = new WeakMap<LayerState, Map<string, Record<string, Tensor>>>();

function partsOf(state: LayerState): Map<string, Record<string, Tensor>> {
  const byPrefix = new Map<string, Record<string, Tensor>>();
  for (const [name, t] of Object.entries(state)) {
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const prefix = name.slice(0, dot);
      const part = byPrefix.get(prefix) ?? {};
      part[name.slice(dot + 1)] = t;
      byPrefix.set(prefix, part);
    }
  }
  parts.set(state, byPrefix);
  return byPrefix;
}

/** The entries of a state below a prefix, without it. */
export const stateBelow = (state: LayerState, prefix: string): LayerState =>
  (parts.get(state) ?? partsOf(state)).get(prefix) ?? {};

/** The entries of a record under a prefix. */
export const under = <T>(prefix: string, record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [`${prefix}.${name}`, value]));
