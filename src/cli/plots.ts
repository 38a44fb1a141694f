import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeFileAtomic } from '../checkpoints/files.ts';
import { XlstmError } from '../errors.ts';
import { formatInteger } from '../format.ts';
import type { Band, ChartSpec, Point, Series } from '../lab/charts/line_chart.ts';
import type { Hue, LineStyle } from '../lab/charts/line_style.ts';
import type { SequenceConfig } from '../models/sequence/config.ts';
import { oneLine } from '../quote.ts';
import type { Epoch } from '../sequences/fit.ts';
import { type Prediction, quantileName } from '../sequences/prediction.ts';

/** A prediction and the row that it is about, counted from 1. */
export interface PredictedRow {
  readonly row: number;
  readonly prediction: Prediction;
}

/** Throws where a plot could not be written: before work that takes long. */
export async function requirePlotFolder(path: string, option = '--plot'): Promise<void> {
  const folder = await stat(dirname(path)).catch(() => undefined);
  const found = await stat(path).catch(() => undefined);
  if (folder?.isDirectory() && !found?.isDirectory()) return;
  throw new XlstmError(
    'data',
    found
      ? `${option} ${path}: expected a file or nothing, found a folder`
      : `${option} ${path}: there is no folder ${dirname(path)}`,
    found ? 'Choose another name.' : 'Make the folder first, or check the path.',
  );
}

/** As a page where the name ends in .html, else as SVG. */
export async function writePlot(path: string, title: string, charts: readonly ChartSpec[]): Promise<void> {
  const name = oneLine(title, MOST_TITLE);
  if (/\.html$/i.test(path)) {
    const { htmlFile } = await import('../lab/charts/html_file.ts');
    return writeFileAtomic(path, htmlFile(name, charts));
  }
  const { svgFile } = await import('../lab/charts/svg_file.ts');
  return writeFileAtomic(path, svgFile(name, charts));
}

/** Letters of a title, and of a name in a legend or along an axis, for which there is room. */
const MOST_TITLE = 80;
const MOST_NAME = 36;

const SIZE = { width: 860, plotHeight: 260 };
const look = (hue: Hue, dash: LineStyle['dash'] = 'solid'): LineStyle => ({ hue, dash, marker: 'circle' });

/** All digits that neighbours differ by, in the room that there is beside the axis. */
export function formatTick(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) {
    return Number(value.toPrecision(6)).toExponential().replace('e+', 'e');
  }
  return String(Number(value.toPrecision(9)));
}

/** A chart for each output: what was, where that is known, what was predicted, and the quantiles around it. */
export function predictionCharts(
  config: SequenceConfig,
  predicted: readonly PredictedRow[],
  truth: (output: number) => readonly Point[],
): ChartSpec[] {
  if (config.classes.length > 0) return [probabilityChart(config, predicted)];
  return Array.from({ length: config.outputs }, (_, o): ChartSpec => {
    const name = oneLine(config.outputNames[o] ?? `output ${o + 1}`, MOST_NAME);
    const known = truth(o);
    const was: Series[] =
      known.length > 0 ? [{ name: 'as it was', style: look('ink'), points: thin(known) }] : [];
    const points = predicted.map(({ row, prediction }) => ({ x: row, y: prediction.values[o] }));
    const middle = middleQuantile(config, predicted, o);
    return {
      title: name,
      ...rowsAxis(predicted),
      y: { label: name, format: formatTick },
      series: [...was, { name: `predicted${middle}`, style: look('blue'), points: thin(points) }],
      bands: quantileBands(config, predicted, o),
    };
  });
}

/** The quantile that stands for the prediction, as the legend calls it. */
function middleQuantile(
  { quantiles }: SequenceConfig,
  predicted: readonly PredictedRow[],
  o: number,
): string {
  const first = predicted[0]?.prediction;
  const at = quantiles.length > 0 && first ? first.quantiles[o].indexOf(first.values[o]) : -1;
  return at < 0 ? '' : `, ${quantileName(quantiles[at])}`;
}

/** From the lowest to the highest quantile, and within it from the next to the last but one. */
const quantileBands = (
  { quantiles }: SequenceConfig,
  predicted: readonly PredictedRow[],
  o: number,
): Band[] =>
  Array.from({ length: Math.floor(quantiles.length / 2) }, (_, i) => {
    const [from, to] = [i, quantiles.length - 1 - i];
    return {
      name: `${quantileName(quantiles[from])} to ${quantileName(quantiles[to])}`,
      hue: 'blue' as const,
      points: thinBand(
        predicted.map(({ row, prediction }) => ({
          x: row,
          low: prediction.quantiles[o][from],
          high: prediction.quantiles[o][to],
        })),
      ),
    };
  });

