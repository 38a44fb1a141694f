import type { Tensor } from '../../compute/graph/tensor.ts';
import { concat, reshape, split } from '../../compute/graph/views.ts';

/**
 * How series lie in a batch: B of them, all with as many variates of each kind. Row v · B + b is variate v of series b;
 * the targets are the first, then come the covariates whose past alone is known, then those that are known ahead.
 */
export interface RowLayout {
  readonly series: number;
  readonly targets: number;
  readonly past: number;
  readonly known: number;
}

/** Variates of a series. */
export const variatesOf = ({ targets, past, known }: RowLayout): number => targets + past + known;

/** The first `count` members of the first dimension, and the others, which there must be. */
export function splitRows(x: Tensor, count: number): readonly [Tensor, Tensor] {
  const [rows, ...rest] = x.shape;
  const size = (x.rows * x.cols) / rows;
  const [a, b] = split(reshape(x, [1, rows * size]), [count * size, (rows - count) * size]);
  return [reshape(a, [count, ...rest]), reshape(b, [rows - count, ...rest])];
}

/** The members of the first dimension of both. */
export function joinRows(a: Tensor, b: Tensor): Tensor {
  const flat = [a, b].map((x) => reshape(x, [1, x.rows * x.cols]));
  return reshape(concat(flat), [a.shape[0] + b.shape[0], ...a.shape.slice(1)]);
}
