import type { Tensor } from '../compute/graph/tensor.ts';
import { reshape, split } from '../compute/graph/views.ts';
import type { LayerOutput, LayerState } from './layer.ts';
import { joinSteps } from './padding.ts';

/**
 * A scan over inputs [B, T, …] whose state is to be that after `keep` steps: what follows them is read from a copy of that
 * state, which is then forgotten. Left out: all steps are kept.
 */
export function scanForked<I extends Readonly<Record<string, Tensor>>>(
  inputs: I,
  state: LayerState,
  keep: number | undefined,
  scan: (inputs: I, state: LayerState) => LayerOutput,
): LayerOutput {
  const [, length] = Object.values(inputs)[0].shape;
  if (keep === undefined || keep === length) return scan(inputs, state);
  const halves = Object.entries(inputs).map(([name, x]) => [name, splitSteps(x, keep)] as const);
  const half = (i: 0 | 1): I => Object.fromEntries(halves.map(([name, parts]) => [name, parts[i]])) as I;
  const kept = scan(half(0), state);
  const forgotten = scan(half(1), kept.state);
  return { y: joinSteps(kept.y, forgotten.y), state: kept.state };
}

/** The first `count` steps and the others: [B, T, D] to [B, count, D] and [B, T − count, D]. */
export function splitSteps(x: Tensor, count: number): readonly [Tensor, Tensor] {
  const [batch, length, dim] = x.shape;
  const widths = [count * dim, (length - count) * dim];
  const [first, others] = split(reshape(x, [batch, length * dim]), widths);
  return [reshape(first, [batch, count, dim]), reshape(others, [batch, length - count, dim])];
}
