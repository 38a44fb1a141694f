import { attention } from '../../compute/graph/attention.ts';
import { linear } from '../../compute/graph/matmul.ts';
import { norm } from '../../compute/graph/norm.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { concat, constant, reshape, split } from '../../compute/graph/views.ts';
import { type ActivationName, activations } from '../../nn/activation.ts';
import { smallInit, wangInit } from '../../nn/init.ts';
import { Linear } from '../../nn/linear.ts';
import type { Matrix, Scope } from '../../nn/parameters.ts';
import { WeightedRmsNorm } from '../tirex/layers.ts';
import type { Tirex2Config } from './config.ts';
import { type RowLayout, variatesOf } from './rows.ts';

/** Machine epsilon of float32: in the root of the norm of queries and keys. */
const QK_EPS = 2 ** -23;

/**
 * The variates of a series at each token by themselves: x ← x + attention(norm(x)); x + W_o act(W_i norm(x)). Targets see all
 * variates, covariates the covariates.
 */
export class VariateMixer {
  readonly #heads: number;
  readonly #qkNorm: boolean;
  readonly #activation: ActivationName;
  readonly #attentionNorm: WeightedRmsNorm;
  readonly #projection: Matrix; // [3·D, D]
  readonly #out: Linear;
  readonly #feedForwardNorm: WeightedRmsNorm;
  readonly #up: Linear;
  readonly #down: Linear;

  constructor(scope: Scope, config: Tirex2Config) {
    const { embeddingDim: dim, blocks, numVariateHeads, qkNorm, activation } = config;
    this.#heads = numVariateHeads;
    this.#qkNorm = qkNorm;
    this.#activation = activation;
    const attn = scope.child('attn');
    const feedForward = scope.child('ffn');
    this.#attentionNorm = new WeightedRmsNorm(scope.child('norm_attn'), dim);
    this.#projection = attn.matrix(
      ['WQ', 'WK', 'WV'].map((name) => ({ name: `${name}.weight`, shape: [dim, dim], init: smallInit(dim) })),
    );
    this.#out = new Linear(attn.child('WO'), dim, dim, { weight: wangInit(dim, blocks.length) });
    this.#feedForwardNorm = new WeightedRmsNorm(scope.child('norm_ffn'), dim);
    this.#up = new Linear(feedForward.child('wi'), dim, 4 * dim, { weight: smallInit(dim) });
    this.#down = new Linear(feedForward.child('wo'), 4 * dim, dim, { weight: wangInit(dim, blocks.length) });
  }

  /** x [rows, L, D] of a layout of two variates at least. */
  forward(x: Tensor, layout: RowLayout): Tensor {
    const dim = x.cols;
    const n = this.#attentionNorm.forward(x);
    const [q, k, v] = split(linear(n, this.#projection), [dim, dim, dim]);
    const heads = { kind: 'rms', groups: this.#heads, eps: QK_EPS, weightOffset: 0 } as const;
    const [queries, keys] = this.#qkNorm ? [q, k].map((x) => norm(x, undefined, undefined, heads)) : [q, k];
    const y = this.#out.forward(attendVariates(queries, keys, v, layout, this.#heads), x);
    const hidden = activations[this.#activation](this.#up.forward(this.#feedForwardNorm.forward(y)));
    return this.#down.forward(hidden, y);
  }
}

/**
 * softmax(q kᵀ / √d) v over the variates of each series and token; q, k, v [rows, L, D]. It is a causal attention over the
 * variates in an order in which the ones that a variate sees are just before it and itself: all of them once more, the covariates before
 * that among themselves.
 */
function attendVariates(q: Tensor, k: Tensor, v: Tensor, layout: RowLayout, heads: number): Tensor {
  const variates = variatesOf(layout);
  const targets = counted(0, layout.targets);
  const covariates = counted(layout.targets, variates - layout.targets);
  // Each place in the order: the variate, and how many up to it are seen.
  const once = (list: readonly number[]): Place[] => list.map((variate) => ({ variate, sees: 1 }));
  const seeing = (list: readonly number[], sees: number): Place[] =>
    list.map((variate) => ({ variate, sees }));
  const places = [
    ...once(covariates),
    ...seeing(covariates, covariates.length),
    ...once(targets),
    ...once(covariates),
    ...seeing(targets, variates),
  ];
  const [rows, length, dim] = q.shape;
  const positions = layout.series * length;
  const inOrder = (x: Tensor): Tensor => {
    const parts = split(reshape(x, [1, rows * length * dim]), new Array(variates).fill(positions * dim));
    const each = parts.map((part) => reshape(part, [positions, dim]));
    return reshape(concat(places.map(({ variate }) => each[variate])), [positions, places.length, dim]);
  };
  const counts = constant(Array.from({ length: positions }, () => places.map(({ sees }) => sees)).flat(), [
    positions,
    places.length,
    1,
  ]);
  const { h } = attention(inOrder(q), inOrder(k), inOrder(v), counts, undefined, { heads, window: variates });
  const seen = split(reshape(h, [positions, places.length * dim]), new Array(places.length).fill(dim));
  const results = [
    ...counted(3 * covariates.length + targets.length, targets.length),
    ...counted(covariates.length, covariates.length),
  ];
  return reshape(concat(results.map((at) => reshape(seen[at], [1, positions * dim]))), [rows, length, dim]);
}

interface Place {
  readonly variate: number;
  readonly sees: number;
}

const counted = (from: number, count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => from + i);
