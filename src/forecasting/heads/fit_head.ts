import { shareEventLoop } from '../../event_loop.ts';
import { Random } from '../../random.ts';
import { type Rows, reduced } from './cholesky.ts';
import { type Fit, type LinearMap, outputsOf } from './linear_fit.ts';

/** Parts of the examples, each of which is predicted once by a fit of the others. */
const FOLDS = 5;
/** Penalties tried, in units of the mean square of a coordinate's column, the largest first. */
const PENALTIES = [100, 10, 1, 0.1, 1e-2, 1e-3, 1e-4];
/** Features that vary less, relative to the one that varies most, are rounding. */
const CONSTANT = 1e-5;

/** What is fitted, and how it is judged. */
export interface Task<Labels> {
  readonly fit: Fit<Labels>;
  /** Those of some of the examples. */
  choose(examples: readonly number[]): Labels;
  /** Of the outputs for an example: what the penalty is chosen by. */
  loss(outputs: Float64Array, example: number): number;
  /** Examples that are spread evenly over the folds; a group is those of a class. */
  readonly groups: readonly (readonly number[])[];
}

/** A fit, and what it makes of examples that it has not seen. */
export interface FittedHead {
  readonly map: LinearMap;
  readonly penalty: number;
  readonly folds: number;
  /** Of each example the outputs of the fit without its fold. */
  readonly heldOut: readonly Float64Array[];
}

/**
 * Fits features, each standardised over the examples, with the penalty whose fits of four fifths of the examples predict the
 * others best; of equal ones the larger.
 */
export async function fitHead<Labels>(features: Rows, task: Task<Labels>, seed: number): Promise<FittedHead> {
  const { rows: standard, scales, means } = standardised(features);
  const { rows, expand } = reduced(standard);
  const { count, width, values } = rows;
  const unit = values.reduce((sum, value) => sum + value * value, 0) / Math.max(1, width) || 1;
  const penalties = PENALTIES.map((penalty) => penalty * unit);
  const folds = foldsOf(task.groups, count, seed);
  const outputs = penalties.map((): Float64Array[] => new Array(count));
  for (const held of folds) {
    await shareEventLoop();
    const others = folds.flatMap((fold) => (fold === held ? [] : fold));
    const maps = task.fit(chosenRows(rows, others), task.choose(others), penalties);
    for (const [p, map] of maps.entries())
      for (const i of held) outputs[p][i] = outputsOf(map, values, i * width);
  }
  const losses = outputs.map((all) => all.reduce((sum, one, i) => sum + task.loss(one, i), 0));
  const best = losses.indexOf(losses.reduce((least, loss) => Math.min(least, loss)));
  await shareEventLoop();
  const all = Array.from({ length: count }, (_, i) => i);
  const map = task.fit(rows, task.choose(all), penalties.slice(0, best + 1))[best];
  return {
    map: ofRawFeatures(map, width, expand, scales, means),
    penalty: penalties[best],
    folds: folds.length,
    heldOut: outputs[best],
  };
}

function foldsOf(groups: readonly (readonly number[])[], count: number, seed: number): number[][] {
  const random = new Random(seed);
  const folds = Array.from({ length: Math.min(FOLDS, count) }, (): number[] => []);
  let next = 0;
  for (const group of groups)
    for (const place of random.permutation(group.length)) folds[next++ % folds.length].push(group[place]);
  return folds;
}

function standardised({ count, width, values }: Rows): {
  readonly rows: Rows;
  readonly scales: Float64Array;
  readonly means: Float64Array;
} {
  const means = new Float64Array(width);
  const deviations = new Float64Array(width);
  for (let i = 0; i < count; i++) for (let j = 0; j < width; j++) means[j] += values[i * width + j] / count;
  for (let i = 0; i < count; i++)
    for (let j = 0; j < width; j++) deviations[j] += (values[i * width + j] - means[j]) ** 2 / count;
  const most = Math.sqrt(deviations.reduce((a, b) => Math.max(a, b), 0));
  const scales = deviations.map((variance) => {
    const deviation = Math.sqrt(variance);
    return deviation > CONSTANT * most ? 1 / deviation : 0;
  });
  const scaled = values.map((value, i) => (value - means[i % width]) * scales[i % width]);
  return { rows: { count, width, values: scaled }, scales, means };
}

function chosenRows({ width, values }: Rows, examples: readonly number[]): Rows {
  const chosen = new Float64Array(examples.length * width);
  for (const [n, i] of examples.entries()) chosen.set(values.subarray(i * width, (i + 1) * width), n * width);
  return { count: examples.length, width, values: chosen };
}

/** Of what the features were before they were standardised and reduced. */
function ofRawFeatures(
  { outputs, weights, bias }: LinearMap,
  width: number,
  expand: (weights: Float64Array) => Float64Array,
  scales: Float64Array,
  means: Float64Array,
): LinearMap {
  const features = scales.length;
  const raw = new Float64Array(outputs * features);
  const shifted = bias.slice();
  for (let k = 0; k < outputs; k++) {
    const own = expand(weights.subarray(k * width, (k + 1) * width));
    for (let j = 0; j < features; j++) {
      raw[k * features + j] = own[j] * scales[j];
      shifted[k] -= own[j] * scales[j] * means[j];
    }
  }
  return { outputs, weights: raw, bias: shifted };
}
