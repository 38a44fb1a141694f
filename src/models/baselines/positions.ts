import { add, broadcastTo, minimum } from '../../compute/graph/elementwise.ts';
import { embedding } from '../../compute/graph/embedding.ts';
import { linearScan } from '../../compute/graph/linear_scan.ts';
import type { Tensor } from '../../compute/graph/tensor.ts';
import { constant, reshape } from '../../compute/graph/views.ts';
import type { Shape } from '../../compute/program/region.ts';
import { normalInit } from '../../nn/init.ts';
import type { Scope } from '../../nn/parameters.ts';

/**
 * The number of each token in its document, from 1 on: counts [B, T, 1], and the last ones [B, 1], with which the next
 * piece continues.
 */
export function tokenCounts(
  [batch, length]: Shape,
  reset: Tensor | undefined,
  before: Tensor | undefined,
): { counts: Tensor; last: Tensor } {
  const ones = broadcastTo(constant([1]), [batch, length, 1]);
  const { y, lastState } = linearScan(ones, ones, reset, before);
  return { counts: y, last: lastState };
}

/** A vector for each of `count` positions. Tokens beyond share the last one: there is nothing learned for them. */
export class LearnedPositions {
  readonly #table: Tensor; // [count, D]
  readonly #count: number;

  constructor(scope: Scope, count: number, dim: number) {
    this.#table = scope.parameter('weight', [count, dim], normalInit(0.02), false);
    this.#count = count;
  }

  /** x [B, T, D] plus the vectors of its positions [B, T, 1], counted from 0. */
  add(x: Tensor, positions: Tensor): Tensor {
    const rows = reshape(minimum(positions, this.#count - 1), x.shape.slice(0, 2));
    return add(x, embedding(rows, this.#table));
  }
}
