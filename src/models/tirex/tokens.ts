import type { Tensor } from '../../compute/graph/tensor.ts';
import { reshape, split } from '../../compute/graph/views.ts';

/** Neighbours among the tokens of a row. */
export interface TokenRange {
  readonly first: number;
  readonly count: number;
}

/** [rows, L, D] to the tokens of the range: [rows, count, D]. */
export function tokensOf(y: Tensor, { first, count }: TokenRange): Tensor {
  const [rows, length, dim] = y.shape;
  if (count === length) return y;
  const widths = [first, count, length - first - count];
  const parts = split(
    reshape(y, [rows, length * dim]),
    widths.filter((tokens) => tokens > 0).map((tokens) => tokens * dim),
  );
  return reshape(parts[first > 0 ? 1 : 0], [rows, count, dim]);
}
