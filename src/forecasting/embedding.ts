import { lastValues, type Values } from './tirex_scale.ts';

/** A sample: its variates, of one length. */
export type Variates = readonly Values[];

/** Vectors of every block: [tokens, blocks, D], of the tokens that hold some of the series. */
export interface Hidden {
  readonly tokens: number;
  readonly blocks: number;
  readonly values: Float64Array;
}

/** What the blocks of a network make of the variates of each sample. */
export interface HiddenReader {
  readonly patchSize: number;
  hidden(samples: readonly Variates[]): Promise<Hidden[][]>;
}

/** Of what the blocks made of windows, [windows, L, blocks, D], that without the tokens before each series' beginning. */
export function hiddenOfWindows(
  values: ArrayLike<number>,
  lengths: readonly number[],
  { contextLength, patchSize, blocks }: { contextLength: number; patchSize: number; blocks: number },
): Hidden[] {
  const size = values.length / lengths.length;
  const windowTokens = Math.ceil(contextLength / patchSize);
  return lengths.map((length, i) => {
    const tokens = windowTokens - Math.floor(Math.max(0, contextLength - length) / patchSize);
    const taken = (size / windowTokens) * tokens;
    const from = (i + 1) * size - taken;
    return { tokens, blocks, values: Float64Array.from({ length: taken }, (_, j) => values[from + j]) };
  });
}

/**
 * Vectors of samples, for classification and regression: of each block and variate the mean over the sample's tokens,
 * of length 1, all of them with mean 0 and variance 1. `augmented`: that of the differences, this one, and statistics of
 * eighths of the series, which are standardised over the samples and vanish where there is one.
 */
export async function embeddingsOf(
  reader: HiddenReader,
  samples: readonly Variates[],
  augmented: boolean,
): Promise<Float64Array[]> {
  const plain = await plainEmbeddings(reader, samples);
  if (!augmented) return plain;
  const differences = await plainEmbeddings(
    reader,
    samples.map((variates) => variates.map(differencesOf)),
  );
  const statistics = standardised(samples.map(statisticsOf));
  return samples.map((_, i) => Float64Array.from([...differences[i], ...plain[i], ...statistics[i]]));
}

/** Samples whose blocks' vectors are held at a time: they are hundreds of times as large as an embedding. */
const AT_ONCE = 32;

async function plainEmbeddings(reader: HiddenReader, samples: readonly Variates[]): Promise<Float64Array[]> {
  const vectors: Float64Array[] = [];
  for (let from = 0; from < samples.length; from += AT_ONCE) {
    const some = samples.slice(from, from + AT_ONCE);
    vectors.push(...meansOf(await reader.hidden(some), some, reader.patchSize));
  }
  return vectors;
}

function meansOf(
  all: readonly (readonly Hidden[])[],
  samples: readonly Variates[],
  patchSize: number,
): Float64Array[] {
  return samples.map((variates, i) => {
    const [{ blocks, tokens: some, values: first }] = all[i];
    const dim = first.length / (some * blocks);
    const vector = new Float64Array(blocks * variates.length * dim);
    for (const [v, series] of variates.entries()) {
      const { tokens, values } = all[i][v];
      const taken = Math.min(tokens, Math.ceil(series.length / patchSize));
      for (let block = 0; block < blocks; block++) {
        const part = vector.subarray((block * variates.length + v) * dim).subarray(0, dim);
        for (let t = tokens - taken; t < tokens; t++) {
          for (let d = 0; d < dim; d++) part[d] += values[(t * blocks + block) * dim + d] / taken;
        }
        const length = Math.max(1e-12, Math.sqrt(part.reduce((sum, x) => sum + x * x, 0)));
        for (let d = 0; d < dim; d++) part[d] /= length;
      }
    }
    const { mean, variance } = momentsOf(vector);
    return vector.map((x) => (x - mean) / Math.sqrt(variance + 1e-5));
  });
}

const differencesOf = (series: Values): Float64Array =>
  Float64Array.from({ length: Math.max(0, series.length - 1) }, (_, t) => series[t + 1] - series[t]);

function momentsOf(values: ArrayLike<number>): { mean: number; variance: number } {
  const { length } = values;
  let sum = 0;
  for (let i = 0; i < length; i++) sum += values[i];
  const mean = sum / length;
  let squares = 0;
  for (let i = 0; i < length; i++) squares += (values[i] - mean) ** 2;
  return { mean, variance: squares / length };
}

/** Windows of a statistic. */
const WINDOWS = 8;

/** Mean, deviation, most and least of each window of each variate; in a shorter last one n − 1 divides, and nothing may miss. */
function statisticsOf(variates: Variates): number[] {
  return variates.flatMap((series) => {
    const { length } = series;
    const width = Math.max(1, Math.floor(length / WINDOWS));
    const statistics: number[] = [];
    for (let from = 0; from < length; from += width) {
      const window = Array.from(lastValues(series, length).subarray(from, from + width));
      const isWhole = window.length === width;
      const values = isWhole ? window.filter((value) => !Number.isNaN(value)) : window;
      const { mean, variance } = momentsOf(values);
      const deviation = Math.sqrt(isWhole ? variance : (variance * values.length) / (values.length - 1));
      const isKnown = values.length > 0;
      statistics.push(
        mean,
        deviation,
        isKnown ? Math.max(...values) : Number.NaN,
        isKnown ? Math.min(...values) : Number.NaN,
      );
    }
    return statistics;
  });
}

/** Each statistic over the samples, what is missing 0, and then the statistics of each sample. */
function standardised(samples: readonly (readonly number[])[]): number[][] {
  const features = samples[0]?.length ?? 0;
  const result = samples.map(() => new Array<number>(features).fill(0));
  for (let f = 0; f < features; f++) {
    const known = samples.map((sample) => sample[f]).filter((value) => !Number.isNaN(value));
    const { mean, variance } = momentsOf(known);
    for (const [i, sample] of samples.entries()) {
      const value = (sample[f] - mean) / (Math.sqrt(variance) + 1e-8);
      result[i][f] = Number.isNaN(value) ? 0 : value;
    }
  }
  return result.map((row) => {
    const { mean, variance } = momentsOf(row);
    const deviation = Math.sqrt((variance * row.length) / (row.length - 1));
    return row.map((value) => (value - mean) / (deviation + 1e-8));
  });
}
