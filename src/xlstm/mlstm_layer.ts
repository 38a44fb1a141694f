import { mlstm } from '../graph/mlstm.ts';
import { mlstmProjections } from '../graph/mlstm_projections.ts';
import type { Tensor } from '../graph/tensor.ts';
import { split } from '../graph/views.ts';
import { CausalConv1d } from '../nn/conv.ts';
import { projectAndAdd } from '../nn/feed_forward.ts';
import { constantInit, linspaceInit, normalInit, smallInit, wangInit, zerosInit } from '../nn/init.ts';
import type { LayerState, Pass, StateShapes } from '../nn/layer.ts';
import { Linear } from '../nn/linear.ts';
import { LayerNorm } from '../nn/norm.ts';
import type { Init, Scope } from '../nn/parameters.ts';
import type { Shape } from '../program/region.ts';
import { type LanguageModelConfig, mlstmInnerDim } from './config.ts';

/** Added to the read-out's denominator. */
const EPS = 1e-6;

/**
 * The mLSTM layer (pre up-projection): [x | z] = W_up x; a = SiLU(conv(x)); q, k from a, v from x, block-diagonal;
 * h = norm(mLSTM(q, k, v, gates(q, k, v))); y = W_down ((h + skip ∘ a) ∘ SiLU(z)).
 */
export class MlstmLayer {
  readonly #config: LanguageModelConfig;
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

  constructor(scope: Scope, config: LanguageModelConfig) {
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

  /** The residual is added to the result. */
  forward(x: Tensor, pass: Pass, state: LayerState, residual: Tensor): { y: Tensor; state: LayerState } {
    const heads = this.#config.mlstm.numHeads;
    const headDim = this.#inner / heads;
    const [values, z] = split(this.#projUp.forward(x), [this.#inner, this.#inner]);
    const conv = this.#conv.forward(values, pass.reset, state.conv);
    const { qkv, gates } = mlstmProjections(
      { a: conv.y, x: values },
      { weight: this.#qkvWeight, bias: this.#qkvBias },
      { weight: this.#gateWeight, bias: this.#gateBias },
    );
    const [inputGate, forgetGate] = split(gates, [heads, heads]);
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
