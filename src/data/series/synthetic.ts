import type { Random } from '../../random.ts';

/** What synthetic series are made of. */
export const syntheticKinds = [
  'trend',
  'season',
  'noise',
  'jumps',
  'intermittent',
  'autoregressive',
] as const;

/** A kind of synthetic series. */
export type SyntheticKind = (typeof syntheticKinds)[number];

/** Draws a whole number from `least` to `most`. */
const between = (random: Random, least: number, most: number): number =>
  least + random.integer(most - least + 1);

const chance = (random: Random, probability: number): boolean => random.uniform() < probability;

/** Draws between two numbers above 0, each factor between them as likely as any other. */
const logUniform = (random: Random, low: number, high: number): number =>
  low * (high / low) ** random.uniform();

const choose = <T>(random: Random, values: readonly T[]): T => values[random.integer(values.length)];

/** Periods that clocks and calendars give: of quarters, weekdays, days, months, hours, half hours, weeks, ten minutes. */
const PERIODS = [4, 5, 7, 7, 12, 12, 12, 24, 24, 24, 48, 52, 96, 144, 168];

/**
 * A series by chance, of one kind or, left out, of several: what a forecaster is trained on before it sees any real one.
 * Levels and scales are those of nothing in particular. The same state of `random` gives the same series.
 */
export function syntheticSeries(random: Random, length: number, kind?: SyntheticKind): Float64Array {
  const chosen = kind ?? choose(random, MIXTURE);
  const values = MAKERS[chosen](random, length);
  if (kind !== undefined) return values;
  return disguise(random, values);
}

/** Seasons and trends are what most real series have. */
const MIXTURE: readonly SyntheticKind[] = [
  ...['season', 'season', 'season', 'season', 'season'],
  ...['trend', 'trend', 'autoregressive', 'autoregressive', 'autoregressive'],
  ...['jumps', 'noise', 'intermittent'],
] as SyntheticKind[];

const MAKERS: Readonly<Record<SyntheticKind, (random: Random, length: number) => Float64Array>> = {
  trend: (random, length) =>
    sum(trend(random, length, logUniform(random, 0.5, 20)), noise(random, length, 1)),
  season(random, length) {
    const strength = logUniform(random, 0.5, 20);
    const parts = [scaledBy(seasons(random, length), strength), noise(random, length, 1)];
    if (chance(random, 0.5)) parts.push(trend(random, length, logUniform(random, 0.2, 20)));
    if (chance(random, 0.15)) parts.push(jumps(random, length, strength));
    if (chance(random, 0.2)) parts.push(scaledBy(autoregressive(random, length), logUniform(random, 0.2, 2)));
    return sum(...parts);
  },
  noise: (random, length) => noise(random, length, 1),
  jumps: (random, length) => sum(jumps(random, length, logUniform(random, 1, 20)), noise(random, length, 1)),
  intermittent,
  autoregressive(random, length) {
    const parts = [autoregressive(random, length)];
    if (chance(random, 0.3)) parts.push(trend(random, length, logUniform(random, 0.5, 10)));
    if (chance(random, 0.3)) parts.push(scaledBy(seasons(random, length), logUniform(random, 0.3, 3)));
    return sum(...parts);
  },
};

/** Of a level of its own, now and then rounded, without negative values, or growing by factors. */
function disguise(random: Random, values: Float64Array): Float64Array {
  const { mean, deviation } = momentsOf(values);
  const way = random.uniform();
  if (way < 0.12) {
    // What grows by factors: its season and its noise grow with it.
    const factor = random.uniform(0.1, 0.7) / deviation;
    return values.map((value) => Math.exp(Math.max(-8, Math.min(8, (value - mean) * factor))));
  }
  const scaled = values.map((value) => (value - mean) / deviation);
  if (way < 0.2) return scaled.map((value) => Math.max(0, value));
  if (way < 0.28) {
    const step = random.uniform(0.05, 0.8);
    return scaled.map((value) => Math.round(value / step) * step);
  }
  return scaled;
}

function momentsOf(values: Float64Array): { readonly mean: number; readonly deviation: number } {
  const mean = values.reduce((total, value) => total + value, 0) / values.length;
  const squares = values.reduce((total, value) => total + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / values.length) || 1 };
}

function sum(...parts: readonly Float64Array[]): Float64Array {
  return parts[0].map((_, t) => parts.reduce((total, part) => total + part[t], 0));
}

const scaledBy = (values: Float64Array, by: number): Float64Array => values.map((value) => value * by);

/** Straight pieces, one or a few, or a curve that levels off; its ends are about `size` apart. */
function trend(random: Random, length: number, size: number): Float64Array {
  if (chance(random, 0.25)) {
    const middle = random.uniform(0, 1.2) * length;
    const width = random.uniform(0.05, 0.3) * length;
    const sign = chance(random, 0.7) ? 1 : -1;
    return Float64Array.from({ length }, (_, t) => (sign * size) / (1 + Math.exp(-(t - middle) / width)));
  }
  const pieces = chance(random, 0.6) ? 1 : between(random, 2, 5);
  const ends = Array.from({ length: pieces - 1 }, () => random.uniform(0, length)).sort((a, b) => a - b);
  const values = new Float64Array(length);
  let slope = (random.normal() * size) / length;
  let value = 0;
  for (let t = 0; t < length; t++) {
    if (t >= ends[0]) {
      ends.shift();
      slope = (random.normal() * size) / length;
    }
    value += slope;
    values[t] = value;
  }
  return values;
}

