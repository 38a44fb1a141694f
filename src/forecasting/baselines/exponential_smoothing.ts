import type { ForecastHistory, ForecastMethod } from '../forecast_method.ts';
import type { LevelRows } from '../levels.ts';
import { compassSearch } from './compass_search.ts';
import { normalQuantiles } from './normal.ts';

/**
 * Exponential smoothing in its error-correction form with additive errors (Hyndman et al. 2008): a level, with or without
 * a trend, damped or not, with or without an additive season. Of these the one of least corrected AIC; smoothing
 * parameters minimise the squared one-step errors. Bands are normal. A missing value leaves the state as it was expected.
 */
export const exponentialSmoothing: ForecastMethod = (histories, horizon, levels) =>
  histories.map((history) => forecast(history, horizon, levels));

/** Which parts a model has. */
interface Form {
  readonly trend: boolean;
  /** 1: none. */
  readonly season: number;
}

/** α, β and γ in error-correction form: level += α e, trend += β e, season += γ e; φ damps the trend. */
interface Smoothing {
  readonly alpha: number;
  readonly beta: number;
  readonly gamma: number;
  readonly phi: number;
}

interface Fitted {
  readonly form: Form;
  readonly smoothing: Smoothing;
  readonly state: State;
  /** Variance of one-step errors. */
  readonly variance: number;
  readonly criterion: number;
}

interface State {
  level: number;
  trend: number;
  /** By the place of a step within the season, counted from the first value. */
  readonly season: Float64Array;
}

function forecast(
  { values, season }: ForecastHistory,
  horizon: number,
  levels: readonly number[],
): LevelRows {
  const seasons = values.length >= 2 * season && season > 1 ? [1, season] : [1];
  const forms = seasons.flatMap((period) => [false, true].map((trend): Form => ({ trend, season: period })));
  const { form, smoothing, state, variance } = forms
    .map((form) => fitForm(values, form))
    .reduce((best, one) => (one.criterion < best.criterion ? one : best));
  const { alpha, beta, gamma, phi } = smoothing;
  const middle = new Float64Array(horizon);
  const spread = new Float64Array(horizon);
  let damped = 0;
  let power = 1;
  let sum = 1;
  for (let h = 1; h <= horizon; h++) {
    spread[h - 1] = Math.sqrt(variance * sum);
    power *= phi;
    damped += power;
    middle[h - 1] = state.level + damped * state.trend + state.season[(values.length + h - 1) % form.season];
    sum += (alpha + beta * damped + (h % form.season === 0 ? gamma : 0)) ** 2;
  }
  return normalQuantiles(middle, (step) => spread[step - 1], levels);
}

function fitForm(values: Float64Array, form: Form): Fitted {
  const read = ([alpha, beta, gamma, phi]: readonly number[]): Smoothing => ({
    alpha,
    // Shares of what keeps the recursions stable.
    beta: form.trend ? beta * alpha : 0,
    gamma: form.season > 1 ? gamma * (1 - alpha) : 0,
    phi: form.trend ? phi : 1,
  });
  const free = [true, form.trend, form.season > 1, form.trend];
  const { point } = compassSearch((candidate) => run(values, form, read(candidate)).squares, {
    starts: [
      [0.2, 0.1, 0.1, 0.95],
      [0.7, 0.1, 0.1, 0.95],
    ],
    least: [1e-4, 1e-4, 1e-4, 0.8],
    most: [0.9999, 0.9999, 0.9999, 1],
    free,
  });
  const smoothing = read(point);
  const { squares, count, state } = run(values, form, smoothing);
  // Smoothing parameters, initial values and the variance.
  const parameters =
    free.filter(Boolean).length + 1 + (form.trend ? 1 : 0) + (form.season > 1 ? form.season : 0) + 1;
  const room = count - parameters - 1;
  const criterion =
    room > 0
      ? count * Math.log(Math.max(squares / count, 1e-300)) +
        2 * parameters +
        (2 * parameters * (parameters + 1)) / room
      : Number.POSITIVE_INFINITY;
  return { form, smoothing, state, variance: squares / Math.max(1, count), criterion };
}

/** One-step errors over the history, and the state behind it. */
function run(
  values: Float64Array,
  form: Form,
  { alpha, beta, gamma, phi }: Smoothing,
): { readonly squares: number; readonly count: number; readonly state: State } {
  const state = initialState(values, form);
  let squares = 0;
  let count = 0;
  for (let t = 0; t < values.length; t++) {
    const place = t % form.season;
    const trend = phi * state.trend;
    const expected = state.level + trend + state.season[place];
    const error = Number.isNaN(values[t]) ? 0 : values[t] - expected;
    if (!Number.isNaN(values[t])) {
      squares += error * error;
      count++;
    }
    state.level += trend + alpha * error;
    state.trend = trend + beta * error;
    state.season[place] += gamma * error;
  }
  return { squares, count, state };
}

/** Seasons from which the season's form before the first value is taken. */
const FIRST_SEASONS = 3;

function initialState(values: Float64Array, { trend, season }: Form): State {
  const period = Math.max(season, 1);
  if (season === 1) {
    const known = values.filter((value) => !Number.isNaN(value)).slice(0, 10);
    const slope = trend ? slopeOf(known) : 0;
    return {
      level: trend ? meanOf(known) - (slope * (known.length + 1)) / 2 : meanOf(known),
      trend: slope,
      season: new Float64Array(1),
    };
  }
  const seasons = Math.min(FIRST_SEASONS, Math.floor(values.length / period));
  const means = Array.from({ length: seasons }, (_, s) =>
    meanOf(values.subarray(s * period, (s + 1) * period)),
  );
  const slope = trend ? slopeOf(Float64Array.from(means)) / period : 0;
  const form = Float64Array.from({ length: period }, (_, place) => {
    const own = means.map(
      (mean, s) => values[s * period + place] - mean - slope * (place - (period - 1) / 2),
    );
    const known = own.filter((value) => !Number.isNaN(value));
    return known.length > 0 ? meanOf(known) : 0;
  });
  const first = means.find((mean) => !Number.isNaN(mean)) ?? meanOf(values);
  return { level: first - (slope * (period + 1)) / 2, trend: slope, season: form };
}

function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    sum += values[i];
    count++;
  }
  return count > 0 ? sum / count : Number.NaN;
}

/** Of the least-squares line; 0 where there is none. */
function slopeOf(values: ArrayLike<number>): number {
  const mean = meanOf(values);
  const middle = (values.length - 1) / 2;
  let products = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i])) continue;
    products += (i - middle) * (values[i] - mean);
    squares += (i - middle) ** 2;
  }
  return squares > 0 ? products / squares : 0;
}
