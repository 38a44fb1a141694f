import type { Tirex2Config } from '../models/tirex2/config.ts';
import { type RowLayout, variatesOf } from '../models/tirex2/rows.ts';
import { type Hidden, hiddenOfWindows, type Variates } from './embedding.ts';
import type { LevelRows } from './levels.ts';
import { runSizes } from './network_forecaster.ts';
import type { SeriesRows } from './series.ts';
import { lastValues, writePatches } from './tirex_scale.ts';
import type { Tirex2NetworkRunner } from './tirex2_network_runner.ts';
import { type RowScale, rowScale } from './tirex2_scale.ts';

/** Rows that one run takes, unless a series alone has more. */
const ROWS = 32;

/** Series as the network reads them: rows of the same length, the steps of the horizon and of a patch begun at their ends. */
interface Window {
  readonly targets: readonly Float64Array[];
  readonly past: readonly Float64Array[];
  readonly known: readonly Float64Array[];
}

/** A pass over series. */
export interface Tirex2Pass {
  readonly horizon: number;
  /** Whether rows shorter than the context are filled up: then a forecast does not depend on the other series. */
  readonly padContext: boolean;
}

/**
 * What the network says of the targets of series, in their units: of each series and target a row of steps for each
 * level. Series of as many variates run together.
 */
export async function runPass(
  runner: Tirex2NetworkRunner,
  series: readonly SeriesRows[],
  { horizon, padContext }: Tirex2Pass,
): Promise<LevelRows[][]> {
  const { config } = runner;
  const { patchSize, futureLength } = config;
  const future = Math.max(futureLength, Math.ceil(horizon / patchSize) * patchSize);
  const longest = series.reduce((most, { targets }) => Math.max(most, targets[0].length), 0);
  const context = padContext ? config.contextLength : Math.min(config.contextLength, longest);
  const windows = series.map((each) => windowOf(each, context, future, patchSize));
  return inBatches(windows, (chosen) => runTogether(runner, chosen, horizon, future));
}

/** What the blocks make of the variates of samples, those of a sample read together. */
export async function hiddenOf(
  runner: Tirex2NetworkRunner,
  samples: readonly Variates[],
): Promise<Hidden[][]> {
  const { config } = runner;
  const { contextLength, patchSize } = config;
  const windows = samples.map((variates) => {
    const targets = variates.map((values) => lastValues(values, values.length));
    return windowOf({ targets, past: [], known: [] }, contextLength, 0, patchSize);
  });
  const all = await inBatches(windows, async (chosen) => {
    const layout = { series: chosen.length, targets: chosen[0].targets.length, past: 0, known: 0 };
    const length = chosen[0].targets[0].length / patchSize;
    const { tokens } = tokensOf(chosen, layout, length, config);
    const values = await runner.hidden(tokens, { layout, length });
    const size = values.length / (layout.series * layout.targets);
    return chosen.map((_, b) =>
      Array.from({ length: layout.targets }, (_, v) => {
        const from = (v * layout.series + b) * size;
        return Float64Array.from({ length: size }, (_, i) => values[from + i]);
      }),
    );
  });
  return all.map((variates, i) =>
    variates.flatMap((values, v) =>
      hiddenOfWindows(values, [samples[i][v].length], {
        contextLength,
        patchSize,
        blocks: config.blocks.length,
      }),
    ),
  );
}

/** A result for each window, those of as many variates of each kind in batches. */
async function inBatches<T>(
  windows: readonly Window[],
  run: (chosen: readonly Window[]) => Promise<T[]>,
): Promise<T[]> {
  const groups = new Map<string, number[]>();
  for (const [i, { targets, past, known }] of windows.entries()) {
    const key = [targets.length, past.length, known.length].join();
    groups.set(key, [...(groups.get(key) ?? []), i]);
  }
  const results: T[] = [];
  for (const members of groups.values()) {
    const { targets, past, known } = windows[members[0]];
    const variates = targets.length + past.length + known.length;
    const most = 2 ** Math.max(0, Math.floor(Math.log2(ROWS / variates)));
    let from = 0;
    for (const count of runSizes(members.length, most)) {
      const chosen = members.slice(from, from + count);
      from += count;
      const found = await run(chosen.map((i) => windows[i]));
      for (const [n, i] of chosen.entries()) results[i] = found[n];
    }
  }
  return results;
}

/** Covariates of which nothing is known ahead are those of the past. */
function windowOf(
  { targets, past, known }: SeriesRows,
  context: number,
  future: number,
  patchSize: number,
): Window {
  const length = targets[0].length;
  const width = Math.ceil((context + future) / patchSize) * patchSize;
  const row = (values: Float64Array): Float64Array => {
    const window = new Float64Array(width).fill(Number.NaN);
    const start = width - future - length;
    for (let t = Math.max(0, length - context); t < values.length; t++) window[start + t] = values[t];
    return window;
  };
  const isKnown = (values: Float64Array): boolean =>
    values.subarray(length).some((value) => !Number.isNaN(value));
  return {
    targets: targets.map(row),
    past: [...past, ...known.filter((values) => !isKnown(values))].map(row),
    known: known.filter(isKnown).map(row),
  };
}

async function runTogether(
  runner: Tirex2NetworkRunner,
  windows: readonly Window[],
  horizon: number,
  future: number,
): Promise<LevelRows[][]> {
  const { config } = runner;
  const { patchSize } = config;
  const [{ targets, past, known }] = windows;
  const layout: RowLayout = {
    series: windows.length,
    targets: targets.length,
    past: past.length,
    known: known.length,
  };
  const contextTokens = (targets[0].length - future) / patchSize;
  const patches = Math.ceil(horizon / patchSize);
  // Of tokens of the future only what is known reads all of them, from the end; the last one forecasts beyond them.
  const length = contextTokens + (known.length > 0 ? future / patchSize : patches - 1);
  const { tokens, scales } = tokensOf(windows, layout, length, config);
  const first = contextTokens - 1;
  const values = await runner.run(tokens, { layout, length, first, patches });
  return windows.map((_, b) =>
    targets.map((_, v) => {
      const row = v * layout.series + b;
      return levelRows(values, row, patches, horizon, config, scales[row]);
    }),
  );
}

/** Of the scales those of the targets. */
function tokensOf(
  windows: readonly Window[],
  layout: RowLayout,
  length: number,
  config: Tirex2Config,
): { tokens: Float64Array; scales: readonly RowScale[] } {
  const { patchSize } = config;
  const size = 2 * patchSize * length;
  const tokens = new Float64Array(layout.series * variatesOf(layout) * size);
  const scales: RowScale[] = [];
  for (const [b, { targets, past, known }] of windows.entries()) {
    for (const [v, values] of [...targets, ...past, ...known].entries()) {
      const row = v * layout.series + b;
      const scale = rowScale(values, config);
      writePatches(tokens, row * size, values.subarray(0, length * patchSize), patchSize, scale.scaled);
      scales[row] = scale;
    }
  }
  return { tokens, scales };
}

function levelRows(
  values: ArrayLike<number>,
  row: number,
  patches: number,
  horizon: number,
  { quantiles, patchSize }: Tirex2Config,
  { restored }: RowScale,
): LevelRows {
  return quantiles.map((_, q) =>
    Float64Array.from({ length: horizon }, (_, h) => {
      const patch = row * patches + Math.floor(h / patchSize);
      return restored(values[(patch * quantiles.length + q) * patchSize + (h % patchSize)]);
    }),
  );
}