const HUES: readonly Hue[] = ['blue', 'vermilion', 'green', 'purple', 'gold', 'sky', 'brown', 'ink'];
const DASHES: readonly LineStyle['dash'][] = ['solid', 'dashed', 'dotted', 'dashdot'];

function probabilityChart(config: SequenceConfig, predicted: readonly PredictedRow[]): ChartSpec {
  const { classes, outputNames } = config;
  return {
    title: `probability of ${oneLine(outputNames[0] ?? 'each label', MOST_NAME)}`,
    ...rowsAxis(predicted),
    y: { label: 'probability', domain: [0, 1], format: String },
    series: classes.map((name, c) => ({
      name: oneLine(name, MOST_NAME),
      style: look(HUES[c % HUES.length], DASHES[Math.floor(c / HUES.length) % DASHES.length]),
      points: thin(predicted.map(({ row, prediction }) => ({ x: row, y: prediction.probabilities[name] }))),
    })),
  };
}

/** The losses of training and of what is held out, epoch by epoch. */
export function lossChart(epochs: readonly Epoch[]): ChartSpec {
  const of = (loss: (epoch: Epoch) => number | undefined): Point[] =>
    epochs.map((epoch) => ({ x: epoch.epoch, y: loss(epoch) ?? Number.NaN }));
  const all = [...of(({ loss }) => loss), ...of(({ validationLoss }) => validationLoss)].map(({ y }) => y);
  return {
    title: 'loss',
    x: { label: 'epoch', ticks: wholeTicks(epochs.length), format: String },
    // Losses that fall by a power of ten are told apart on a logarithmic axis alone.
    y: {
      label: 'loss',
      log: Math.min(...all) > 0 && Math.max(...all) > 10 * Math.min(...all),
      format: formatTick,
    },
    series: [
      { name: 'training', style: look('vermilion'), points: of(({ loss }) => loss) },
      { name: 'held out', style: look('blue'), points: of(({ validationLoss }) => validationLoss) },
    ],
    markers: epochs.length <= 30,
    size: SIZE,
    legend: true,
  };
}

function wholeTicks(last: number): number[] {
  const step =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((by) => last / by <= 12) ?? Math.ceil(last / 12);
  return [1, ...Array.from({ length: Math.floor(last / step) }, (_, i) => (i + 1) * step)].filter(
    (tick, i, ticks) => ticks.indexOf(tick) === i,
  );
}

const rowsAxis = (
  predicted: readonly PredictedRow[],
): Pick<ChartSpec, 'x' | 'markers' | 'size' | 'legend'> => ({
  x: { label: 'row', format: formatInteger },
  markers: predicted.length <= 40,
  size: SIZE,
  legend: true,
});

/** More points than pixels say nothing more. */
const MOST_BUCKETS = 800;

/** Of neighbours the least and the greatest, in their order: what sticks out stays. */
function thin(points: readonly Point[]): readonly Point[] {
  if (points.length <= 2 * MOST_BUCKETS) return points;
  return buckets(points).flatMap((bucket) => {
    const finite = bucket.filter(({ y }) => Number.isFinite(y));
    if (finite.length === 0) return bucket.slice(0, 1);
    const low = finite.reduce((least, point) => (point.y < least.y ? point : least));
    const high = finite.reduce((most, point) => (point.y > most.y ? point : most));
    return low === high ? [low] : low.x < high.x ? [low, high] : [high, low];
  });
}

function thinBand(points: Band['points']): Band['points'] {
  if (points.length <= 2 * MOST_BUCKETS) return points;
  return buckets(points).map((bucket) => ({
    x: bucket[bucket.length >> 1].x,
    low: Math.min(...bucket.map(({ low }) => low)),
    high: Math.max(...bucket.map(({ high }) => high)),
  }));
}

const buckets = <T>(points: readonly T[]): T[][] =>
  Array.from({ length: MOST_BUCKETS }, (_, i) =>
    points.slice(
      Math.floor((i * points.length) / MOST_BUCKETS),
      Math.floor(((i + 1) * points.length) / MOST_BUCKETS),
    ),
  );
