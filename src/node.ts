/**
 * What works on files, and so in Node alone: texts, checkpoints, whole training runs, golden vectors. It is an entry of its
 * own so that nothing a browser loads from `xlstm` reaches a `node:` module.
 *
 * @module xlstm/node
 */

export type { Checkpoint, CheckpointFiles, LoadedModel, TrainingState } from './checkpoints/checkpoint.ts';
export {
  type CheckpointOptions,
  type LoadedTextModel,
  loadAdapter,
  loadCheckpoint,
  loadTextModel,
  saveCheckpoint,
} from './checkpoints/checkpoint_folder.ts';
export { type Converted, type ConvertOptions, convertCheckpoint } from './checkpoints/convert.ts';
export type { HubLicence } from './checkpoints/hub/client.ts';
export { type DownloadOptions, downloadModel, type ModelLicence } from './checkpoints/hub/download.ts';
export { type HubEnvironment, hubEnvironment } from './checkpoints/hub/environment.ts';
export { readSeries } from './data/series/read_series.ts';
export type { SeriesOptions, TableSeries } from './data/series/table_series.ts';
export {
  type TokenizerProgress,
  type TokenizerTraining,
  type TrainedTokenizer,
  trainTokenizer,
} from './data/subword/train_tokenizer.ts';
export { type Corpus, type Document, holdOut, mobyDick, readTexts, sotu } from './data/text.ts';
export { type Collective, type Exchanged, oneProcess, type Parts } from './distributed/collective.ts';
export { type MpiOptions, mpi } from './distributed/mpi.ts';
export { type Row, type Verification, verifyFile } from './lab/verification/verify.ts';
export type { BestMeasurement, BestModel } from './training/best_model.ts';
export { EventFile } from './training/event_file.ts';
export { MetricsFile, type MetricsRecord, readMetrics } from './training/metrics_file.ts';
export { openRun, type ResumeOptions, resumeTraining } from './training/resume.ts';
export { Run, type TrainingRun } from './training/run.ts';
export type { ResumeData } from './training/run_data.ts';
export type { RunFolder } from './training/run_folder.ts';
export type { RunOptions } from './training/run_options.ts';
export type { RunExtension } from './training/schedule.ts';
export type { StepBatches, StepBatchOptions } from './training/step_batches.ts';
export { TokenFile, type TokenFileFacts } from './training/token_file.ts';
export {
  type RunControl,
  type RunResult,
  runTraining,
  type StepEvent,
  trainRun,
} from './training/train_run.ts';
export {
  type TokenizeOptions,
  type TokenizeProgress,
  tokenizeTexts,
  writeTokenFile,
} from './training/write_token_file.ts';
