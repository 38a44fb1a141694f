import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { loadCheckpoint, saveCheckpoint } from '../../checkpoints/checkpoint_folder.ts';
import type { Engine } from '../../compute/engines/engine.ts';
import { usualSeason } from '../../data/series/frequency.ts';
import { readSeries } from '../../data/series/read_series.ts';
import type { TimeSeries } from '../../data/series/time_series.ts';
import { XlstmError } from '../../errors.ts';
import { backtest } from '../../forecasting/backtest.ts';
import { exponentialSmoothing } from '../../forecasting/baselines/exponential_smoothing.ts';
import { seasonalNaive } from '../../forecasting/baselines/seasonal_naive.ts';
import { Forecaster } from '../../forecasting/forecaster.ts';
import { modelMethod } from '../../forecasting/model_method.ts';
import { type PatchModel, patchModel } from '../../forecasting/patch_model.ts';
import type { ForecastSeries } from '../../forecasting/series.ts';
import { trainForecaster } from '../../forecasting/training/train_forecaster.ts';
import {
  type HeldOut,
  type HeldOutMeasurement,
  heldOutOf,
  tuneForecaster,
} from '../../forecasting/training/tune_forecaster.ts';
import { formatDuration, formatFixed, formatRate } from '../../format.ts';
import { createModel } from '../../models/create_model.ts';
import type { AdapterOptions } from '../../nn/adapter.ts';
import type { Network } from '../../nn/layer.ts';
import { plainModel } from '../../nn/merge_adapter.ts';
import type { Model } from '../../nn/model.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { printBacktest } from '../forecast_text.ts';
import { interruptible } from '../interrupt.ts';
import { standardOutput } from '../output.ts';
import { integer, loraOptions, path, positive } from '../parse.ts';
import { addSeriesOptions, type SeriesChoice } from '../series_options.ts';
import { LiveBlock } from '../ui/live_block.ts';
import { truncate } from '../ui/width.ts';

interface TrainOptions extends EngineChoice, SeriesChoice {
  readonly from?: string;
  readonly patch: number;
  readonly context: number;
  readonly dim: number;
  readonly blocks: number;
  readonly lora?: AdapterOptions;
  readonly steps?: number;
  readonly batch?: number;
  readonly learningRate?: number;
  readonly seed: number;
  readonly out: string;
}

export function forecastTrainCommand(): Command {
  const command = new Command('train')
    .description('train a small forecaster of the TiRex kind, or fine-tune one on your own series')
    .argument('[table]', 'series to learn from, beside synthetic ones: CSV, JSON lines or Parquet');
  addSeriesOptions(command, {
    past: 'covariates of fine-tuning: known up to the last value',
    known: 'covariates of fine-tuning: known ahead',
  })
    .option(
      '--from <folder>',
      'go on from this forecaster instead of a new one; with a table: fine-tune it',
      path,
    )
    .option(
      '--lora <settings>',
      'fine-tune low-rank adapters, the model stays as it is; rank=8 or rank=8,alpha=16,targets=proj_up',
      loraOptions,
    )
    .option('--patch <n>', 'values that the model reads and forecasts at once', integer(1, 1024), 64)
    .option('--context <n>', 'values that it looks back on', integer(1, 2 ** 16), 768)
    .option('--dim <n>', 'width of the layers, a multiple of 4', integer(4, 4096), 128)
    .option('--blocks <n>', 'layers', integer(1, 64), 2)
    .option('--steps <n>', 'training steps (default: 2000; of fine-tuning at most 500)', integer(1))
    .option('--batch <n>', 'windows of a step (default: 64; of fine-tuning 32)', integer(1))
    .option(
      '--learning-rate <rate>',
      'highest learning rate (default: 3e-3; of fine-tuning 1e-3)',
      positive(),
    )
    .option('--seed <n>', 'seed of initial values and windows', integer(0), 1)
    .requiredOption('--out <folder>', 'folder of the model', path)
    .addHelpText(
      'after',
      `
Of every two windows one is of the table, where there is one, and the other synthetic. The last patch of each series, or a fifth of a short one, is
held out: at the end the model forecasts it, beside simple methods.

Fine-tuning (--from with a table) holds out an eighth of each series at most twice: it ends where forecasts of the first stretch become no better,
and the model of its best step is kept. Where that is no better on the second stretch, the model stays as it was.

Examples:
  xlstm forecast train --out models/small
  xlstm forecast train load.csv --target load --from models/small --out models/load
  xlstm forecast train load.csv --target load --from models/tirex --lora rank=8 --out models/load`,
    );
  return addEngineOptions(command).action((file: string | undefined, options: TrainOptions) =>
    withEngine(options, (engine) => train(engine, file, options)),
  );
}

