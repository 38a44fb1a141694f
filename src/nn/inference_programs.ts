import { plan } from '../compute/graph/plan.ts';
import { leaf, type Tensor } from '../compute/graph/tensor.ts';
import { assign, lastToken } from '../compute/graph/views.ts';
import type { EngineLimits } from '../compute/program/limits.ts';
import type { Program } from '../compute/program/program.ts';
import { Region } from '../compute/program/region.ts';
import { XlstmError } from '../errors.ts';
import { type LanguageModel, type LayerState, type Network, Pass } from './layer.ts';

/** The memory layout of a model's recurrent state for a batch of sequences. All zeros is the state before any token. */
export function stateRegion(network: Network, batch: number): Region {
  const region = new Region('state');
  for (const [name, shape] of Object.entries(network.stateShapes(batch))) region.add(name, shape);
  return region;
}

/** The state as tensors of the graph. */
export const stateLeaves = (region: Region): LayerState =>
  Object.fromEntries([...region.entries].map((e) => [e.name, leaf(region, e.name, e.shape)]));

/** Writes a new state back to the region. */
export const storeState = (leaves: LayerState, next: LayerState): Tensor[] =>
  Object.entries(leaves).map(([name, target]) => {
    if (next[name]) return assign(target, next[name]);
    throw new XlstmError(
      'usage',
      `the network's stateShapes names "${name}", its forward returned no such state`,
    );
  });

/** What a Program gives: logits of the last position, [B, 1, V], or of all, [B, T, V]; or `hidden`, of which the last logits are made, [B, 1, D]. */
export type InferenceOutput = 'last' | 'all' | 'hidden';

/**
 * Reads `length` tokens of each of `batch` sequences and moves the state past them. Inputs: tokens [B, T].
 * Outputs: logits, or hidden.
 */
export function inferenceProgram(
  network: LanguageModel,
  state: Region,
  batch: number,
  length: number,
  wanted: InferenceOutput,
  limits: EngineLimits,
): Program {
  const io = new Region('io');
  const tokens = leaf(io, 'tokens', [batch, length]);
  const before = stateLeaves(state);
  const after = network.forward(tokens, new Pass(), before);
  const y = wanted === 'all' ? after.y : lastToken(after.y);
  const value = wanted === 'hidden' ? y : network.logits(y);
  const output = assign(leaf(io, wanted === 'hidden' ? 'hidden' : 'logits', value.shape), value);
  const name = `${length === 1 ? 'decode' : 'prefill'} ${batch} × ${length}`;
  return plan(name, { io, roots: [output, ...storeState(before, after.state)], limits });
}