/** One period, or a short one within a long one. */
function seasons(random: Random, length: number): Float64Array {
  const period = chance(random, 0.75)
    ? choose(random, PERIODS)
    : Math.round(logUniform(random, 3, Math.min(200, length / 2)));
  const first = season(random, length, period);
  if (!chance(random, 0.35)) return first;
  // Hours of days within days of weeks, and others.
  const longer = period * (period >= 24 && chance(random, 0.7) ? 7 : choose(random, [2, 4, 5, 7, 12]));
  const second = season(random, length, longer);
  const size = logUniform(random, 0.1, 1.5);
  return chance(random, 0.5)
    ? first.map((value, t) => value * (1 + size * second[t]))
    : sum(first, scaledBy(second, size));
}

/** A form of variance 1 that repeats, as a sum of waves, of any shape, or of peaks; its size may change slowly. */
function season(random: Random, length: number, period: number): Float64Array {
  const form = standard(seasonForm(random, period));
  const phase = random.integer(period);
  if (!chance(random, 0.2)) return Float64Array.from({ length }, (_, t) => form[(t + phase) % period]);
  const change = random.uniform(-0.8, 0.8);
  return Float64Array.from({ length }, (_, t) => form[(t + phase) % period] * (1 + (change * t) / length));
}

function seasonForm(random: Random, period: number): Float64Array {
  const way = random.uniform();
  if (way < 0.6 || period < 5) {
    const waves = Math.min(between(random, 1, 6), Math.floor(period / 2));
    const form = new Float64Array(period);
    for (let wave = 1; wave <= waves; wave++) {
      const size = random.normal() / (chance(random, 0.5) ? wave : 1);
      const phase = random.uniform(0, 2 * Math.PI);
      for (let p = 0; p < period; p++) form[p] += size * Math.sin((2 * Math.PI * wave * p) / period + phase);
    }
    return form;
  }
  if (way < 0.8) return Float64Array.from({ length: period }, () => random.normal());
  // High for some of the time, as on workdays, in daylight or at Christmas.
  const high = between(random, 1, period - 1);
  return Float64Array.from({ length: period }, (_, p) => (p < high ? 1 : 0) + random.normal(0, 0.1));
}

function standard(values: Float64Array): Float64Array {
  const { mean, deviation } = momentsOf(values);
  return values.map((value) => (value - mean) / deviation);
}

/** Normal, or now and then with some values far from the others, or louder at times. */
function noise(random: Random, length: number, size: number): Float64Array {
  const rare = chance(random, 0.15) ? random.uniform(0.002, 0.03) : 0;
  const period = chance(random, 0.1) ? random.uniform(20, length) : 0;
  return Float64Array.from({ length }, (_, t) => {
    const loud = period > 0 ? 1 + 0.7 * Math.sin((2 * Math.PI * t) / period) : 1;
    return size * loud * random.normal() * (rare > 0 && chance(random, rare) ? random.uniform(3, 10) : 1);
  });
}

/** Levels that last for a while. */
function jumps(random: Random, length: number, size: number): Float64Array {
  const rate = logUniform(random, 1, 12) / length;
  let level = 0;
  return Float64Array.from({ length }, () => {
    if (chance(random, rate)) level += size * random.normal();
    return level;
  });
}

/** Zeros, and now and then an amount: demand for a spare part. */
function intermittent(random: Random, length: number): Float64Array {
  const rate = random.uniform(0.03, 0.6);
  const size = logUniform(random, 1, 30);
  const period = chance(random, 0.4) ? choose(random, PERIODS) : 0;
  const whole = chance(random, 0.7);
  return Float64Array.from({ length }, (_, t) => {
    const busy = period > 0 ? 1 + 0.9 * Math.sin((2 * Math.PI * t) / period) : 1;
    if (!chance(random, rate * busy)) return 0;
    const amount = size * Math.exp(random.normal(0, 0.5));
    return whole ? Math.ceil(amount) : amount;
  });
}

/** A walk, or what comes back to its mean slowly, or swings. */
function autoregressive(random: Random, length: number): Float64Array {
  const values = new Float64Array(length);
  const way = random.uniform();
  if (way < 0.35) {
    const drift = chance(random, 0.4) ? random.normal(0, 0.15) : 0;
    for (let t = 1; t < length; t++) values[t] = values[t - 1] + drift + random.normal();
    return values;
  }
  if (way < 0.7) {
    const keep = 1 - logUniform(random, 0.005, 0.8);
    for (let t = 1; t < length; t++) values[t] = keep * values[t - 1] + random.normal();
    return values;
  }
  // Two complex roots: swings of about this period that are kicked all the time.
  const period = logUniform(random, 5, 120);
  const radius = 1 - logUniform(random, 0.003, 0.2);
  const first = 2 * radius * Math.cos((2 * Math.PI) / period);
  for (let t = 2; t < length; t++) {
    values[t] = first * values[t - 1] - radius * radius * values[t - 2] + random.normal();
  }
  return values;
}