async function train(engine: Engine, file: string | undefined, options: TrainOptions): Promise<void> {
  const { out, from, lora } = options;
  if (existsSync(out)) {
    throw new XlstmError('data', `${out}: is there already`, 'Name another folder with --out.');
  }
  if (lora && (from === undefined || file === undefined)) {
    throw new XlstmError(
      'usage',
      `--lora: adapters fit a model to a table: expected ${from === undefined ? '--from FOLDER' : 'a table'}, found none`,
      'For example: xlstm forecast train load.csv --from models/tirex --lora rank=8 --out models/load',
    );
  }
  const covariates = [...options.past, ...options.known];
  if (covariates.length > 0 && (from === undefined || file === undefined)) {
    throw new XlstmError(
      'usage',
      `--past, --known: expected none without --from and a table, found ${covariates.join(', ')}`,
      'A new model takes none: fine-tune one that does (TiRex-2).',
    );
  }
  const series = file === undefined ? [] : (await readSeries(file, options)).series;
  const model = from === undefined ? newModel(engine, options) : await givenModel(engine, from, lora);
  using forecaster = new Forecaster(model);
  const { parameters, design } = model;
  const trained = design?.adapter
    ? `; adapters of rank ${design.adapter.rank} beside ${parameters.adapted.length} matrices are trained`
    : '';
  const synthetic = series.length > 0 ? ` and ${series.length} of ${file}` : '';
  process.stderr.write(
    `model   ${design?.describe().summary}${trained}\ndata    synthetic series${synthetic}; into ${out}/\n`,
  );
  const measured =
    from === undefined || series.length === 0
      ? await trainNew(forecaster, series, options)
      : await tune(forecaster, series, options);
  if (series.length > 0 && measured.horizon > 0) await measure(forecaster, series, measured, out);
  process.stderr.write(`forecast with: npx xlstm forecast TABLE --model ${out}\n`);
}

/** On synthetic series, and on all but the ends of those of a table. */
async function trainNew(
  forecaster: Forecaster,
  series: readonly TimeSeries[],
  { out, steps = 2000, batch: batchSize = 64, learningRate = 3e-3, seed }: TrainOptions,
): Promise<HeldOut> {
  const { model } = forecaster;
  const { patchSize } = patchModel(model.network) as PatchModel;
  const own = series.map(({ values }) => values.slice(0, values.length - lastPart(values, patchSize)));
  const progress = stepProgress();
  const made = await interruptible((signal) =>
    trainForecaster(model, {
      ...{ series: own, steps, batchSize, learningRate, seed, signal },
      onStep: progress.show,
    }),
  );
  progress.end();
  await saveCheckpoint(out, { model });
  if (made < steps) process.stderr.write(`stopped after ${made} steps\n`);
  return { horizon: Math.min(...series.map(({ values }) => lastPart(values, patchSize))), windows: 1 };
}

/** Fits a model to the series of a table. */
async function tune(
  forecaster: Forecaster,
  series: readonly TimeSeries[],
  { from, out, steps, batch, learningRate, seed }: TrainOptions,
): Promise<HeldOut> {
  const { model } = forecaster;
  const progress = stepProgress();
  const { isTuned, before, after, ...made } = await interruptible((signal) =>
    tuneForecaster(forecaster, {
      series: windowsOf(series, forecaster.takesCovariates),
      ...{ seed, signal, onStep: progress.show, onMeasure: progress.measured },
      ...(steps !== undefined && { steps }),
      ...(batch !== undefined && { batchSize: batch }),
      ...(learningRate !== undefined && { learningRate }),
    }),
  );
  progress.end();
  await saveCheckpoint(out, { model });
  const [was, is] = [before, after].map((loss) => formatFixed(loss, 4));
  process.stderr.write(
    isTuned
      ? `tuned   quantile loss of what was held out: ${was} before, ${is} after ${made.bestStep} of ${made.steps} steps\n`
      : `kept    ${made.bestStep === 0 ? `none of ${made.steps} steps forecast better` : `after ${made.bestStep} of ${made.steps} steps what was held out is forecast worse: quantile loss ${was} before, ${is} after`}; ${out}/ is ${from} as it was\n`,
  );
  return heldOutOf(
    series.map(({ values }) => values),
    (patchModel(model.network) as PatchModel).patchSize,
  );
}

