import { syntheticSeries } from '../../data/series/synthetic.ts';
import type { RowLayout } from '../../models/tirex2/rows.ts';
import type { Random } from '../../random.ts';
import type { PatchModel } from '../patch_model.ts';
import type { PatchBatch } from '../patch_objective.ts';
import type { SeriesRows } from '../series.ts';
import { writePatches } from '../tirex_scale.ts';
import { differencesOf } from '../tirex2_trend.ts';

/** Where windows come from: values of which the last patch is to be forecast, NaN where one is missing. */
export type WindowSource = (random: Random, length: number) => Float64Array;

/** The same of variates that belong together: rows of one length. */
export type VariateSource = (random: Random, length: number) => SeriesRows;

/** How many variates of each kind belong together. */
export type VariateLayout = Omit<RowLayout, 'series'>;

/** A series by itself. */
export const ONE_VARIATE: VariateLayout = { targets: 1, past: 0, known: 0 };

/** Windows of one variate. */
export const alone =
  (source: WindowSource): VariateSource =>
  (random, length) => ({ targets: [source(random, length)], past: [], known: [] });

/** Windows of synthetic series. */
export const syntheticWindows: WindowSource = (random, length) => syntheticSeries(random, length);

/**
 * Windows of one's own series that end anywhere in them, long series more often, every other one upside down. What is
 * before a series is missing.
 */
export function ownWindows(series: readonly Float64Array[], patchSize: number): WindowSource {
  const place = placesIn(
    series.map(({ length }) => length),
    patchSize,
  );
  return (random, length) => {
    const { index, end } = place(random);
    const window = windowBefore(series[index], end, length);
    return random.uniform() < 0.5 ? window : window.map((value) => -value);
  };
}

/**
 * The same of series of several variates, as they are: upside down, what is 0 or 1 would be something else. What is known ahead is known to the end of a
 * window.
 */
export function ownVariates(series: readonly SeriesRows[], patchSize: number): VariateSource {
  const place = placesIn(
    series.map(({ targets }) => targets[0].length),
    patchSize,
  );
  return (random, length) => {
    const { index, end } = place(random);
    const { targets, past, known } = series[index];
    const [a, b, c] = [targets, past, known].map((rows) => rows.map((row) => windowBefore(row, end, length)));
    return { targets: a, past: b, known: c };
  };
}

/** Where windows end: anywhere in series of these lengths, long ones more often. */
function placesIn(
  lengths: readonly number[],
  patchSize: number,
): (random: Random) => { readonly index: number; readonly end: number } {
  const ends: number[] = [];
  for (const length of lengths) ends.push((ends.at(-1) ?? 0) + length);
  return (random) => {
    const place = random.uniform(0, ends[ends.length - 1]);
    const index = ends.findIndex((end) => place < end);
    // A window that ends within the first patch has nothing to go on.
    const first = Math.min(lengths[index], patchSize + SHORTEST);
    return { index, end: first + random.integer(lengths[index] - first + 1) };
  };
}

/** The values before `end`, missing ones before the first. */
function windowBefore(values: Float64Array, end: number, length: number): Float64Array {
  const window = new Float64Array(length).fill(Number.NaN);
  const taken = Math.min(end, length);
  window.set(values.subarray(end - taken, end), length - taken);
  return window;
}

/** Every other window from one source, the others from the other. */
export const mixedWindows =
  (one: WindowSource, other: WindowSource): WindowSource =>
  (random, length) =>
    (random.uniform() < 0.5 ? one : other)(random, length);

/** Values that a shortened history keeps at least. */
const SHORTEST = 12;
/** Scaled targets beyond it are pulled in: one jump behind a quiet history must not decide a step. */
const MOST_TARGET = 10;

/** How a network reads series. */
export type WindowReader = Pick<PatchModel, 'patchSize' | 'contextLength' | 'scaleOf' | 'hasTrend'>;

