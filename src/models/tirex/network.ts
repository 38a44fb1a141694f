import { add } from '../../compute/graph/elementwise.ts';
import { cells, recurrent } from '../../compute/graph/recurrent.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { concat } from '../../compute/graph/views.ts';
import { linspaceInit, smallInit, zerosInit } from '../../nn/init.ts';
import {
  type LayerOutput,
  type LayerState,
  type Network,
  type Pass,
  type SequenceLayer,
  type StateShapes,
  stateBelow,
  under,
} from '../../nn/layer.ts';
import { HeadwiseLinear } from '../../nn/linear.ts';
import { LayerNorm } from '../../nn/norm.ts';
import { holdPadding, stateAtEnds } from '../../nn/padding.ts';
import type { Init, Scope } from '../../nn/parameters.ts';
import { feedForwardDim, type TirexConfig } from './config.ts';
import { ResidualBlock, SwiGlu, WeightedRmsNorm } from './layers.ts';

/**
 * norm(sLSTM(i, f, z, o)), the gates block-diagonal products of x, a block for each head. In the files the module `fgate`
 * feeds the input gate and `igate` the forget gate: those two names are swapped on purpose.
 */
class Slstm {
  readonly #heads: number;
  readonly #gates: readonly HeadwiseLinear[];
  readonly #recurrentKernel: Tensor; // [H, 4·DH, DH]
  readonly #bias: Tensor; // [4·D], gate-major
  readonly #norm: LayerNorm;

  constructor(scope: Scope, { embeddingDim, numHeads }: TirexConfig) {
    const headDim = embeddingDim / numHeads;
    this.#heads = numHeads;
    this.#gates = ['fgate', 'igate', 'zgate', 'ogate'].map(
      (name) => new HeadwiseLinear(scope.child(name), embeddingDim, numHeads, smallInit(embeddingDim)),
    );
    const cell = scope.child('slstm_cell');
    this.#recurrentKernel = cell.parameter('_recurrent_kernel_', [numHeads, 4 * headDim, headDim], zerosInit);
    this.#bias = cell.parameter('_bias_', [4 * embeddingDim], forgetGateInit(embeddingDim));
    this.#norm = new LayerNorm(scope.child('group_norm'), embeddingDim, { heads: numHeads });
  }

  forward(x: Tensor, pass: Pass, state: LayerState): LayerOutput {
    const gates = concat(this.#gates.map((gate) => gate.forward(x)));
    const held = holdPadding('slstm', gates, pass, false);
    const cell = recurrent(held, this.#recurrentKernel, this.#bias, pass.reset, state, {
      cell: 'slstm',
      heads: this.#heads,
      exponentialForget: false,
      recurrentClip: 0,
      cutRecurrent: false,
    });
    return { y: this.#norm.forward(cell.y), state: stateAtEnds(cell, pass) };
  }
}

/** Zero, but from 3 to 6 for the forget gate: a new model remembers. */
const forgetGateInit =
  (dim: number): Init =>
  (random, shape) => {
    const bias = new Float64Array(shape[0]);
    bias.set(linspaceInit(3, 6)(random, [dim]), dim);
    return bias;
  };

/** x ← x + sLSTM(norm(x)); x + SwiGLU(norm(x)) */
class Block implements SequenceLayer {
  readonly #dim: number;
  readonly #norm: WeightedRmsNorm;
  readonly #layer: Slstm;
  readonly #feedForwardNorm: WeightedRmsNorm;
  readonly #feedForward: SwiGlu;

  constructor(scope: Scope, config: TirexConfig) {
    const { embeddingDim, numBlocks } = config;
    this.#dim = embeddingDim;
    this.#norm = new WeightedRmsNorm(scope.child('norm_slstm'), embeddingDim);
    this.#layer = new Slstm(scope.child('slstm_layer'), config);
    this.#feedForwardNorm = new WeightedRmsNorm(scope.child('norm_ffn'), embeddingDim);
    this.#feedForward = new SwiGlu(scope.child('ffn'), embeddingDim, feedForwardDim(config), numBlocks);
  }

  stateShapes(batch: number): StateShapes {
    return Object.fromEntries(cells.slstm.states.map((name) => [name, [batch, this.#dim]]));
  }

  forward(x: Tensor, pass: Pass, state: LayerState): LayerOutput {
    const mixed = this.#layer.forward(this.#norm.forward(x), pass, state);
    const y = add(x, mixed.y);
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
  readonly #blocks: readonly Block[];
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
    this.#blocks = Array.from({ length: numBlocks }, (_, i) => new Block(scope.child(`blocks.${i}`), config));
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
    return Object.assign(
      {},
      ...this.#blocks.map((block, i) => under(`blocks.${i}`, block.stateShapes(batch))),
    );
  }

  /**
   * tokens [B, L, 2·P] to the last block's vectors [B, L, D], and `hidden`, those of every block. An empty state is that
   * before a series.
   */
  forward(
    tokens: Tensor,
    pass: Pass,
    state: LayerState,
  ): LayerOutput & { readonly hidden: readonly Tensor[] } {
    const hidden: Tensor[] = [];
    const states: Record<string, Tensor> = {};
    let y = this.#input.forward(tokens);
    for (const [i, block] of this.#blocks.entries()) {
      const output = block.forward(y, pass, stateBelow(state, `blocks.${i}`));
      y = output.y;
      hidden.push(y);
      Object.assign(states, under(`blocks.${i}`, output.state));
    }
    return { y, state: states, hidden };
  }

  /** The last block's vectors [B, L, D] to the scaled next patches [B, L, Q·P], all of the first quantile first. */
  quantiles(y: Tensor): Tensor {
    return this.#output.forward(this.#norm.forward(y));
  }
}