/** Targets of one id together, where the model takes them so. */
function windowsOf(series: readonly TimeSeries[], together: boolean): ForecastSeries[] {
  const groups = new Map<string | TimeSeries, TimeSeries[]>();
  for (const one of series) {
    const key = together ? one.id : one;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()].map((targets) => ({
    targets: Object.fromEntries(targets.map(({ values }, v) => [v, values])),
    past: targets[0].past,
    known: targets[0].known,
  }));
}

function newModel(engine: Engine, { patch, context, dim, blocks, seed }: TrainOptions): Model<Network> {
  const config = {
    architecture: 'tirex',
    ...{ patchSize: patch, contextLength: context, embeddingDim: dim, numBlocks: blocks },
    patchHiddenDim: 3 * dim,
  };
  return createModel(engine, config, { seed });
}

/** With adapters, or, where its weights are small, as float32: rounded ones cannot be trained. */
async function givenModel(
  engine: Engine,
  from: string,
  lora: AdapterOptions | undefined,
): Promise<Model<Network>> {
  const adapter = lora && {
    adapter: { ...lora, base: resolve(from), source: '--lora' },
    values: { seed: 1 },
  };
  const { model } = await loadCheckpoint(engine, from, { adapter });
  if (!Forecaster.fits(model)) {
    const summary = model.design?.describe().summary;
    model.free();
    throw new XlstmError('checkpoint', `--from ${from}: expected a forecaster, found ${summary}`);
  }
  if (model.design?.packing === undefined || model.design.adapter) return model;
  using packed = model;
  return await plainModel(packed);
}

/** Values at the end of a series that training does not see. */
const lastPart = ({ length }: Float64Array, patchSize: number): number =>
  Math.min(patchSize, Math.floor(length / 5));

/** What the model forecasts of what was held out, beside simple methods. */
async function measure(
  forecaster: Forecaster,
  series: readonly TimeSeries[],
  heldOut: HeldOut,
  name: string,
): Promise<void> {
  const { levels } = forecaster;
  const results = await backtest(
    series.map((one) => ({
      ...one,
      season: one.times ? usualSeason(one.times.frequency) : 1,
      together: one.id,
    })),
    { [name]: modelMethod(forecaster), 'seasonal-naive': seasonalNaive, ets: exponentialSmoothing },
    { ...heldOut, levels },
  );
  printBacktest(standardOutput(), results, name, levels);
}

/** Steps whose mean loss is shown. */
const SMOOTHED = 50;

function stepProgress(): {
  show(step: {
    readonly step: number;
    readonly steps: number;
    readonly loss: number;
    readonly learningRate: number;
    readonly seconds: number;
  }): void;
  measured(of: HeldOutMeasurement): void;
  end(): void;
} {
  let line = '';
  let heldOut = '';
  const losses: number[] = [];
  const block = new LiveBlock((width) => [truncate(line, width)]);
  return {
    show({ step, steps, loss, learningRate, seconds }) {
      losses.push(loss);
      if (losses.length > SMOOTHED) losses.shift();
      const mean = losses.reduce((sum, one) => sum + one, 0) / losses.length;
      line =
        `step ${String(step).padStart(String(steps).length)} / ${steps}   loss ${formatFixed(mean, 4)}${heldOut}   lr ${formatRate(learningRate)}   ` +
        `${formatDuration(seconds)} elapsed   ${formatDuration((seconds / step) * (steps - step))} left`;
      if (block.interactive) block.update();
      else if (step % 100 === 0 || step === steps) block.print(line);
    },
    measured({ loss }) {
      heldOut = `   held out ${formatFixed(loss, 4)}`;
    },
    end: () => block.finish(),
  };
}
