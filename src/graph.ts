/**
 * Tensors, the symbolic values of a graph, and the operations on them. `evaluation` runs a graph once; a Program of one's
 * own is made of leaves in Regions and assignments to them, which `plan` turns into what an engine's `bind` takes.
 *
 * An operation throws a shape error for tensors whose shapes do not go together, and a usage error for an option that is
 * not right. Gradients flow through all operands unless something else is said. B is a batch's sequences, T their steps, D
 * the width, H the heads, DK and DV the widths of a head's keys and values; [..., n] has any dimensions before the last.
 *
 * @module xlstm/graph
 */

export { type Evaluation, evaluation, type NamedArray } from './compute/evaluation.ts';
export { AdaptedMatrix, type AdaptedRows, type LowRank } from './compute/graph/adapted_matrix.ts';
export { type ConvResult, causalConv } from './compute/graph/conv.ts';
export { differentiate } from './compute/graph/differentiate.ts';
export {
  absolute,
  add,
  broadcastTo,
  divide,
  dropout,
  erf,
  exp,
  gelu,
  greater,
  log,
  logSigmoid,
  maximum,
  minimum,
  multiply,
  multiplyAdd,
  negate,
  type Operand,
  reciprocal,
  relu,
  select,
  sigmoid,
  sign,
  silu,
  softCap,
  square,
  squareRoot,
  subtract,
  sum,
  sumColumns,
  sumRows,
  sumSquares,
  sumTo,
  tanh,
} from './compute/graph/elementwise.ts';
export { embedding } from './compute/graph/embedding.ts';
export { type GatedNormInputs, gatedNorm } from './compute/graph/gated_norm.ts';
export { crossEntropy } from './compute/graph/loss.ts';
export { gateLinear, headwiseLinear, linear, matmul } from './compute/graph/matmul.ts';
export { type MlstmInputs, type MlstmOptions, type MlstmState, mlstm } from './compute/graph/mlstm.ts';
export { mlstmProjections } from './compute/graph/mlstm_projections.ts';
export { type NormOptions, norm } from './compute/graph/norm.ts';
export { PackedMatrix } from './compute/graph/packed_linear.ts';
export { PanelMatrix } from './compute/graph/panel_linear.ts';
export { type PlanOptions, type Precision, plan } from './compute/graph/plan.ts';
export {
  type CellName,
  type RecurrentOptions,
  type RecurrentState,
  recurrent,
} from './compute/graph/recurrent.ts';
export { leaf, type Tensor } from './compute/graph/tensor.ts';
export {
  assign,
  concat,
  constant,
  lastToken,
  reshape,
  split,
  stopGradient,
  zeros,
} from './compute/graph/views.ts';
export { type PackedFormat, packedFormats } from './compute/program/constants.ts';
export { packRows } from './compute/program/packing.ts';
export type { Program } from './compute/program/program.ts';
export { type Entry, Region, type Shape } from './compute/program/region.ts';