/**
 * A batch of windows, scaled, and where they have a trend differenced, as the network will find them. So that forecasts are learned as they
 * will be made, some windows end with patches that are missing, as those that follow the first of a long forecast are, some
 * begin late, and some have values missing in between.
 */
export const windowBatch = (
  random: Random,
  source: WindowSource,
  reader: WindowReader,
  batchSize: number,
): PatchBatch => variateBatch(random, alone(source), reader, ONE_VARIATE, batchSize);

/** The same of so many windows of variates, in the order of RowLayout; covariates that are known ahead are seen to the end. */
export function variateBatch(
  random: Random,
  source: VariateSource,
  reader: WindowReader,
  layout: VariateLayout,
  windows: number,
): PatchBatch {
  const { patchSize, contextLength } = reader;
  const size = Math.ceil(contextLength / patchSize) * patchSize;
  const rows = windows * (layout.targets + layout.past + layout.known);
  const batch = {
    tokens: new Float64Array(rows * 2 * size),
    next: new Float64Array(rows * size),
    counts: new Float64Array(rows * size),
  };
  for (let b = 0; b < windows; b++) {
    const { targets, past, known } = source(random, size + patchSize);
    const all = [...targets, ...past, ...known].map((values) => values.slice(0, size));
    hide(
      random,
      all.slice(0, targets.length + past.length),
      all.slice(targets.length + past.length),
      patchSize,
    );
    for (const [v, seen] of all.entries()) {
      writeRow(batch, v * windows + b, seen, targets[v], reader);
    }
  }
  return batch;
}

/** A row of a batch; `values`, of a target alone, are those that are to be forecast. */
function writeRow(
  { tokens, next, counts }: { tokens: Float64Array; next: Float64Array; counts: Float64Array },
  row: number,
  seen: Float64Array,
  values: Float64Array | undefined,
  { patchSize, scaleOf, hasTrend: isTrend }: WindowReader,
): void {
  const size = seen.length;
  const first = seen.findIndex((value) => !Number.isNaN(value));
  if (first < 0) return;
  const hasTrend = values !== undefined && isTrend(seen.subarray(first));
  if (hasTrend) seen.set(differencesOf(seen.subarray(first)), first);
  const { scaled } = scaleOf(seen);
  writePatches(tokens, row * 2 * size, seen, patchSize, scaled);
  if (!values) return;
  for (let t = Math.floor(first / patchSize) * patchSize; t < size; t++) {
    const at = t + patchSize;
    const target = scaled(hasTrend ? values[at] - values[at - 1] : values[at]);
    if (Number.isNaN(target)) continue;
    next[row * size + t] = Math.max(-MOST_TARGET, Math.min(MOST_TARGET, target));
    counts[row * size + t] = 1;
  }
}

/** Hides ends and values of some rows, and the beginnings of all; of a short series something is left to be seen. */
function hide(
  random: Random,
  some: readonly Float64Array[],
  others: readonly Float64Array[],
  patchSize: number,
): void {
  const [{ length }] = some;
  const patches = length / patchSize;
  if (random.uniform() < 0.5) {
    const first = Math.min(...some.map((values) => values.findIndex((value) => !Number.isNaN(value)) >>> 0));
    const most = Math.max(0, Math.floor((length - first - SHORTEST) / patchSize));
    const missing = Math.min(most, Math.ceil((patches / 2) * random.uniform() ** 2));
    for (const values of some) values.fill(Number.NaN, length - missing * patchSize);
  }
  if (random.uniform() < 0.6) {
    const end = Math.max(...some.map((values) => values.findLastIndex((value) => !Number.isNaN(value)))) + 1;
    const kept = SHORTEST * (Math.max(SHORTEST, end) / SHORTEST) ** random.uniform();
    for (const values of [...some, ...others])
      values.fill(Number.NaN, 0, Math.max(0, end - Math.round(kept)));
  }
  if (random.uniform() < 0.15) {
    const rate = random.uniform(0, 0.4);
    for (const values of some)
      for (let t = 0; t < values.length; t++) if (random.uniform() < rate) values[t] = Number.NaN;
  }
}
