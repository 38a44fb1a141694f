/**
 * The layers, and what networks of one's own are made of. Constructors declare parameters in a Scope, and throw a usage
 * error for sizes and options that are not right; `forward` builds a graph, and throws a shape error for tensors that do
 * not fit. B is a batch's sequences, T their steps, D the width, H the heads and DH the width of a head.
 *
 * @module xlstm/nn
 */

export { BlockStack, MlstmBlock, SlstmBlock } from './models/xlstm/blocks.ts';
export { MlstmLayer } from './models/xlstm/mlstm_layer.ts';
export { SlstmLayer } from './models/xlstm/slstm_layer.ts';
export { type ActivationName, activationNames, activations } from './nn/activation.ts';
export { CausalConv1d } from './nn/conv.ts';
export { GatedFeedForward, type GatedFeedForwardOptions } from './nn/feed_forward.ts';
export {
  constantInit,
  linspaceInit,
  normalInit,
  smallInit,
  uniformInit,
  wangInit,
  zerosInit,
} from './nn/init.ts';
export { Pass, type SequenceLayer, type StateShapes, stateBelow, under } from './nn/layer.ts';
export { HeadwiseLinear, Linear } from './nn/linear.ts';
export { LayerNorm } from './nn/norm.ts';
export type {
  AdaptedNames,
  Init,
  Matrix,
  MatrixOptions,
  MatrixPart,
  Parameter,
  Parameters,
  Scope,
} from './nn/parameters.ts';
export { RmsNorm } from './nn/rms_norm.ts';
