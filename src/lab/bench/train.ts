import type { Engine } from '../../compute/engines/engine.ts';
import type { Precision } from '../../compute/graph/plan.ts';
import type { LanguageModel } from '../../nn/layer.ts';
import type { Model } from '../../nn/model.ts';
import type { TrainingBatch } from '../../training/objective.ts';
import { Trainer } from '../../training/trainer.ts';
import { measure, type Spread, spread } from './statistics.ts';
import {
  type ModelReport,
  type ModelShape,
  measuredModel,
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
  readonly precision: Precision;
}

export interface TrainReport extends ReportHead, ModelReport, TrainOptions {
  readonly tokensPerSecond: Spread;
  readonly stepMs: Spread;
  /** Activations, workspace and inputs of a step. */
  readonly programBytes: number;
}

const LEARNING_RATE = 1e-3;

/** A trainer with a batch to step on, again and again: sequences of their own, as peers train them. */
export class TrainingSubject {
  readonly trainer: Trainer;
  readonly #batch: TrainingBatch;

  constructor(model: Model<LanguageModel>, batch: number, length: number, precision: Precision = 'f32') {
    this.trainer = new Trainer(model, { batchSize: batch, length, precision });
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
  const { batch, length, steps, repeats, precision } = options;
  const model = measuredModel(engine, shape);
  const subject = new TrainingSubject(model, batch, length, precision);
  const seconds = await trainingSeconds(subject, steps, repeats);
  return {
    ...reportHead('train', engine, repeats),
    model: shape,
    parameters: model.parameters.count,
    batch,
    length,
    steps,
    precision,
    tokensPerSecond: spread(seconds.map((s) => (batch * length) / s)),
    stepMs: spread(seconds.map((s) => 1000 * s)),
    programBytes: subject.trainer.programBytes,
  };
}
