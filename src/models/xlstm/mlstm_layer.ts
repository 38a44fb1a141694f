import { mlstm } from '../../compute/graph/mlstm.ts';
import { mlstmProjections } from '../../compute/graph/mlstm_projections.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { split } from '../../compute/graph/views.ts';
import type { Shape } from '../../compute/program/region.ts';
import { CausalConv1d } from '../../nn/conv.ts';
import { projectAndAdd } from '../../nn/feed_forward.ts';
import { constantInit, linspaceInit, normalInit, smallInit, wangInit, zerosInit } from '../../nn/init.ts';
import type { LayerOutput, LayerState, Pass, StateShapes } from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import { LayerNorm } from '../../nn/norm.ts';
import { holdGates } from '../../nn/padding.ts';
import type { Init, Scope } from '../../nn/parameters.ts';
import { type BlockStackConfig, mlstmInnerDim } from './config.ts';

/** Added to the read-out's denominator. */
const EPS = 1e-6;

/**
 * The mLSTM layer of the original architecture (pre up-projection; Beck et al. 2024), the projections to q, k and v being
 * block-diagonal, the norm one for each head, and the cell that of `mlstm`:
 *
 * ```text
 * [u | z] = W_up x     a = SiLU(conv(u))
 * q = W_q a     k = W_k a     v = W_v u
 * [i | f] = W_if [q | k | v] + b
 * h = norm(mLSTM(q, k / √DH, v, i, f))
 * y = residual + dropout(W_down ((h + skip ∘ a) ∘ SiLU(z)))
 * ```
 */
export class MlstmLayer {
  readonly #config: BlockStackConfig;
  readonly #inner: number;
  readonly #projUp: Linear;
  readonly #conv: CausalConv1d;
  readonly #qkvWeight: Tensor; // [3·I/S, S, S]
  readonly #qkvBias: Tensor | undefined; // [3·I]
  readonly #gateWeight: Tensor; // [2·H, 3·I]: input gates, forget gates
  readonly #gateBias: Tensor; // [2·H]
  readonly #norm: LayerNorm;
  readonly #skip: Tensor;
  readonly #projDown: Linear;

  /** The configuration is one of `blockStackConfig`: it is taken as it is. */
  constructor(scope: Scope, config: BlockStackConfig) {
    const { embeddingDim, bias, numBlocks } = config;
    const { numHeads, conv1dKernelSize, qkvProjBlocksize } = config.mlstm;
    const inner = mlstmInnerDim(config);
    const biasInit = bias && zerosInit;
    this.#config = config;
    this.#inner = inner;
    this.#projUp = new Linear(scope.child('proj_up'), embeddingDim, 2 * inner, {
      weight: smallInit(embeddingDim),
      bias: biasInit,
    });
    const size = qkvProjBlocksize;
    const qkv = (suffix: string, shape: Shape, init: Init) =>
      ['q_proj', 'k_proj', 'v_proj'].map((name) => ({ name: `${name}.${suffix}`, shape, init }));
    this.#qkvWeight = scope.joined(qkv('weight', [inner / size, size, size], smallInit(embeddingDim)));
    this.#qkvBias = bias ? scope.joined(qkv('bias', [inner], zerosInit)) : undefined;
    this.#conv = new CausalConv1d(scope.child('conv1d'), inner, conv1dKernelSize);
    const cell = scope.child('mlstm_cell');
    const gate = (name: string, shape: Shape, init: Init) => ({ name, shape, init });
    this.#gateWeight = cell.joined([
      gate('igate.weight', [numHeads, 3 * inner], zerosInit),
      gate('fgate.weight', [numHeads, 3 * inner], zerosInit),
    ]);
    this.#gateBias = cell.joined([
      gate('igate.bias', [numHeads], normalInit(0.1)),
      gate('fgate.bias', [numHeads], linspaceInit(3, 6)),
    ]);
    this.#norm = new LayerNorm(cell.child('outnorm'), inner, { heads: numHeads });
    this.#skip = scope.parameter('learnable_skip', [inner], constantInit(1));
    this.#projDown = new Linear(scope.child('proj_down'), inner, embeddingDim, {
      weight: wangInit(embeddingDim, numBlocks),
      bias: biasInit,
    });
  }

  /** C [B, H, DH, DH], n [B, H, DH] and m [B, H] of the cell, as c, n, m; and conv [B, taps − 1, H·DH]. */
  stateShapes(batch: number): StateShapes {
    const { numHeads } = this.#config.mlstm;
    const headDim = this.#inner / numHeads;
    return {
      c: [batch, numHeads, headDim, headDim],
      n: [batch, numHeads, headDim],
      m: [batch, numHeads],
      conv: this.#conv.stateShape(batch),
    };
  }

  /** x and the residual, which is added to the result, [B, T, D]; an empty state is all zeros. */
  forward(x: Tensor, pass: Pass, state: LayerState, residual: Tensor): LayerOutput {
    const heads = this.#config.mlstm.numHeads;
    const headDim = this.#inner / heads;
    const [values, z] = split(this.#projUp.forward(x), [this.#inner, this.#inner]);
    const conv = this.#conv.forward(values, pass, state.conv);
    const { qkv, gates } = mlstmProjections(
      { a: conv.y, x: values },
      { weight: this.#qkvWeight, bias: this.#qkvBias },
      { weight: this.#gateWeight, bias: this.#gateBias },
    );
    const { inputGate, forgetGate } = holdGates(split(gates, [heads, heads]), pass);
    const [q, k, v] = split(qkv, [this.#inner, this.#inner, this.#inner]);
    const cell = mlstm(
      {
        q,
        k,
        v,
        inputGate,
        forgetGate,
        reset: pass.reset,
        state: state.c && { c: state.c, n: state.n, m: state.m },
      },
      { heads, keyScale: 1 / Math.sqrt(headDim), queryScale: 1, eps: EPS },
    );
    const gated = this.#norm.forwardGated(cell.h, { gate: z, skip: this.#skip, addend: conv.y });
    const y = projectAndAdd(this.#projDown, gated, pass, this.#config.dropout, residual);
    return { y, state: { ...cell.state, conv: conv.lastState } };
  }
}
