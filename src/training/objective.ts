import { checkArray, checkOption, type Range } from '../checks.ts';
import type { Memory } from '../compute/engines/engine.ts';
import { crossEntropy } from '../compute/graph/loss.ts';
import { leaf, type Tensor } from '../compute/graph/tensor.ts';
import { type Region, type Shape, sizeOf } from '../compute/program/region.ts';
import {
  isLanguageModel,
  type LanguageModel,
  type LayerState,
  type Network,
  type Pass,
} from '../nn/layer.ts';

/** The size of batches. */
export interface BatchShape {
  /** Sequences of a batch, B. */
  readonly batchSize: number;
  /** Positions of each, T. */
  readonly length: number;
}

/** Arrays by name, and how a batch follows the one before. */
export interface SequenceBatch {
  /** false: the sequences are others than those of the batch before, so a carried state is forgotten. */
  readonly continues?: boolean;
}

/** An array that an objective reads from each batch. */
export interface InputSpec {
  /** It begins with [B, T] where there is a value at each position. */
  readonly shape: Shape;
  /** What its numbers may be; every batch is checked. */
  readonly range: Range;
  /** It may be left out: then it is all zeros. */
  readonly optional?: true;
}

/** The arrays of a batch: all its keys but `continues`. */
export type InputName<B extends SequenceBatch> = Exclude<keyof B & string, 'continues'>;

/** What a network is trained for: which arrays a batch holds, and the loss that they make. */
export interface Objective<N extends Network, B extends SequenceBatch> {
  /**
   * Inputs called "reset" ([B, T]: 1 where a sequence starts) and "lengths" ([B, 1]: steps of each row, from 1 to T)
   * also reach the network through the pass.
   */
  inputs(network: N, shape: BatchShape): Readonly<Record<InputName<B>, InputSpec>>;
  /** How many losses of a batch count: the loss of a step is their mean. */
  count(batch: B): number;
  /** The loss of each target, 0 where there is none, in any shape; and the state after the batch. */
  losses(
    network: N,
    inputs: Readonly<Record<InputName<B>, Tensor>>,
    pass: Pass,
    state: LayerState,
  ): {
    /** Their sum, over the count of all targets of a step, is the step's loss. */
    losses: Tensor;
    /** Carried to the next batch where the Trainer or Evaluator does so. */
    state: LayerState;
  };
}

/** A batch of token sequences, each array [B, T] row by row. */
export interface TrainingBatch extends SequenceBatch {
  /** Whole numbers from 0 to V − 1. */
  readonly tokens: ArrayLike<number>;
  /** The token to predict at each position; a whole number below 0: none. */
  readonly targets: ArrayLike<number>;
  /** 1 where a token starts a document. Left out: nowhere. */
  readonly reset?: ArrayLike<number>;
}

/** The next token: cross entropy in nats. */
export const languageModelObjective: Objective<LanguageModel, TrainingBatch> = {
  inputs({ vocabSize: ids }, { batchSize, length }) {
    const shape = [batchSize, length];
    return {
      tokens: { shape, range: { ids } },
      targets: { shape, range: { ids, none: true } },
      reset: { shape, range: 'flags', optional: true },
    };
  },
  count({ targets }) {
    let count = 0;
    for (let i = 0; i < targets.length; i++) if (targets[i] >= 0) count++;
    return count;
  },
  losses(network, { tokens, targets }, pass, state) {
    const after = network.forward(tokens, pass, state);
    return { losses: crossEntropy(network.logits(after.y), targets), state: after.state };
  },
};

/** The objective that was given, or that of a language model for a network that is one. */
export function objectiveOf<N extends Network, B extends SequenceBatch>(
  network: N,
  given: Objective<N, B> | undefined,
): Objective<N, B> {
  if (given !== undefined) {
    for (const name of ['inputs', 'count', 'losses'] as const)
      checkOption(typeof given?.[name] === 'function', `objective.${name}`, 'a function', given?.[name]);
    return given;
  }
  checkOption(isLanguageModel(network), 'objective', 'one for a network that is no language model', given);
  return languageModelObjective as unknown as Objective<N, B>;
}

/** The inputs of an objective, once its network and the shape of its batches are known. */
export class BatchInputs<B extends SequenceBatch> {
  readonly #specs: readonly (readonly [InputName<B>, InputSpec])[];
  readonly #shape: BatchShape;

  constructor(specs: Readonly<Record<InputName<B>, InputSpec>>, shape: BatchShape) {
    this.#specs = Object.entries(specs) as [InputName<B>, InputSpec][];
    this.#shape = shape;
  }

  /** As tensors of a graph, which lie in a region. */
  leaves(io: Region): Readonly<Record<InputName<B>, Tensor>> {
    const leaves = this.#specs.map(([name, { shape }]) => [name, leaf(io, name, shape)] as const);
    return Object.fromEntries(leaves) as Record<InputName<B>, Tensor>;
  }

  /** Throws a usage error if an array has the wrong length or holds a number that it may not hold. */
  check(batch: B): void {
    checkOption(typeof batch === 'object' && batch !== null, 'batch', 'arrays by name', batch);
    const { continues } = batch;
    checkOption(
      continues === undefined || typeof continues === 'boolean',
      'continues',
      'true, false or none',
      continues,
    );
    for (const [name, { shape, range, optional }] of this.#specs) {
      const values: unknown = batch[name];
      if (optional && values === undefined) continue;
      checkArray(name, values, sizeOf(shape), this.#unit(shape), range);
    }
  }

  /** Writes a batch that was checked. */
  write(io: Memory, batch: B): void {
    for (const [name, { shape }] of this.#specs) {
      const values = batch[name] as ArrayLike<number> | undefined;
      io.write(name, values ?? new Float32Array(sizeOf(shape)));
    }
  }

  #unit(shape: Shape): string {
    const { batchSize, length } = this.#shape;
    const names = ['batchSize', 'length'];
    return shape.map((n, i) => (n === [batchSize, length][i] ? names[i] : n)).join(' × ');
  }
}
