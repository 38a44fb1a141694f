import { existsSync } from 'node:fs';
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
import { trainForecaster } from '../../forecasting/training/train_forecaster.ts';
import { formatDuration, formatFixed, formatRate } from '../../format.ts';
import { createModel } from '../../models/create_model.ts';
import { TirexNetwork } from '../../models/tirex/network.ts';
import type { Model } from '../../nn/model.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { printBacktest } from '../forecast_text.ts';
import { interruptible } from '../interrupt.ts';
import { standardOutput } from '../output.ts';
import { integer, path, positive } from '../parse.ts';
import { LiveBlock } from '../ui/live_block.ts';
import { truncate } from '../ui/width.ts';

interface TrainOptions extends EngineChoice {
  readonly target?: string;
  readonly time?: string;
  readonly id?: string;
  readonly timeZone?: string;
  readonly from?: string;
  readonly patch: number;
  readonly context: number;
  readonly dim: number;
  readonly blocks: number;
  readonly steps: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly seed: number;
  readonly out: string;
}

export function forecastTrainCommand(): Command {
  const command = new Command('train')
    .description('train a small forecaster of the TiRex kind, on synthetic series and on your own')
    .argument('[table]', 'series to learn from, beside synthetic ones: CSV, JSON lines or Parquet')
    .option('--target <column>', 'what to forecast (default: the only column of numbers)')
    .option('--time <column>', 'times of the rows (default: the only column of dates)')
    .option('--id <column>', 'tells several series of one table apart')
    .option('--time-zone <name>', 'of times without an offset, such as Europe/Berlin (default: UTC)')
    .option('--from <folder>', 'go on from this forecaster instead of a new one', path)
    .option('--patch <n>', 'values that the model reads and forecasts at once', integer(1, 1024), 64)
    .option('--context <n>', 'values that it looks back on', integer(1, 2 ** 16), 768)
    .option('--dim <n>', 'width of the layers, a multiple of 4', integer(4, 4096), 128)
    .option('--blocks <n>', 'layers', integer(1, 64), 2)
    .option('--steps <n>', 'training steps', integer(1), 2000)
    .option('--batch <n>', 'windows of a step', integer(1), 64)
    .option('--learning-rate <rate>', 'highest learning rate', positive(), 3e-3)
    .option('--seed <n>', 'seed of initial values and windows', integer(0), 1)
    .requiredOption('--out <folder>', 'folder of the model', path)
    .addHelpText(
      'after',
      `
Of every two windows one is of the table, where there is one, and the other synthetic. The last patch of each series, or a fifth of a short one, is
held out: at the end the model forecasts it, beside simple methods.

Examples:
  xlstm forecast train --out models/small
  xlstm forecast train load.csv --target load --from models/small --steps 500 --out models/load`,
    );
  return addEngineOptions(command).action((file: string | undefined, options: TrainOptions) =>
    withEngine(options, (engine) => train(engine, file, options)),
  );
}

async function train(engine: Engine, file: string | undefined, options: TrainOptions): Promise<void> {
  const { out, steps, batch: batchSize, learningRate, seed } = options;
  if (existsSync(out)) {
    throw new XlstmError('data', `${out}: is there already`, 'Name another folder with --out.');
  }
  const series = file === undefined ? [] : (await readSeries(file, options)).series;
  const model = await modelFor(engine, options);
  using forecaster = new Forecaster(model);
  const { patchSize } = model.network.config;
  const own = series.map(({ values }) => values.slice(0, values.length - heldOut(values, patchSize)));
  process.stderr.write(
    `model   ${model.design?.describe().summary}\n` +
      `data    synthetic series${own.length > 0 ? ` and ${own.length} of ${file}` : ''}; into ${out}/\n`,
  );
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
  if (series.length > 0) await measure(forecaster, series, patchSize, out);
  process.stderr.write(`forecast with: npx xlstm forecast TABLE --model ${out}\n`);
}

async function modelFor(engine: Engine, options: TrainOptions): Promise<Model<TirexNetwork>> {
  const { from, patch, context, dim, blocks, seed } = options;
  if (from === undefined) {
    const model = createModel(
      engine,
      {
        architecture: 'tirex',
        ...{ patchSize: patch, contextLength: context, embeddingDim: dim, numBlocks: blocks },
        patchHiddenDim: 3 * dim,
      },
      { seed },
    );
    return model as Model<TirexNetwork>;
  }
  const { model } = await loadCheckpoint(engine, from);
  if (model.network instanceof TirexNetwork) return model as Model<TirexNetwork>;
  throw new XlstmError(
    'checkpoint',
    `--from ${from}: expected a forecaster of the architecture tirex, found ${model.design?.describe().summary}`,
  );
}

/** Values at the end of a series that training does not see. */
const heldOut = ({ length }: Float64Array, patchSize: number): number =>
  Math.min(patchSize, Math.floor(length / 5));

/** What the model forecasts of what was held out; series of one length of it together. */
async function measure(
  forecaster: Forecaster,
  series: readonly TimeSeries[],
  patchSize: number,
  name: string,
): Promise<void> {
  const { levels } = forecaster;
  const horizon = Math.min(...series.map(({ values }) => heldOut(values, patchSize)));
  if (horizon < 1) return;
  const results = await backtest(
    series.map((one) => ({ ...one, season: one.times ? usualSeason(one.times.frequency) : 1 })),
    { [name]: modelMethod(forecaster), 'seasonal-naive': seasonalNaive, ets: exponentialSmoothing },
    { horizon, windows: 1, levels },
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
  end(): void;
} {
  let line = '';
  const losses: number[] = [];
  const block = new LiveBlock((width) => [truncate(line, width)]);
  return {
    show({ step, steps, loss, learningRate, seconds }) {
      losses.push(loss);
      if (losses.length > SMOOTHED) losses.shift();
      const mean = losses.reduce((sum, one) => sum + one, 0) / losses.length;
      line =
        `step ${String(step).padStart(String(steps).length)} / ${steps}   loss ${formatFixed(mean, 4)}   lr ${formatRate(learningRate)}   ` +
        `${formatDuration(seconds)} elapsed   ${formatDuration((seconds / step) * (steps - step))} left`;
      if (block.interactive) block.update();
      else if (step % 100 === 0 || step === steps) block.print(line);
    },
    end: () => block.finish(),
  };
}
