/**
 * Models, training, generation and engines. There are seven more entries: `xlstm/nn` (layers, and what one's own are made
 * of), `xlstm/graph` (operations on tensors), `xlstm/onnx` (models for other runtimes), `xlstm/forecasting` (forecasts of
 * series), `xlstm/serving` and `xlstm/ai-sdk` (models that answer many) and `xlstm/node` (what works on files); nothing else is public. All but the last run in Node and in browsers: no `node:` module is imported before a
 * function needs it. In Node `xlstm` is index_node.ts, which has the same names and types.
 *
 * @module xlstm
 */

// Models: created from a configuration, of an architecture that is there or of one's own.

export { type CreateOptions, createModel, type NamedConfig, type OwnConfig } from './models/create_model.ts';
export { architectureNames, readDesign, registerArchitecture } from './models/registry.ts';
export type { Adapter, AdapterOptions } from './nn/adapter.ts';
export {
  type Architecture,
  type Description,
  Design,
  type FileLayout,
  type ForeignLayout,
} from './nn/architecture.ts';
export type { LanguageModel, LayerOutput, LayerState, Network } from './nn/layer.ts';
export { mergeAdapter } from './nn/merge_adapter.ts';
export { type AdapterValues, Model, type NetworkSource, takesTokens } from './nn/model.ts';
export type { NamedValues } from './nn/parameters.ts';

// The architectures.

export type { BaselineConfig, BaselineName, BaselineOptions } from './models/baselines/architectures.ts';
export type { LargeConfig, LargeOptions } from './models/large/config.ts';
export { LargeLanguageModel } from './models/large/language_model.ts';
export {
  type BlockStackConfig,
  type BlockStackOptions,
  blockStackConfig,
  blocksFromNotation,
  type FeedForwardConfig,
  formatConfig,
  type LanguageModelConfig,
  type LanguageModelOptions,
  languageModelConfig,
  type MlstmConfig,
  parseConfig,
  type SlstmConfig,
} from './models/xlstm/config.ts';
export { XlstmLanguageModel } from './models/xlstm/language_model.ts';

// Models in files.

export type { FileContent, ModelSource, NamedFiles } from './saved/given_files.ts';
export type { LoadedAs, LoadOptions } from './saved/loaded.ts';
export {
  encodeModel,
  loadModel,
  type SavableModel,
  saveModel,
} from './saved/model_files.ts';

// Sequences of numbers.

export type { SequenceConfig, SequenceOptions } from './models/sequence/config.ts';
export { SequenceNetwork } from './models/sequence/network.ts';
export type { SequenceExample, StepValues } from './sequences/examples.ts';
export type { Epoch, Examples, FitOptions, FitResult } from './sequences/fit.ts';
export { type SequenceArrays, sequenceObjective } from './sequences/objective.ts';
export type { Prediction } from './sequences/prediction.ts';
export { SequenceModel, type SequenceModelOptions } from './sequences/sequence_model.ts';
export type { SequenceStream } from './sequences/stream.ts';
export { type Series, type WindowOptions, windows } from './sequences/windows.ts';
export {
  absoluteError,
  type ElementLoss,
  huberLoss,
  quantileLoss,
  squaredError,
} from './training/losses.ts';

// Training and measuring.

export type { Range } from './checks.ts';
export type { AdamwOptions } from './compute/graph/optimizer.ts';
export { type AdapterFacts, type Inspection, inspect, type Layer } from './lab/inspect.ts';
export { type EvaluationOptions, type EvaluationResult, Evaluator } from './training/evaluate.ts';
export {
  type BatchShape,
  type InputName,
  type InputSpec,
  languageModelObjective,
  type Objective,
  type SequenceBatch,
  type TrainingBatch,
} from './training/objective.ts';
export { type Schedule, type ScheduleOptions, warmupCosine } from './training/schedule.ts';
export { type ScoredLine, type ScoredToken, scoreText } from './training/score_text.ts';
export type { Wire } from './training/sharded_update.ts';
export { type GradientResult, type StepResult, Trainer } from './training/trainer.ts';
export type { TrainerOptions } from './training/trainer_options.ts';

// Generation.

export {
  CellTrace,
  type MlstmCell,
  type MlstmReading,
  type SlstmCell,
  type SlstmReading,
  type TracedCell,
  type TraceStep,
  type TraceValues,
} from './generation/cell_trace.ts';
export { type AnswerOptions, Conversation } from './generation/conversation.ts';
export { Grammar, type GrammarCursor } from './generation/grammar/grammar.ts';
export type { LogProbability } from './generation/log_probabilities.ts';
export { Sampler, type SamplingOptions } from './generation/sampling.ts';
export {
  type CompleteOptions,
  type Completion,
  type GenerateOptions,
  Session,
} from './generation/session.ts';
export { TextModel } from './generation/text_model.ts';
export { TokenWindow } from './generation/token_window.ts';
export type { FinishReason } from './generation/writing.ts';

// Texts as tokens, and batches of them.

export {
  type Batch,
  type BatchOptions,
  type BatchOrder,
  type BatchPosition,
  TokenBatches,
} from './data/batches.ts';
export type { DocumentIndex } from './data/document_index.ts';
export { type ChatMessage, encodeChat } from './data/subword/chat.ts';
export { type ChatFormat, type SubwordOptions, SubwordTokenizer } from './data/subword/subword_tokenizer.ts';
export type { TokenSource, Tokens } from './data/token_source.ts';
export {
  ByteTokenizer,
  DOCUMENT,
  encodeDocuments,
  type StreamingDecoder,
  type Tokenizer,
  type TokenizerDescription,
} from './data/tokenizer.ts';
export { createTokenizer, registerTokenizer, type TokenizerKind } from './data/tokenizer_registry.ts';
export { Random, type RandomState } from './random.ts';

// Engines: what computes.

export {
  type ChosenEngine,
  chooseEngine,
  type EngineChoice,
  engineChoices,
} from './compute/engines/choose.ts';
export { type DoctorReport, doctor, type Finding } from './compute/engines/doctor.ts';
export type {
  CopiedPart,
  Draft,
  DraftOptions,
  Engine,
  EngineName,
  EngineOptions,
  Executable,
  Memory,
  Values,
} from './compute/engines/engine.ts';
export type { EngineLimits, Lack } from './compute/program/limits.ts';

// Tensors in the file formats of checkpoints and of PyTorch, and errors.

export type { GivenAdapter } from './checkpoints/adapter_files.ts';
export type { Bytes } from './checkpoints/bytes.ts';
export { decodeCheckpoint, type EncodedModel, type LoadedModel } from './checkpoints/checkpoint.ts';
export {
  parseSafetensors,
  type SafetensorsFile,
  type TensorToWrite,
  writeSafetensors,
} from './checkpoints/safetensors.ts';
export type { Dtype, StoredTensor } from './checkpoints/stored_tensor.ts';
export { parseTorchFile, type TorchFile } from './checkpoints/torch_file.ts';
export { type ErrorCode, XlstmError } from './errors.ts';
