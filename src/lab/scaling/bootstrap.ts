import { Random } from '../../random.ts';
import { type FitPoint, fitPowerLaw, type PowerLaw, sparePoints } from './fit.ts';

/** A quantity and where it lies in 95 of 100 cases. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A quantity of the cells as they are, and of cells that were drawn from them again and again. */
export interface Sampled<T> {
  readonly value: T;
  readonly samples: readonly T[];
}

const SAMPLES = 200;
const SEED = 20_260;
/** Draws of cells before one is given up from which nothing follows, such as of too few different ones. */
const DRAWS = 50;

/** What chance does to a thing that was measured. */
export interface Chance<P> {
  /** Makes what it does to different quantities different, whose draws are the same. */
  readonly name: string;
  readonly shaken: (point: P, random: Random) => P;
}

const randomOf = (name: string): Random =>
  new Random([...name].reduce((sum, letter) => (31 * sum + letter.charCodeAt(0)) % 2 ** 31, SEED));

/**
 * What follows from some things, and from as many drawn from them with repetition, 200 times; seeded. Undefined where
 * nothing follows from the things themselves.
 *
 * @param name Makes draws of different quantities different.
 * @param chance What is drawn is measured anew by it. Left out: it is what it was.
 */
export function bootstrap<P, T>(
  points: readonly P[],
  name: string,
  follows: (points: readonly P[], whole?: T) => T | undefined,
  chance?: Chance<P>,
): Sampled<T> | undefined {
  const value = follows(points);
  if (value === undefined) return undefined;
  const random = randomOf(name);
  const luck = chance && randomOf(`${name} ${chance.name}`);
  const samples: T[] = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    for (let draw = 0; draw < DRAWS; draw++) {
      const drawn = points.map(() => {
        const point = points[random.integer(points.length)];
        return chance && luck ? chance.shaken(point, luck) : point;
      });
      const found = follows(drawn, value);
      if (found === undefined) continue;
      samples.push(found);
      break;
    }
  }
  return { value, samples };
}

/**
 * The law through points, or through some that were drawn from those of `whole`. The former has to leave a point to spare:
 * what is drawn from as many points as a law has numbers is always the same, and its interval would say nothing.
 */
export const lawThrough = (points: readonly FitPoint[], whole?: PowerLaw): PowerLaw | undefined =>
  whole || sparePoints(points) > 0 ? fitPowerLaw(points, whole) : undefined;

/** A power law through points, with laws through points drawn from them. */
export const bootstrapLaw = (
  points: readonly FitPoint[],
  name: string,
  chance?: Chance<FitPoint>,
): Sampled<PowerLaw> | undefined => bootstrap(points, name, lawThrough, chance);

/** Of fewer values an interval would say nothing. */
const LEAST_VALUES = 3;

/** The mean of values; undefined of fewer than three. */
export const bootstrapMean = (values: readonly number[], name: string): Sampled<number> | undefined =>
  bootstrapMeasured(
    values.map((value) => ({ value, deviation: 0 })),
    name,
    '',
  );

/** A value that another measurement would find elsewhere. */
export interface Measured {
  readonly value: number;
  /** The standard deviation of such measurements. */
  readonly deviation: number;
}

/** The mean of values that chance is in; undefined of fewer than three. */
export const bootstrapMeasured = (
  values: readonly Measured[],
  name: string,
  chanceName: string,
): Sampled<number> | undefined =>
  values.length < LEAST_VALUES
    ? undefined
    : bootstrap(values, name, (drawn) => drawn.reduce((sum, { value }) => sum + value, 0) / drawn.length, {
        name: chanceName,
        shaken: ({ value, deviation }, random) => ({
          value: value + (deviation > 0 ? random.normal(0, deviation) : 0),
          deviation,
        }),
      });

/** A number of what was sampled, with its interval. */
export function estimate<T>({ value, samples }: Sampled<T>, of: (one: T) => number): Estimate {
  const found = samples.map(of).sort((a, b) => a - b);
  return { value: of(value), low: quantile(found, 0.025), high: quantile(found, 0.975) };
}

/** How far a number of one is above that of another, both sampled. */
export function difference<A, B>(
  a: Sampled<A>,
  ofA: (one: A) => number,
  b: Sampled<B>,
  ofB: (one: B) => number,
): Estimate {
  const count = Math.min(a.samples.length, b.samples.length);
  const samples = Array.from({ length: count }, (_, i) => ofA(a.samples[i]) - ofB(b.samples[i]));
  return estimate({ value: ofA(a.value) - ofB(b.value), samples }, (one) => one);
}

/** Whether an interval lies on one side of 0: −1 below, 1 above, 0: it is not decided. */
export const decided = ({ low, high }: Estimate): -1 | 0 | 1 => (high < 0 ? -1 : low > 0 ? 1 : 0);

/** Between the sorted values where it falls. NaN of none. */
function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const [below, above] = [Math.floor(place), Math.ceil(place)];
  if (sorted.length === 0) return Number.NaN;
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}
