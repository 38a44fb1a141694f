import type { Engine } from '../engine/engine.ts';
import type { LanguageModel } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { Trainer, type TrainingBatch } from '../training/trainer.ts';
import { measure, type Spread, spread } from './statistics.ts';
import {
  createModel,
  type ModelReport,
  type ModelShape,
  type ReportHead,
  randomBatch,
  reportHead,
} from './subject.ts';

export interface TrainOptions {
  readonly batch: number;
  readonly length: number;
  /** Training steps of one measurement. */
  readonly steps: number;
  readonly repeats: number;
}

export interface TrainReport extends ReportHead, ModelReport, TrainOptions {
  readonly tokensPerSecond: Spread;
  readonly stepMs: Spread;
  /** Activations, workspace and inputs of a step. */
  readonly programBytes: number;
}

/** Sequences of their own, as peers train them. */
export const TRAINING = {
  carryState: false,
  seed: 1,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.1,
  clipNorm: 1,
} as const;
const LEARNING_RATE = 1e-3;

/** A trainer with a batch to step on, again and again. */
export class TrainingSubject {
  readonly trainer: Trainer;
  readonly #batch: TrainingBatch;

  constructor(model: Model<LanguageModel>, batch: number, length: number) {
    this.trainer = new Trainer(model, { ...TRAINING, batchSize: batch, length });
    this.#batch = randomBatch(model.network.vocabSize, batch, length);
  }

  async steps(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.trainer.step([this.#batch], LEARNING_RATE);
  }
}

/** Seconds per training step over repeated runs of a few steps. */
export async function trainingSeconds(
  subject: TrainingSubject,
  steps: number,
  repeats: number,
): Promise<number[]> {
  const seconds = await measure(() => subject.steps(steps), repeats);
  return seconds.map((s) => s / steps);
}

export async function benchTrain(
  engine: Engine,
  shape: ModelShape,
  options: TrainOptions,
): Promise<TrainReport> {
  const { batch, length, steps, repeats } = options;
  const model = createModel(engine, shape);
  const subject = new TrainingSubject(model, batch, length);
  const seconds = await trainingSeconds(subject, steps, repeats);
  return {
    ...reportHead('train', engine, repeats),
    model: shape,
    parameters: model.parameters.count,
    batch,
    length,
    steps,
    tokensPerSecond: spread(seconds.map((s) => (batch * length) / s)),
    stepMs: spread(seconds.map((s) => 1000 * s)),
    programBytes: subject.trainer.programBytes,
  };
}
