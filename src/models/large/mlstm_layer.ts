import { multiply, sigmoid, softCap } from '../../compute/graph/elementwise.ts';
import { gateLinear, linear } from '../../compute/graph/matmul.ts';
import { mlstm } from '../../compute/graph/mlstm.ts';
import { norm } from '../../compute/graph/norm.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { split } from '../../compute/graph/views.ts';
import { scanForked } from '../../nn/fork.ts';
import { constantInit, linspaceInit, smallInit, wangInit, zerosInit } from '../../nn/init.ts';
import type { LayerOutput, LayerState, Pass, StateShapes } from '../../nn/layer.ts';
import { Linear } from '../../nn/linear.ts';
import { holdGates } from '../../nn/padding.ts';
import type { Init, Matrix, Scope } from '../../nn/parameters.ts';
import { type LargeConfig, qkDim, vDim } from './config.ts';

/** Bias of the input gates before training: a token writes e⁻¹⁰ of itself at first (Beck et al. 2025). */
const CLOSED_INPUT_GATE = -10;

/** What of a configuration the layer reads. */
export type LargeMlstmConfig = Pick<
  LargeConfig,
  | 'embeddingDim'
  | 'numHeads'
  | 'numBlocks'
  | 'useBias'
  | 'normEps'
  | 'eps'
  | 'qkDimFactor'
  | 'vDimFactor'
  | 'gateSoftCap'
>;

/**
 * The mLSTM layer of xLSTM Large: [q | k | v | o] = W x, [i | f] = cap(W_g x + b_g);
 * y = W_out (σ(o) ∘ norm(mLSTM(q, k, v, i, f))), the norm for each head by itself.
 */
export class LargeMlstmLayer {
  readonly #config: LargeMlstmConfig;
  readonly #projection: Matrix; // [2·QK + 2·V, D]
  readonly #bias: Tensor | undefined; // [2·QK + 2·V]
  readonly #gateWeight: Tensor; // [2·H, D]
  readonly #gateBias: Tensor; // [2·H]
  readonly #normWeight: Tensor; // [V]
  readonly #out: Linear;

  constructor(scope: Scope, config: LargeMlstmConfig) {
    const { embeddingDim, numHeads, numBlocks, useBias } = config;
    this.#config = config;
    const widths = [qkDim(config), qkDim(config), vDim(config), vDim(config)];
    const init = smallInit(embeddingDim);
    const inits: readonly Init[] = [init, init, init, zerosInit];
    const names = ['q', 'k', 'v', 'ogate_preact'];
    this.#projection = scope.matrix(
      names.map((name, i) => ({ name: `${name}.weight`, shape: [widths[i], embeddingDim], init: inits[i] })),
    );
    this.#bias = useBias
      ? scope.joined(names.map((name, i) => ({ name: `${name}.bias`, shape: [widths[i]], init: zerosInit })))
      : undefined;
    const gates = (suffix: string, shape: readonly number[], ...[input, forget]: readonly Init[]): Tensor =>
      scope.joined([
        { name: `igate_preact.${suffix}`, shape, init: input },
        { name: `fgate_preact.${suffix}`, shape, init: forget },
      ]);
    this.#gateWeight = gates('weight', [numHeads, embeddingDim], zerosInit, zerosInit);
    this.#gateBias = gates('bias', [numHeads], constantInit(CLOSED_INPUT_GATE), linspaceInit(3, 6));
    this.#normWeight = scope.child('multihead_norm').parameter('weight', [vDim(config)], constantInit(1));
    this.#out = new Linear(scope.child('out_proj'), vDim(config), embeddingDim, {
      weight: wangInit(embeddingDim, numBlocks),
      bias: useBias && zerosInit,
    });
  }

  stateShapes(batch: number): StateShapes {
    const { numHeads } = this.#config;
    const keyDim = qkDim(this.#config) / numHeads;
    return {
      c: [batch, numHeads, keyDim, vDim(this.#config) / numHeads],
      n: [batch, numHeads, keyDim],
      m: [batch, numHeads],
    };
  }

  /** The residual, if any, is added to the result. The state is that after `keep` steps, or after all. */
  forward(x: Tensor, pass: Pass, state: LayerState, residual?: Tensor, keep?: number): LayerOutput {
    const { numHeads, gateSoftCap, eps, normEps } = this.#config;
    const [qk, v] = [qkDim(this.#config), vDim(this.#config)];
    const [queries, keys, values, output] = split(linear(x, this.#projection, this.#bias), [qk, qk, v, v]);
    const preactivations = gateLinear(x, this.#gateWeight, this.#gateBias);
    const capped = gateSoftCap === null ? preactivations : softCap(preactivations, gateSoftCap);
    const gates = holdGates(split(capped, [numHeads, numHeads]), pass);
    const scales = { keyScale: 1, queryScale: 1 / Math.sqrt(qk / numHeads) };
    const { y: h, state: after } = scanForked(
      { q: queries, k: keys, v: values, ...gates },
      state,
      keep,
      (inputs, from) => {
        const before = from.c && { c: from.c, n: from.n, m: from.m };
        const scan = { ...inputs, reset: pass.reset, state: before };
        const { h, state } = mlstm(scan, { heads: numHeads, ...scales, eps });
        return { y: h, state: { ...state } };
      },
    );
    const options = { kind: 'layer', groups: numHeads, eps: normEps, weightOffset: 0 } as const;
    const normed = norm(h, this.#normWeight, undefined, options);
    return { y: this.#out.forward(multiply(sigmoid(output), normed), residual), state: after };
  }
}
