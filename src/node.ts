/**
 * What works on files, and so in Node alone: texts, checkpoints, whole training runs, golden vectors. Imported as
 * `xlstm/node`, so that nothing a browser loads from `xlstm` reaches a `node:` module.
 */

export {
  type Checkpoint,
  checkpointFolder,
  loadCheckpoint,
  saveCheckpoint,
  type TrainingState,
} from './checkpoints/checkpoint.ts';
export { type Corpus, type Document, holdOutTenth, mobyDick, readTexts, sotu } from './data/text.ts';
export { MetricsFile, type MetricsRecord, readMetrics } from './training/metrics_file.ts';
export {
  type RunOptions,
  type RunResult,
  runTraining,
  type StepEvent,
  type TrainingRun,
} from './training/run.ts';
export { type Row, type Verification, verifyFile } from './verification/verify.ts';
