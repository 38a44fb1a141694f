import { checkNames, checkOption, checkWhole } from '../../checks.ts';
import { XlstmError } from '../../errors.ts';
import { quote } from '../../quote.ts';
import type { Forecaster } from '../forecaster.ts';
import type { Rows } from './cholesky.ts';
import { type FittedHead, fitHead } from './fit_head.ts';
import { fitLogistic, fitRidge, type LinearMap, softmax } from './linear_fit.ts';
import {
  type HeadFacts,
  type HeadMeasures,
  largest,
  SeriesClassifier,
  SeriesRegressor,
  type SeriesSamples,
} from './series_head.ts';

/** How a head is trained. */
export interface TrainHeadOptions {
  /** Decides which examples are held out together. Default: 1. */
  readonly seed?: number;
  /** Names of the variates of a sample, which the head keeps. Default: none. */
  readonly inputNames?: readonly string[];
  /** The name of what is told, which the head keeps. Default: none. */
  readonly outputName?: string;
}

/** Examples of a class; one is held out while another is learned from. */
const LEAST_OF_CLASS = 2;
const LEAST_EXAMPLES = 5;

/**
 * Trains a classifier of series on the embeddings of some: logistic regression, its penalty chosen by cross-validation. The model stays as it
 * is. Rejects with a data error for labels or samples that are not right: as many labels as samples, two classes or more, each
 * of two examples or more.
 */
export async function trainClassifier(
  forecaster: Forecaster,
  samples: SeriesSamples,
  labels: Iterable<string>,
  options: TrainHeadOptions = {},
): Promise<SeriesClassifier> {
  const { seed, names } = checkOptions('trainClassifier', options);
  const given = Array.from(labels);
  for (const [i, label] of given.entries()) {
    if (typeof label === 'string' && label !== '') continue;
    throw new XlstmError('data', `labels: example ${i}: expected the name of a class, found ${quote(label)}`);
  }
  const classes = [...new Set(given)].sort();
  if (classes.length < 2) {
    throw new XlstmError('data', `labels: expected two classes or more, found ${quote(classes)}`);
  }
  const found = Int32Array.from(given, (label) => classes.indexOf(label));
  const groups = classes.map((_, k) => placesOf(found, k));
  for (const [k, { length }] of groups.entries()) {
    if (length >= LEAST_OF_CLASS) continue;
    throw new XlstmError(
      'data',
      `labels: expected at least ${LEAST_OF_CLASS} examples of ${quote(classes[k])}, found ${length}`,
      'Give more of them, or leave the class out.',
    );
  }
  const features = await featuresOf(forecaster, samples, given.length);
  const fitted = await fitHead(
    features,
    {
      fit: fitLogistic(classes.length),
      choose: (examples) => Int32Array.from(examples, (i) => found[i]),
      loss: (outputs, i) => -Math.log(Math.max(Number.MIN_VALUE, softmax(outputs.slice())[found[i]])),
      groups,
    },
    seed,
  );
  const right = fitted.heldOut.filter((outputs, i) => largest(outputs) === found[i]).length;
  const most = Math.max(...groups.map(({ length }) => length));
  const measures = {
    kind: 'classification',
    accuracy: right / given.length,
    majority: most / given.length,
  } as const;
  return new SeriesClassifier(forecaster, mapOf(fitted), factsOf(fitted, measures, names), classes);
}

/**
 * Trains a regression of a number on the embeddings of series: ridge regression in closed form, its penalty chosen by cross-validation. The
 * model stays as it is. Rejects with a data error for values or samples that are not right: as many values as samples, five or more, not
 * all the same.
 */
export async function trainRegressor(
  forecaster: Forecaster,
  samples: SeriesSamples,
  values: Iterable<number>,
  options: TrainHeadOptions = {},
): Promise<SeriesRegressor> {
  const { seed, names } = checkOptions('trainRegressor', options);
  const given = Array.from(values);
  for (const [i, value] of given.entries()) {
    if (Number.isFinite(value)) continue;
    throw new XlstmError('data', `values: example ${i}: expected a finite number, found ${quote(value)}`);
  }
  if (given.length > 0 && given.every((value) => value === given[0])) {
    throw new XlstmError('data', `values: expected different ones, found ${given[0]} alone`);
  }
  const features = await featuresOf(forecaster, samples, given.length);
  const fitted = await fitHead(
    features,
    {
      fit: fitRidge,
      choose: (examples) => Float64Array.from(examples, (i) => given[i]),
      loss: ([output], i) => (output - given[i]) ** 2,
      groups: [given.map((_, i) => i)],
    },
    seed,
  );
  const mean = given.reduce((sum, value) => sum + value / given.length, 0);
  const rootMeanSquare = (errors: readonly number[]): number =>
    Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / errors.length);
  const measures = {
    kind: 'regression',
    error: rootMeanSquare(fitted.heldOut.map(([output], i) => output - given[i])),
    errorOfMean: rootMeanSquare(given.map((value) => value - mean)),
  } as const;
  return new SeriesRegressor(forecaster, mapOf(fitted), factsOf(fitted, measures, names));
}

type HeadNames = Pick<HeadFacts, 'inputNames' | 'outputName'>;

function checkOptions(what: string, options: TrainHeadOptions): { seed: number; names: HeadNames } {
  checkNames(what, options, ['seed', 'inputNames', 'outputName']);
  const { seed = 1, inputNames, outputName } = options;
  checkWhole('seed', seed, 0);
  const areNames =
    inputNames === undefined ||
    (Array.isArray(inputNames) && inputNames.every((name) => typeof name === 'string'));
  checkOption(areNames, 'inputNames', 'a list of names', inputNames);
  checkOption(outputName === undefined || typeof outputName === 'string', 'outputName', 'a name', outputName);
  const names = {
    ...(inputNames !== undefined && { inputNames: [...inputNames] }),
    ...(outputName !== undefined && { outputName }),
  };
  return { seed, names };
}

/** The embeddings of the examples, one below another. */
async function featuresOf(forecaster: Forecaster, samples: SeriesSamples, labels: number): Promise<Rows> {
  const all = Array.from(samples);
  if (all.length !== labels) {
    throw new XlstmError('data', `expected a label for each of the ${all.length} samples, found ${labels}`);
  }
  if (all.length < LEAST_EXAMPLES) {
    throw new XlstmError(
      'data',
      `samples: expected at least ${LEAST_EXAMPLES} examples, found ${all.length}`,
    );
  }
  const vectors = await forecaster.embed(all);
  const [{ length: width }] = vectors;
  const values = new Float64Array(vectors.length * width);
  for (const [i, vector] of vectors.entries()) {
    checkOption(
      vector.length === width,
      `sample ${i}`,
      'as many variates as the first sample has',
      vector.length > width ? 'more' : 'fewer',
    );
    values.set(vector, i * width);
  }
  return { count: vectors.length, width, values };
}

const placesOf = (values: Int32Array, value: number): number[] =>
  [...values.keys()].filter((i) => values[i] === value);

/** As it is saved: in float32, so that a head that is loaded again says the same. */
const mapOf = ({ map }: FittedHead): LinearMap<Float32Array> => ({
  outputs: map.outputs,
  weights: Float32Array.from(map.weights),
  bias: Float32Array.from(map.bias),
});

const factsOf = (
  { heldOut, folds, penalty }: FittedHead,
  measures: HeadMeasures,
  names: HeadNames,
): HeadFacts => ({ measures, examples: heldOut.length, folds, penalty, ...names });
