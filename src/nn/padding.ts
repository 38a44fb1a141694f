import { checkOption } from '../checks.ts';
import {
  add,
  broadcastTo,
  divide,
  greater,
  multiply,
  select,
  subtract,
} from '../compute/graph/elementwise.ts';
import { embedding } from '../compute/graph/embedding.ts';
import { linearScan } from '../compute/graph/linear_scan.ts';
import { type CellName, cells, type RecurrentState } from '../compute/graph/recurrent.ts';
import type { Tensor } from '../compute/graph/tensor.ts';
import { concat, constant, reshape, split } from '../compute/graph/views.ts';
import type { LayerState, Pass } from './layer.ts';

/**
 * Sequences of different length in one array [B, T, D]: row b has lengths[b] steps (lengths [B, 1], each from 1 to T),
 * what follows them is padding. Without lengths every row has T steps.
 */

const counted = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** [1, T]: 0, 1, …, T − 1 */
const stepNumbers = (length: number): Tensor => constant(counted(length), [1, length]);

/** [B, T, 1]: 1 at steps, 0 at padding. */
export function stepMask(lengths: Tensor, length: number): Tensor {
  const batch = lengths.shape[0];
  const isStep = greater(broadcastTo(lengths, [batch, length]), stepNumbers(length));
  return reshape(isStep, [batch, length, 1]);
}

/** Row b of the result holds the steps of row b of x whose numbers are in steps [B, S]. */
export function takeSteps(x: Tensor, steps: Tensor): Tensor {
  const [batch, length, dim] = x.shape;
  const firsts = constant(
    counted(batch).map((b) => b * length),
    [batch, 1],
  );
  return embedding(add(steps, firsts), reshape(x, [batch * length, dim]));
}

/** The steps of each row from the last to the first; padding stays where it is. */
export function reverseSteps(x: Tensor, lengths: Tensor | undefined): Tensor {
  const [batch, length] = x.shape;
  if (!lengths) {
    const backwards = counted(length).map((t) => length - 1 - t);
    return takeSteps(x, broadcastTo(constant(backwards, [1, length]), [batch, length]));
  }
  const forwards = broadcastTo(stepNumbers(length), [batch, length]);
  const backwards = subtract(broadcastTo(subtract(lengths, 1), [batch, length]), forwards);
  return takeSteps(x, select(greater(backwards, -1), backwards, forwards));
}

/** The steps of b behind those of a, row by row: [B, S, D] and [B, T, D] to [B, S + T, D]. */
export function joinSteps(a: Tensor, b: Tensor): Tensor {
  const [batch, , dim] = a.shape;
  const rows = [a, b].map((part) => reshape(part, [batch, part.shape[1] * dim]));
  return reshape(concat(rows), [batch, a.shape[1] + b.shape[1], dim]);
}

/** The last step of each row: [B, 1, D]. */
export function lastStep(x: Tensor, lengths: Tensor | undefined): Tensor {
  const [batch, length] = x.shape;
  return takeSteps(
    x,
    lengths ? subtract(lengths, 1) : constant(new Array(batch).fill(length - 1), [batch, 1]),
  );
}

/** The mean over the steps of each row: [B, 1, D]. */
export function meanOfSteps(x: Tensor, lengths: Tensor | undefined): Tensor {
  const [batch, length, dim] = x.shape;
  const kept = lengths ? multiply(x, stepMask(lengths, length)) : x;
  const { lastState } = linearScan(broadcastTo(constant([1]), x.shape), kept);
  return reshape(divide(lastState, lengths ?? length), [batch, 1, dim]);
}

/** As a gate: σ and exp of minus this are 0 in float32, σ of it is 1. */
const CLOSED = 1e4;

/** What a pass's padding does to gates [B, T, H] of an mLSTM: it writes nothing and forgets nothing, C, n and m stay. */
export function holdGates(
  [inputGate, forgetGate]: readonly Tensor[],
  { lengths }: Pass,
): { inputGate: Tensor; forgetGate: Tensor } {
  if (!lengths) return { inputGate, forgetGate };
  const isStep = stepMask(lengths, inputGate.shape[1]);
  return {
    inputGate: select(isStep, inputGate, -CLOSED),
    forgetGate: select(isStep, forgetGate, CLOSED),
  };
}

/** The same for the raw gates wx [B, T, G·D] of a recurrent cell that has more states than its output. */
export function holdPadding(
  cell: CellName,
  wx: Tensor,
  { lengths }: Pass,
  exponentialForget = false,
): Tensor {
  const { gatesPerUnit, states } = cells[cell];
  if (!lengths || states.length === 1) return wx;
  checkOption(
    !exponentialForget,
    'lengths',
    'none where the forget gate is exponential: it cannot hold',
    'lengths',
  );
  const [inputGate, forgetGate, ...others] = split(
    wx,
    new Array<number>(gatesPerUnit).fill(wx.cols / gatesPerUnit),
  );
  const isStep = stepMask(lengths, wx.shape[1]);
  return concat([select(isStep, inputGate, -CLOSED), select(isStep, forgetGate, CLOSED), ...others]);
}

/** The states of a recurrent cell after each row's last step. */
export function stateAtEnds(
  { y, state }: { readonly y: Tensor; readonly state: RecurrentState },
  { lengths }: Pass,
): LayerState {
  const [batch, , dim] = y.shape;
  return {
    ...(state as LayerState),
    ...(lengths && { y: reshape(lastStep(y, lengths), [batch, dim]) }),
  };
}
