/**
 * The public API: nothing else is public. Everything here runs in Node and in browsers: no `node:` module is imported
 * before a function needs it. What reads and writes files is in `xlstm/node` (node.ts).
 */

// Language models.

export { BlockStack, MlstmBlock, SlstmBlock } from './xlstm/blocks.ts';
export {
  blocksFromNotation,
  type FeedForwardConfig,
  formatConfig,
  type LanguageModelConfig,
  type LanguageModelOptions,
  languageModelConfig,
  type MlstmConfig,
  parseConfig,
  type SlstmConfig,
} from './xlstm/config.ts';
export { XlstmLanguageModel } from './xlstm/language_model.ts';
export { MlstmLayer } from './xlstm/mlstm_layer.ts';
export { SlstmLayer } from './xlstm/slstm_layer.ts';

// Training and measuring.

export { type Inspection, inspect, type Layer } from './inspection/inspect.ts';
export { type EvaluationOptions, type EvaluationResult, Evaluator } from './training/evaluate.ts';
export { type Schedule, type ScheduleOptions, warmupCosine } from './training/schedule.ts';
export { type StepResult, Trainer, type TrainerOptions, type TrainingBatch } from './training/trainer.ts';

// Generation.

export { Sampler, type SamplingOptions } from './generation/sampling.ts';
export { type GenerateOptions, Session } from './generation/session.ts';

// Texts as tokens, and batches of them.

export { type Batch, type BatchOptions, type BatchPosition, TokenBatches } from './data/batches.ts';
export { Random, type RandomState } from './data/random.ts';
export {
  ByteTokenizer,
  createTokenizer,
  DOCUMENT,
  encodeDocuments,
  type StreamingDecoder,
  type Tokenizer,
  type TokenizerDescription,
} from './data/tokenizer.ts';

// Layers, and what one's own are made of.

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
export {
  type LanguageModel,
  type LayerState,
  Pass,
  type SequenceLayer,
  type StateShapes,
  stateBelow,
  under,
} from './nn/layer.ts';
export { HeadwiseLinear, Linear } from './nn/linear.ts';
export { Model, type NamedValues } from './nn/model.ts';
export { LayerNorm } from './nn/norm.ts';
export { type Init, type Parameter, type Parameters, Scope } from './nn/parameters.ts';

// Tensors: symbolic values of a graph, and the operations on them.

export { type ConvResult, causalConv } from './graph/conv.ts';
export { differentiate } from './graph/differentiate.ts';
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
  tanh,
} from './graph/elementwise.ts';
export { embedding } from './graph/embedding.ts';
export { type Evaluation, evaluation, type NamedArray } from './graph/evaluate.ts';
export { type GatedNormInputs, gatedNorm } from './graph/gated_norm.ts';
export { crossEntropy } from './graph/loss.ts';
export { headwiseLinear, linear, matmul } from './graph/matmul.ts';
export { type MlstmInputs, type MlstmOptions, type MlstmState, mlstm } from './graph/mlstm.ts';
export { mlstmProjections } from './graph/mlstm_projections.ts';
export { type NormOptions, norm } from './graph/norm.ts';
export {
  type CellName,
  type RecurrentOptions,
  type RecurrentState,
  recurrent,
} from './graph/recurrent.ts';
export { sum, sumColumns, sumRows, sumSquares, sumTo } from './graph/reduce.ts';
export type { Tensor } from './graph/tensor.ts';
export { concat, constant, lastToken, reshape, split, stopGradient, zeros } from './graph/views.ts';

// Engines: what computes.

export { type ChosenEngine, chooseEngine, type EngineChoice, engineChoices } from './engine/choose.ts';
export { type DoctorReport, doctor, type Finding, formatDoctor } from './engine/doctor.ts';
export type { Engine, EngineName, EngineOptions, Executable, Memory } from './engine/engine.ts';
export type { Program } from './program/program.ts';
export type { Shape } from './program/region.ts';

// Tensors in the file format of checkpoints, and errors.

export {
  type Dtype,
  parseSafetensors,
  type SafetensorsFile,
  type StoredTensor,
  type TensorToWrite,
  writeSafetensors,
} from './checkpoints/safetensors.ts';
export { type ErrorCode, XlstmError } from './errors.ts';
