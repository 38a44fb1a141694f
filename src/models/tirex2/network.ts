import type { Tensor } from '../../compute/graph/tensor.ts';
import type { LayerOutput, LayerState, Network, Pass, StateShapes } from '../../nn/layer.ts';
import type { Scope } from '../../nn/parameters.ts';
import { BlockStack } from '../tirex/block_stack.ts';
import { ResidualBlock, WeightedRmsNorm } from '../tirex/layers.ts';
import type { TokenRange } from '../tirex/tokens.ts';
import { outputHiddenDim, type Tirex2Cell, type Tirex2Config } from './config.ts';
import { type RowLayout, variatesOf } from './rows.ts';
import { TimeMixer } from './time_mixer.ts';
import { VariateMixer } from './variate_mixer.ts';

class Block {
  readonly #time: TimeMixer;
  readonly #variates: VariateMixer;

  constructor(scope: Scope, cell: Tirex2Cell, config: Tirex2Config) {
    this.#time = new TimeMixer(scope.child('time_mixer'), cell, config);
    this.#variates = new VariateMixer(scope.child('variate_mixer'), config);
  }

  stateShapes(rows: number): StateShapes {
    return this.#time.stateShapes(rows);
  }

  /** A variate without others goes by the mixer of variates. */
  forward(
    x: Tensor,
    layout: RowLayout,
    pass: Pass,
    state: LayerState,
    keep?: number,
    read?: TokenRange,
  ): LayerOutput {
    const mixed = this.#time.forward(x, layout, pass, state, keep, read);
    return variatesOf(layout) === 1 ? mixed : { ...mixed, y: this.#variates.forward(mixed.y, layout) };
  }
}

/**
 * TiRex-2, parameters named as in its files. A token is a patch of a scaled row: its P values, 0 where one is missing, and then P
 * flags, 1 where it is there. Token j forecasts patch j + 1.
 */
export class Tirex2Network implements Network {
  /** What it was built from. */
  readonly config: Tirex2Config;
  readonly #input: ResidualBlock;
  readonly #blocks: BlockStack<Block>;
  readonly #norm: WeightedRmsNorm | undefined;
  readonly #output: ResidualBlock;

  /** Declares the parameters in the scope. */
  constructor(scope: Scope, config: Tirex2Config) {
    const { patchSize, patchHiddenDim, embeddingDim, blocks, quantiles, activation, outNormEps } = config;
    this.config = config;
    this.#input = new ResidualBlock(
      scope.child('input_patch_embedding'),
      2 * patchSize,
      patchHiddenDim,
      embeddingDim,
      activation,
    );
    this.#blocks = new BlockStack(
      'stack',
      blocks.map((cell, i) => new Block(scope.child(`stack.${i}`), cell, config)),
    );
    this.#norm =
      outNormEps === null
        ? undefined
        : new WeightedRmsNorm(scope.child('stack_out_norm'), embeddingDim, outNormEps);
    this.#output = new ResidualBlock(
      scope.child('output_patch_embedding'),
      embeddingDim,
      outputHiddenDim(config),
      quantiles.length * patchSize,
      activation,
    );
  }

  /** Of so many rows, those of block i under `stack.i`. */
  stateShapes(rows: number): StateShapes {
    return this.#blocks.stateShapes(rows);
  }

  /**
   * tokens [rows, L, 2·P] of a layout to the last block's vectors [rows, L, D], and `hidden`, those of every block. A state is
   * taken and given where nothing is known ahead; an empty one is that before a series, and the one that is
   * given that after `keep` tokens, or after all. Of the last block the tokens that are read are given, or all.
   */
  forward(
    tokens: Tensor,
    layout: RowLayout,
    pass: Pass,
    state: LayerState,
    keep?: number,
    read?: TokenRange,
  ): LayerOutput & { readonly hidden: readonly Tensor[] } {
    return this.#blocks.forward(this.#input.forward(tokens), state, (block, x, own, isLast) =>
      block.forward(x, layout, pass, own, keep, isLast ? read : undefined),
    );
  }

  /** The last block's vectors [..., D] to the scaled next patches [..., Q·P], all of the first quantile first. */
  quantiles(y: Tensor): Tensor {
    return this.#output.forward(this.#norm ? this.#norm.forward(y) : y);
  }
}
