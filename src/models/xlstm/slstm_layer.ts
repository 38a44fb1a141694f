import { cells, recurrent } from '../../compute/graph/recurrent.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { concat } from '../../compute/graph/views.ts';
import { CausalConv1d } from '../../nn/conv.ts';
import { linspaceInit, smallInit, uniformInit, zerosInit } from '../../nn/init.ts';
import type { LayerOutput, LayerState, Pass, StateShapes } from '../../nn/layer.ts';
import { HeadwiseLinear } from '../../nn/linear.ts';
import { LayerNorm } from '../../nn/norm.ts';
import { holdPadding, stateAtEnds } from '../../nn/padding.ts';
import type { Init, Scope } from '../../nn/parameters.ts';
import type { BlockStackConfig } from './config.ts';

/**
 * The sLSTM layer of the original architecture (Beck et al. 2024), the projections being block-diagonal with a block for
 * each head, as R is, the norm one for each head, and the cell that of `recurrent`:
 *
 * ```text
 * a = SiLU(conv(x)), or x without a convolution
 * i = W_i a     f = W_f a     z = W_z x     o = W_o x
 * y = norm(dropout(sLSTM(i, f, z, o)))
 * ```
 *
 * There is no output projection: the block's feed-forward follows.
 *
 * In the official files the module `fgate` feeds the input gate and `igate` the forget gate; the slots here are i, f,
 * z, o in that order, so those two names are swapped on purpose.
 */
export class SlstmLayer {
  readonly #config: BlockStackConfig;
  readonly #conv: CausalConv1d | undefined;
  readonly #slots: readonly { readonly projection: HeadwiseLinear; readonly convolved: boolean }[];
  readonly #recurrentKernel: Tensor; // [H, 4·DH, DH]
  readonly #bias: Tensor; // [4·D], gate-major
  readonly #norm: LayerNorm;

  /**
   * The configuration is one of `blockStackConfig`: it is taken as it is. `blockIndex`, from 0 on, decides the initial
   * biases of the forget gates where `biasInit` is powerlaw_blockdependent.
   */
  constructor(scope: Scope, config: BlockStackConfig, blockIndex: number) {
    const { embeddingDim, slstm } = config;
    const { numHeads, conv1dKernelSize } = slstm;
    this.#config = config;
    this.#conv =
      conv1dKernelSize > 0
        ? new CausalConv1d(scope.child('conv1d'), embeddingDim, conv1dKernelSize)
        : undefined;
    const gate = (name: string, convolved: boolean): { projection: HeadwiseLinear; convolved: boolean } => ({
      projection: new HeadwiseLinear(scope.child(name), embeddingDim, numHeads, smallInit(embeddingDim)),
      convolved,
    });
    this.#slots = [gate('fgate', true), gate('igate', true), gate('zgate', false), gate('ogate', false)];
    const cell = scope.child('slstm_cell');
    const headDim = embeddingDim / numHeads;
    const standard = uniformInit(1 / Math.sqrt(embeddingDim));
    this.#recurrentKernel = cell.parameter(
      '_recurrent_kernel_',
      [numHeads, 4 * headDim, headDim],
      slstm.recurrentWeightInit === 'zeros' ? zerosInit : standard,
    );
    this.#bias = cell.parameter('_bias_', [4 * embeddingDim], biasInit(config, blockIndex));
    this.#norm = new LayerNorm(scope.child('group_norm'), embeddingDim, {
      heads: numHeads,
      weight: slstm.groupNormWeight,
    });
  }

  /** y, c, n and m (of an LSTM y and c) [B, D]; and conv [B, taps − 1, D] where there is a convolution. */
  stateShapes(batch: number): StateShapes {
    const shape = [batch, this.#config.embeddingDim];
    const cell = Object.fromEntries(cells[this.#config.slstm.function].states.map((name) => [name, shape]));
    return this.#conv ? { ...cell, conv: this.#conv.stateShape(batch) } : cell;
  }

  /**
   * x [B, T, D] to y [B, T, D], without a residual; an empty state is all zeros. Throws a usage error for a pass with
   * lengths where the forget gate is exponential: such a gate cannot hold a state behind its end.
   */
  forward(x: Tensor, pass: Pass, state: LayerState): LayerOutput {
    const { slstm, dropout } = this.#config;
    const conv = this.#conv?.forward(x, pass, state.conv);
    const convolved = conv ? conv.y : x;
    const wx = concat(this.#slots.map((slot) => slot.projection.forward(slot.convolved ? convolved : x)));
    const held = holdPadding(slstm.function, wx, pass, slstm.forgetGate === 'exponential');
    const cell = recurrent(held, this.#recurrentKernel, this.#bias, pass.reset, state, {
      cell: slstm.function,
      heads: slstm.numHeads,
      exponentialForget: slstm.forgetGate === 'exponential',
      recurrentClip: slstm.gradientRecurrentClipval ?? 0,
      cutRecurrent: slstm.gradientRecurrentCut,
    });
    const y = this.#norm.forward(pass.dropout(cell.y, dropout));
    const last = stateAtEnds(cell, pass);
    return { y, state: conv ? { ...last, conv: conv.lastState } : last };
  }
}

/** Biases of the gates i, f, z, o; all but the forget gate's start at 0 unless everything is uniform ("standard"). */
function biasInit({ embeddingDim, numBlocks, slstm }: BlockStackConfig, blockIndex: number): Init {
  const headDim = embeddingDim / slstm.numHeads;
  const forgetGate =
    (values: (j: number) => number): Init =>
    (_, shape) => {
      const bias = new Float64Array(shape[0]);
      for (let d = 0; d < embeddingDim; d++) bias[embeddingDim + d] = values(d);
      return bias;
    };
  switch (slstm.biasInit) {
    case 'standard':
      return uniformInit(1 / Math.sqrt(embeddingDim));
    case 'small_init':
      return (random, shape) => {
        const ramp = linspaceInit(3, 6)(random, [embeddingDim]);
        return forgetGate((d) => ramp[d])(random, shape);
      };
    case 'zeros':
      return zerosInit;
    case 'powerlaw_blockdependent': {
      // b_f[j] = 5 − 12 (j / (DH − 1))^(0.3 + 1.3 r) with r the relative depth of the block.
      const depth = numBlocks > 1 ? blockIndex / (numBlocks - 1) : 0;
      return forgetGate((d) => 5 - 12 * ((d % headDim) / Math.max(1, headDim - 1)) ** (0.3 + 1.3 * depth));
    }
  }
}
