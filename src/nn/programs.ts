import { crossEntropy } from '../graph/loss.ts';
import { plan } from '../graph/plan.ts';
import { leaf, type Tensor } from '../graph/tensor.ts';
import { assign, lastToken } from '../graph/views.ts';
import type { Program } from '../program/program.ts';
import { Region } from '../program/region.ts';
import { type LanguageModel, type LayerState, Pass } from './layer.ts';

/** The memory layout of a model's recurrent state for a batch of sequences. All zeros is the state before any token. */
export function stateRegion(network: LanguageModel, batch: number): Region {
  const region = new Region('state');
  for (const [name, shape] of Object.entries(network.stateShapes(batch))) region.add(name, shape);
  return region;
}

/** The state as tensors of the graph. */
export const stateLeaves = (region: Region): LayerState =>
  Object.fromEntries([...region.entries].map((e) => [e.name, leaf(region, e.name, e.shape)]));

/** Writes a new state back to the region. */
export const storeState = (leaves: LayerState, next: LayerState): Tensor[] =>
  Object.entries(leaves).map(([name, target]) => assign(target, next[name]));

/**
 * Reads `length` tokens of each of `batch` sequences and moves the state past them. Inputs: tokens [B, T].
 * Outputs: logits of the last position [B, 1, V], or of all [B, T, V].
 */
export function inferenceProgram(
  network: LanguageModel,
  state: Region,
  batch: number,
  length: number,
  logits: 'last' | 'all',
): Program {
  const io = new Region('io');
  const tokens = leaf(io, 'tokens', [batch, length]);
  const before = stateLeaves(state);
  const after = network.forward(tokens, new Pass(), before);
  const value = network.logits(logits === 'last' ? lastToken(after.y) : after.y);
  const output = assign(leaf(io, 'logits', value.shape), value);
  const name = `${length === 1 ? 'decode' : 'prefill'} ${batch} × ${length}`;
  return plan(name, { io, roots: [output, ...storeState(before, after.state)] });
}

/**
 * Loss of each token of a batch, the state carried on. Inputs: tokens, targets, reset, each [B, T]; targets below 0 do
 * not count. Outputs: loss [B, T] in nats.
 */
export function evaluationProgram(
  network: LanguageModel,
  state: Region,
  batch: number,
  length: number,
): Program {
  const io = new Region('io');
  const tokens = leaf(io, 'tokens', [batch, length]);
  const targets = leaf(io, 'targets', [batch, length]);
  const reset = leaf(io, 'reset', [batch, length]);
  const before = stateLeaves(state);
  const after = network.forward(tokens, new Pass({ reset }), before);
  const losses = crossEntropy(network.logits(after.y), targets);
  const output = assign(leaf(io, 'loss', [batch, length]), losses);
  return plan(`evaluate ${batch} × ${length}`, { io, roots: [output, ...storeState(before, after.state)] });
}
