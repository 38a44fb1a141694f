import { add } from '../../compute/graph/elementwise.ts';
import { cells } from '../../compute/graph/recurrent.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import type { LayerOutput, LayerState, Network, Pass, StateShapes } from '../../nn/layer.ts';
import { LayerNorm } from '../../nn/norm.ts';
import type { Scope } from '../../nn/parameters.ts';
import { BlockStack } from './block_stack.ts';
import { feedForwardDim, type TirexConfig } from './config.ts';
import { ResidualBlock, SwiGlu, WeightedRmsNorm } from './layers.ts';
import { TirexSlstm } from './slstm.ts';
import { type TokenRange, tokensOf } from './tokens.ts';

/** x ← x + sLSTM(norm(x)); x + SwiGLU(norm(x)) */
class Block {
  readonly #dim: number;
  readonly #norm: WeightedRmsNorm;
  readonly #layer: TirexSlstm;
  readonly #feedForwardNorm: WeightedRmsNorm;
  readonly #feedForward: SwiGlu;

  constructor(scope: Scope, config: TirexConfig) {
    const { embeddingDim, numBlocks, numHeads } = config;
    const layer = scope.child('slstm_layer');
    this.#dim = embeddingDim;
    this.#norm = new WeightedRmsNorm(scope.child('norm_slstm'), embeddingDim);
    this.#layer = new TirexSlstm(
      layer,
      layer.child('slstm_cell'),
      embeddingDim,
      numHeads,
      new LayerNorm(layer.child('group_norm'), embeddingDim, { heads: numHeads }),
    );
    this.#feedForwardNorm = new WeightedRmsNorm(scope.child('norm_ffn'), embeddingDim);
    this.#feedForward = new SwiGlu(scope.child('ffn'), embeddingDim, feedForwardDim(config), numBlocks);
  }

  stateShapes(batch: number): StateShapes {
    return Object.fromEntries(cells.slstm.states.map((name) => [name, [batch, this.#dim]]));
  }

  forward(x: Tensor, pass: Pass, state: LayerState, keep?: number, read?: TokenRange): LayerOutput {
    const mixed = this.#layer.forward(this.#norm.forward(x), pass, state, keep);
    const all = add(x, mixed.y);
    const y = read ? tokensOf(all, read) : all;
    return { y: this.#feedForward.forward(this.#feedForwardNorm.forward(y), y), state: mixed.state };
  }
}

/**
 * TiRex (Auer et al. 2025), parameters named as in its files without `block_stack.`. A token is a patch of a scaled
 * series: its P values, 0 where one is missing, and then P flags, 1 where it is there. Token j forecasts patch j + 1.
 */
export class TirexNetwork implements Network {
  /** What it was built from. */
  readonly config: TirexConfig;
  readonly #input: ResidualBlock;
  readonly #blocks: BlockStack<Block>;
  readonly #norm: WeightedRmsNorm;
  readonly #output: ResidualBlock;

  /** Declares the parameters in the scope. */
  constructor(scope: Scope, config: TirexConfig) {
    const { patchSize, patchHiddenDim, embeddingDim, numBlocks, quantiles } = config;
    this.config = config;
    this.#input = new ResidualBlock(
      scope.child('input_patch_embedding'),
      2 * patchSize,
      patchHiddenDim,
      embeddingDim,
      'relu',
    );
    this.#blocks = new BlockStack(
      'blocks',
      Array.from({ length: numBlocks }, (_, i) => new Block(scope.child(`blocks.${i}`), config)),
    );
    this.#norm = new WeightedRmsNorm(scope.child('out_norm'), embeddingDim);
    this.#output = new ResidualBlock(
      scope.child('output_patch_embedding'),
      embeddingDim,
      patchHiddenDim,
      quantiles.length * patchSize,
      'relu',
    );
  }

  /** Those of block i under `blocks.i`: y, c, n and m [B, D]. */
  stateShapes(batch: number): StateShapes {
    return this.#blocks.stateShapes(batch);
  }

  /**
   * tokens [B, L, 2·P] to the last block's vectors [B, L, D], and `hidden`, those of every block. An empty state is that
   * before a series; the one that is given is that after `keep` tokens, or after all. Of the last block the tokens that
   * are read are given, or all.
   */
  forward(
    tokens: Tensor,
    pass: Pass,
    state: LayerState,
    keep?: number,
    read?: TokenRange,
  ): LayerOutput & { readonly hidden: readonly Tensor[] } {
    return this.#blocks.forward(this.#input.forward(tokens), state, (block, x, own, isLast) =>
      block.forward(x, pass, own, keep, isLast ? read : undefined),
    );
  }

  /** The last block's vectors [B, L, D] to the scaled next patches [B, L, Q·P], all of the first quantile first. */
  quantiles(y: Tensor): Tensor {
    return this.#output.forward(this.#norm.forward(y));
  }
}
