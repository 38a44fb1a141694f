import { syntheticSeries } from '../../data/series/synthetic.ts';
import type { Random } from '../../random.ts';
import type { PatchModel } from '../patch_model.ts';
import type { PatchBatch } from '../patch_objective.ts';
import { writePatches } from '../tirex_scale.ts';
import { differencesOf } from '../tirex2_trend.ts';

/** Where windows come from: values of which the last patch is to be forecast, NaN where one is missing. */
export type WindowSource = (random: Random, length: number) => Float64Array;

/** Windows of synthetic series. */
export const syntheticWindows: WindowSource = (random, length) => syntheticSeries(random, length);

/**
 * Windows of one's own series that end anywhere in them, long series more often, every other one upside down. What is
 * before a series is missing.
 */
export function ownWindows(series: readonly Float64Array[], patchSize: number): WindowSource {
  const ends: number[] = [];
  for (const { length } of series) ends.push((ends.at(-1) ?? 0) + length);
  return (random, length) => {
    const place = random.uniform(0, ends[ends.length - 1]);
    const values = series[ends.findIndex((end) => place < end)];
    // A window that ends within the first patch has nothing to go on.
    const first = Math.min(values.length, patchSize + SHORTEST);
    const end = first + random.integer(values.length - first + 1);
    const window = new Float64Array(length).fill(Number.NaN);
    const taken = Math.min(end, length);
    window.set(values.subarray(end - taken, end), length - taken);
    return random.uniform() < 0.5 ? window : window.map((value) => -value);
  };
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
export function windowBatch(
  random: Random,
  source: WindowSource,
  reader: WindowReader,
  batchSize: number,
): PatchBatch {
  const { patchSize, contextLength } = reader;
  const length = Math.ceil(contextLength / patchSize);
  const size = length * patchSize;
  const tokens = new Float64Array(batchSize * 2 * size);
  const next = new Float64Array(batchSize * size);
  const counts = new Float64Array(batchSize * size);
  for (let b = 0; b < batchSize; b++) {
    const values = source(random, size + patchSize);
    const seen = hide(random, values.slice(0, size), patchSize);
    const first = seen.findIndex((value) => !Number.isNaN(value));
    if (first < 0) continue;
    const hasTrend = reader.hasTrend(seen.subarray(first));
    if (hasTrend) seen.set(differencesOf(seen.subarray(first)), first);
    const { scaled } = reader.scaleOf(seen);
    writePatches(tokens, b * 2 * size, seen, patchSize, scaled);
    for (let t = Math.floor(first / patchSize) * patchSize; t < size; t++) {
      const at = t + patchSize;
      const target = scaled(hasTrend ? values[at] - values[at - 1] : values[at]);
      if (Number.isNaN(target)) continue;
      next[b * size + t] = Math.max(-MOST_TARGET, Math.min(MOST_TARGET, target));
      counts[b * size + t] = 1;
    }
  }
  return { tokens, next, counts };
}

function hide(random: Random, values: Float64Array, patchSize: number): Float64Array {
  const patches = values.length / patchSize;
  if (random.uniform() < 0.5) {
    const missing = Math.ceil((patches / 2) * random.uniform() ** 2);
    values.fill(Number.NaN, values.length - missing * patchSize);
  }
  if (random.uniform() < 0.6) {
    const end = values.findLastIndex((value) => !Number.isNaN(value)) + 1;
    const kept = SHORTEST * (Math.max(SHORTEST, end) / SHORTEST) ** random.uniform();
    values.fill(Number.NaN, 0, Math.max(0, end - Math.round(kept)));
  }
  if (random.uniform() < 0.15) {
    const rate = random.uniform(0, 0.4);
    for (let t = 0; t < values.length; t++) if (random.uniform() < rate) values[t] = Number.NaN;
  }
  return values;
}
