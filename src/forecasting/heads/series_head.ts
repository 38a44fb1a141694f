import { XlstmError } from '../../errors.ts';
import type { Forecaster } from '../forecaster.ts';
import type { VariateValues } from '../series.ts';
import { type LinearMap, outputsOf, softmax } from './linear_fit.ts';

/** Series of which something is to be told: each a row of numbers, or several that belong together. */
export type SeriesSamples = Iterable<VariateValues | readonly VariateValues[]>;

/** How well a head did on examples that it had not seen, by cross-validation. */
export type HeadMeasures =
  | {
      /** Of a classifier. */
      readonly kind: 'classification';
      /** The share of examples whose class was told. */
      readonly accuracy: number;
      /** The share that naming the most frequent class every time would reach. */
      readonly majority: number;
    }
  | {
      /** Of a regression. */
      readonly kind: 'regression';
      /** Root of the mean squared error. */
      readonly error: number;
      /** That of naming the mean every time. */
      readonly errorOfMean: number;
    };

/** How a head came about. */
export interface HeadFacts {
  /** How well it did. */
  readonly measures: HeadMeasures;
  /** Examples that it was trained on. */
  readonly examples: number;
  /** Parts of them that were held out, one after another. */
  readonly folds: number;
  /** The penalty on the square of its weights that did best on them. */
  readonly penalty: number;
  /** Names of the variates of a sample, in their order. Left out: they have none. */
  readonly inputNames?: readonly string[] | undefined;
  /** What is told. Left out: it has no name. */
  readonly outputName?: string | undefined;
}

/** A class, and how likely each is. */
export interface Classified {
  /** The most likely one. */
  readonly label: string;
  /** In the order of `classes`; they sum to 1. */
  readonly probabilities: Float64Array;
}

/** A linear map of a forecaster's embeddings. */
export abstract class SeriesHead {
  /** What makes the embeddings. It is not freed with the head. */
  readonly forecaster: Forecaster;
  /** How it came about. */
  readonly facts: HeadFacts;
  /** @internal */
  readonly map: LinearMap<Float32Array>;

  /** @internal `trainClassifier`, `trainRegressor` and `loadHead` make them. */
  constructor(forecaster: Forecaster, map: LinearMap<Float32Array>, facts: HeadFacts) {
    this.forecaster = forecaster;
    this.map = map;
    this.facts = facts;
  }

  /** Numbers of the embedding of a sample. */
  get features(): number {
    return this.map.weights.length / this.map.outputs;
  }

  /** Throws a data error for a sample whose embedding has another size. */
  protected async outputs(samples: SeriesSamples): Promise<Float64Array[]> {
    const vectors = await this.forecaster.embed(samples);
    return vectors.map((vector, i) => {
      if (vector.length === this.features) return outputsOf(this.map, vector);
      throw new XlstmError(
        'data',
        `sample ${i}: expected an embedding of ${this.features} numbers, as of the examples, found ${vector.length}`,
        'A sample has as many variates as each of the examples had.',
      );
    });
  }
}

/** Tells the class of series. */
export class SeriesClassifier extends SeriesHead {
  /** Those of the examples, in alphabetical order. */
  readonly classes: readonly string[];

  /** @internal */
  constructor(
    forecaster: Forecaster,
    map: LinearMap<Float32Array>,
    facts: HeadFacts,
    classes: readonly string[],
  ) {
    super(forecaster, map, facts);
    this.classes = classes;
  }

  /** The class of each sample. */
  async classify(samples: SeriesSamples): Promise<Classified[]> {
    return (await this.outputs(samples)).map((scores) => {
      const probabilities = softmax(scores);
      return { label: this.classes[largest(probabilities)], probabilities };
    });
  }
}

/** Tells a number of series. */
export class SeriesRegressor extends SeriesHead {
  /** The number of each sample. */
  async predict(samples: SeriesSamples): Promise<Float64Array> {
    return Float64Array.from(await this.outputs(samples), ([value]) => value);
  }
}

/** The place of the largest number. */
export const largest = (values: Float64Array): number =>
  values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
