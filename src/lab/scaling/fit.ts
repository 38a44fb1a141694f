import { levenbergMarquardt } from 'ml-levenberg-marquardt';

/** A training as a fit sees it: what it had, and the loss that came of it. */
export interface FitPoint {
  /** Parameters and tokens, or operations alone: above 0, as many for each point. */
  readonly resources: readonly number[];
  readonly loss: number;
}

/** Loss as a power law: E + Σ A · resource^−exponent. */
export interface PowerLaw {
  /** What is left with endless resources. */
  readonly irreducible: number;
  readonly terms: readonly { readonly factor: number; readonly exponent: number }[];
}

export const predictedLoss = ({ irreducible, terms }: PowerLaw, resources: readonly number[]): number =>
  terms.reduce((sum, { factor, exponent }, k) => sum + factor * resources[k] ** -exponent, irreducible);

/** Errors of the logarithm of the loss up to this count by their square, larger ones by their size. */
const HUBER = 1e-3;
/** Rounds in which the weights of large errors are found anew, and steps of the minimisation in each. */
const ROUNDS = 8;
const ITERATIONS = 12;

const LEAST_EXPONENT = 0;
const LARGEST_EXPONENT = 2;
/** Bounds on the logarithm of a term at the middle of the points. */
const LEAST_TERM = -12;
const LARGEST_TERM = 5;

/** Starts: exponents, and the share of the least loss that is taken for irreducible. */
const EXPONENTS = [0.15, 0.5, 1];
const SHARES = [0.3, 0.7, 0.95];

/** The numbers of a law: for each term its logarithm at the middle of the points and its exponent, then that of E. */
type Numbers = readonly number[];

/** Points in logarithms, each resource about its mean: the numbers of a law then hardly depend on each other. */
class Logarithms {
  readonly resources: readonly (readonly number[])[];
  readonly losses: readonly number[];
  readonly #means: readonly number[];

  constructor(points: readonly FitPoint[]) {
    const logs = points.map(({ resources }) => resources.map(Math.log));
    this.#means = logs[0].map((_, k) => logs.reduce((sum, row) => sum + row[k], 0) / logs.length);
    this.resources = logs.map((row) => row.map((value, k) => value - this.#means[k]));
    this.losses = points.map(({ loss }) => Math.log(loss));
  }

  get terms(): number {
    return this.#means.length;
  }

  law(numbers: Numbers): PowerLaw {
    return {
      irreducible: Math.exp(numbers[2 * this.terms]),
      terms: this.#means.map((mean, k) => ({
        factor: Math.exp(numbers[2 * k] + numbers[2 * k + 1] * mean),
        exponent: numbers[2 * k + 1],
      })),
    };
  }

  numbers({ irreducible, terms }: PowerLaw): Numbers {
    return [
      ...terms.flatMap(({ factor, exponent }, k) => [Math.log(factor) - exponent * this.#means[k], exponent]),
      Math.log(irreducible),
    ];
  }

  /** The logarithms of the parts of the loss at a point, E last. */
  parts(numbers: Numbers, point: number): number[] {
    const terms = this.resources[point].map((x, k) => numbers[2 * k] - numbers[2 * k + 1] * x);
    return [...terms, numbers[2 * this.terms]];
  }
}

const logSum = (parts: readonly number[]): number => {
  const most = Math.max(...parts);
  return most + Math.log(parts.reduce((sum, part) => sum + Math.exp(part - most), 0));
};

interface Fitted {
  readonly law: PowerLaw;
  readonly error: number;
}

/** Those of which a law can speak: what cost nothing, as a clock may say of a short training, has no logarithm. */
const withLogarithms = (points: readonly FitPoint[]): FitPoint[] =>
  points.filter(({ resources }) => resources.every((resource) => resource > 0));

/** How many different points there are beyond the numbers of a law through them. */
export function sparePoints(points: readonly FitPoint[]): number {
  const [first, ...others] = withLogarithms(points).map(({ resources }) => resources);
  if (!first) return -1;
  const different = new Set([first, ...others].map((resources) => resources.join(' '))).size;
  return different - (2 * first.length + 1);
}

/**
 * The law that comes closest to the points: Huber's loss of the errors of log L, from several starts. Undefined where
 * fewer different points than numbers were given.
 *
 * @param start A law to start from, in place of those that are tried otherwise.
 */
export function fitPowerLaw(points: readonly FitPoint[], start?: PowerLaw): PowerLaw | undefined {
  if (sparePoints(points) < 0) return undefined;
  const logs = new Logarithms(withLogarithms(points));
  const starts = start ? [logs.numbers(start)] : startsOf(logs);
  const fitted = starts.map((numbers) => fitFrom(logs, numbers));
  return fitted.reduce((best, one) => (one.error < best.error ? one : best)).law;
}

function startsOf(logs: Logarithms): Numbers[] {
  const least = Math.min(...logs.losses);
  const mean = logs.losses.reduce((sum, loss) => sum + loss, 0) / logs.losses.length;
  return SHARES.flatMap((share) =>
    EXPONENTS.map((exponent) => {
      const rest = (Math.exp(mean) - share * Math.exp(least)) / logs.terms;
      const terms = Array.from({ length: logs.terms }, () => [Math.log(rest), exponent]);
      return [...terms.flat(), least + Math.log(share)];
    }),
  );
}

/** Least squares again and again, with less weight for what is far off: the minimum of Huber's loss. */
function fitFrom(logs: Logarithms, start: Numbers): Fitted {
  const places = logs.losses.map((_, i) => i);
  const bound = (term: number, exponent: number): number[] => [
    ...Array.from({ length: logs.terms }, () => [term, exponent]).flat(),
    term,
  ];
  const [minValues, maxValues] = [bound(LEAST_TERM, LEAST_EXPONENT), bound(LARGEST_TERM, LARGEST_EXPONENT)];
  const predicted = (numbers: Numbers) => (i: number) => logSum(logs.parts(numbers, i));
  const errorsOf = (numbers: Numbers): number[] =>
    places.map((i) => Math.abs(logs.losses[i] - predicted(numbers)(i)));
  let numbers = start.map((value, k) => Math.min(maxValues[k], Math.max(minValues[k], value)));
  let errors = errorsOf(numbers);
  for (let round = 0; round < ROUNDS; round++) {
    // The first round knows nothing of the errors yet.
    const weights = errors.map(
      (size) => 1 / (round === 0 ? HUBER : Math.sqrt(HUBER * Math.max(HUBER, size))),
    );
    // Weights are part of what is fitted: of its own weights the library takes the inverse in its steps.
    const weighted = logs.losses.map((loss, i) => weights[i] * loss);
    const model = (at: Numbers) => (i: number) => weights[i] * predicted(at)(i);
    numbers = levenbergMarquardt({ x: places, y: weighted }, model, {
      initialValues: numbers,
      ...{ minValues, maxValues, maxIterations: ITERATIONS },
      ...{ damping: 1e-2, errorTolerance: 1e-12, improvementThreshold: 1e-6 },
      jacobianFunction: (at) => (i) => {
        const parts = logs.parts(at, i);
        const whole = logSum(parts);
        const shares = parts.map((part) => weights[i] * Math.exp(part - whole));
        return [...logs.resources[i].flatMap((x, k) => [shares[k], -x * shares[k]]), shares[logs.terms]];
      },
    }).parameterValues;
    errors = errorsOf(numbers);
  }
  const error = errors.reduce(
    (sum, size) => sum + (size <= HUBER ? size ** 2 / 2 : HUBER * (size - HUBER / 2)),
    0,
  );
  return { law: logs.law(numbers), error };
}
