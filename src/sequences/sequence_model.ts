import { checkOption, checkWhole } from '../checks.ts';
import type { Engine } from '../compute/engines/engine.ts';
import { sharedEngine } from '../compute/engines/shared.ts';
import { sequenceArchitecture } from '../models/sequence/architecture.ts';
import { type SequenceConfig, type SequenceOptions, sequenceConfig } from '../models/sequence/config.ts';
import { SequenceNetwork } from '../models/sequence/network.ts';
import { Design } from '../nn/architecture.ts';
import type { Network } from '../nn/layer.ts';
import { Model } from '../nn/model.ts';
import { OneCall } from '../nn/one_call.ts';
import { encodeInputs, type StepValues } from './examples.ts';
import { type Examples, type FitOptions, type FitResult, fitSequences } from './fit.ts';
import type { Prediction } from './prediction.ts';
import { Predictor } from './predictor.ts';
import { SequenceStream } from './stream.ts';

/** What `SequenceModel.create` takes; everything but `inputs` has a default. */
export interface SequenceModelOptions extends SequenceOptions {
  /** What computes. Default: the fastest engine there is, which all models share that are given none. */
  readonly engine?: Engine;
  /** Decides the initial values. Default: 1. */
  readonly seed?: number;
}

/** A trainable model of sequences of numbers: what goes in, what comes out, and all that lies between. */
export class SequenceModel implements Disposable {
  /** The network with its numbers, for Trainer, Evaluator and one's own loops. */
  readonly model: Model<SequenceNetwork>;
  readonly #predictor: Predictor;
  readonly #calls: OneCall;

  private constructor(model: Model<SequenceNetwork>) {
    this.model = model;
    this.#predictor = new Predictor(model);
    this.#calls = new OneCall('the model', model.use);
  }

  /**
   * A new model. Throws a usage or config error for an option that is not right.
   *
   * @param options What goes in and what comes out; the rest has defaults.
   */
  static async create({ engine, seed = 1, ...options }: SequenceModelOptions): Promise<SequenceModel> {
    checkWhole('seed', seed, 0);
    const config = sequenceConfig(options);
    const on = engine ?? (await sharedEngine());
    const design = new Design<SequenceNetwork>(sequenceArchitecture, config);
    return new SequenceModel(Model.create(on, design, seed));
  }

  /** Around a model that was loaded. Throws a usage error for one of another architecture. */
  static of(model: Model<Network>): SequenceModel {
    const right = model.network instanceof SequenceNetwork;
    checkOption(
      right,
      'model',
      'a model of sequences of numbers',
      model.design?.describe().summary ?? 'another network',
    );
    return new SequenceModel(model as Model<SequenceNetwork>);
  }

  /** What the model was made of, with all defaults. */
  get config(): SequenceConfig {
    return this.model.network.config;
  }

  /** Numbers that the model has learned or will learn. */
  get parameterCount(): number {
    return this.model.parameters.count;
  }

  /**
   * Trains on examples. Rejects, before anything is learned, with a usage error for an option and with a data error for
   * an example that is not right; and with an error of code `diverged` where training does.
   */
  fit(examples: Examples, options: FitOptions = {}): Promise<FitResult> {
    return this.#calls.run('fit', () => fitSequences(this.model, examples, options));
  }

  /**
   * A result for each step of a sequence, or where the model pools the one of the sequence. Rejects with a data error,
   * which names step and column, for inputs that are not right.
   */
  async predict(inputs: ArrayLike<StepValues>): Promise<Prediction[]> {
    return (await this.predictAll([inputs]))[0];
  }

  /**
   * The same for many sequences.
   *
   * @param options `batchSize`: sequences that are computed at once. Default: 32.
   */
  predictAll(sequences: Iterable<ArrayLike<StepValues>>, { batchSize = 32 } = {}): Promise<Prediction[][]> {
    return this.#calls.run('predict', () => {
      checkWhole('batchSize', batchSize, 1);
      const encoded = Array.from(sequences, (inputs, i) =>
        encodeInputs(inputs, this.config, `sequence ${i}`),
      );
      checkOption(encoded.length > 0, 'sequences', 'at least one', 'none');
      return this.#predictor.run(encoded, batchSize);
    });
  }

  /**
   * A sequence of any length that comes step by step. Throws a usage error for a model that has to know a sequence's end:
   * one that is bidirectional or takes the mean.
   */
  stream(): SequenceStream {
    return new SequenceStream(this.model);
  }

  /** Gives all memory back, that of its parameters too; streams are to be freed before. */
  free(): void {
    this.#calls.free(() => {
      this.#predictor.free();
      this.model.free();
    });
  }

  /** `free`, for `using`. */
  [Symbol.dispose](): void {
    this.free();
  }
}
