import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { saveCheckpoint } from '../../checkpoints/checkpoint_folder.ts';
import {
  columnOf,
  labelsOf,
  type MissingPolicy,
  numbersOf,
  numericColumns,
  type Table,
} from '../../data/table.ts';
import { readTable } from '../../data/table_file.ts';
import { XlstmError } from '../../errors.ts';
import { formatDuration, formatFixed, formatInteger, formatRate, formatSignificant } from '../../format.ts';
import type { SequenceExample } from '../../sequences/examples.ts';
import type { Epoch } from '../../sequences/fit.ts';
import type { Prediction } from '../../sequences/prediction.ts';
import { SequenceModel } from '../../sequences/sequence_model.ts';
import { windows } from '../../sequences/windows.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { interruptible } from '../interrupt.ts';
import { standardOutput } from '../output.ts';
import { integer, nameList, number, path, plotPath, positive } from '../parse.ts';
import { lossChart, predictionCharts, requirePlotFolder, writePlot } from '../plots.ts';
import { LiveBlock } from '../ui/live_block.ts';
import { renderTable } from '../ui/table.ts';
import { truncate } from '../ui/width.ts';

interface FitCommandOptions extends EngineChoice {
  readonly target: readonly string[];
  readonly inputs?: readonly string[];
  readonly horizon?: number;
  readonly window: number;
  readonly stride?: number;
  readonly quantiles?: readonly string[];
  readonly blocks: string;
  readonly depth: number;
  readonly dim: number;
  readonly heads: number;
  readonly epochs: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly patience: number;
  readonly validationShare: number;
  readonly missing: MissingPolicy;
  readonly seed: number;
  readonly out?: string;
  readonly plot?: string;
  readonly json?: boolean;
}

export function fitCommand(): Command {
  const command = new Command('fit')
    .description('train a model on a table: what a column is, or will be, from the rows so far')
    .argument('<table>', 'rows in the order of time: CSV with names of columns, or JSON lines (.jsonl)')
    .requiredOption('--target <columns>', 'what to predict: numbers, or one column of labels', nameList)
    .option('--inputs <columns>', 'what is known (default: every column of numbers)', nameList)
    .option('--horizon <n>', 'rows ahead (default: 1 for numbers, 0 for labels)', integer(0))
    .option('--window <n>', 'rows of a training sequence', integer(1), 96)
    .option('--stride <n>', 'rows from one to the next (default: half a window)', integer(1))
    .option('--quantiles <list>', 'predict these quantiles, such as 0.1,0.5,0.9', nameList)
    .option('--blocks <name>', 'xLSTM[m:s], lstm, gru, transformer, mamba, …', 'xLSTM[1:1]')
    .option('--depth <n>', 'layers', integer(1), 2)
    .option('--dim <n>', 'width of the layers', integer(1), 64)
    .option('--heads <n>', 'heads of layers that have some', integer(1), 4)
    .option('--epochs <n>', 'passes over the rows, at most', integer(1), 30)
    .option('--batch <n>', 'sequences of a step', integer(1), 16)
    .option('--learning-rate <rate>', 'highest learning rate', positive(), 3e-3)
    .option('--patience <n>', 'epochs without progress after which training ends', integer(1), 8)
    .option(
      '--validation-share <f>',
      'share of the rows, the last ones, that are held out',
      number(0.01, 0.5),
      0.1,
    )
    .addOption(
      new Option('--missing <how>', 'an empty cell is an error, or takes the value of the row before')
        .choices(['refuse', 'previous'])
        .default('refuse'),
    )
    .option('--seed <n>', 'seed of initial values and order', integer(0), 1)
    .option('--out <folder>', 'folder of the model (default: a new one under runs/)', path)
    .option('--plot <file>', 'draw the held-out rows as predicted and as they were, and the losses', plotPath)
    .option('--json', 'print the result as one JSON object on standard output')
    .addHelpText(
      'after',
      `
Examples:
  xlstm fit weather.csv --target temperature --horizon 1
  xlstm fit power.csv --target load --inputs load,hour,weekday --horizon 24 --quantiles 0.1,0.5,0.9
  xlstm fit sensors.csv --target activity --inputs x,y,z`,
    );
  return addEngineOptions(command).action((file: string, options: FitCommandOptions) =>
    withEngine(options, async (engine) => {
      const folder = options.out ?? freeFolder(file);
      if (existsSync(folder)) {
        throw new XlstmError('data', `${folder}: is there already`, 'Name another folder with --out.');
      }
      if (options.plot !== undefined) await requirePlotFolder(options.plot);
      const data = prepare(await readTable(file), options);
      using model = await SequenceModel.create({ engine, seed: options.seed, ...data.shape });
      process.stderr.write(
        `model   ${formatInteger(model.parameterCount)} parameters: ${model.model.design?.describe().summary}\n` +
          `data    ${formatInteger(data.rows)} rows, the last ${formatInteger(data.heldOut)} held out; into ${folder}/\n`,
      );
      const { epochs, batch: batchSize, learningRate, patience, seed } = options;
      const progress = epochProgress();
      const made: Epoch[] = [];
      const result = await interruptible((signal) =>
        model.fit(data.train, {
          ...{ epochs, batchSize, learningRate, patience, seed, signal },
          validation: data.validation,
          onEpoch: (epoch) => {
            made.push(epoch);
            progress.show(epoch);
          },
        }),
      ).catch(async (error: unknown) => {
        if (!(error instanceof DOMException && error.name === 'AbortError')) throw error;
        return undefined;
      });
      progress.end();
      await saveCheckpoint(folder, { model: model.model });
      if (options.plot !== undefined) await plot(options.plot, model, data, made, file);
      if (!result) {
        process.stderr.write(`stopped; the model of the best epoch so far is in ${folder}/\n`);
        return;
      }
      await report(model, data, folder, result.epochs.at(-1)?.seconds ?? 0, options.json === true);
    }),
  );
}

interface Prepared {
  readonly shape: Parameters<typeof SequenceModel.create>[0];
  readonly train: readonly SequenceExample[];
  /** Windows whose second half is held out; the first half is what the model may know. */
  readonly validation: readonly SequenceExample[];
  readonly rows: number;
  readonly heldOut: number;
}

function prepare(table: Table, options: FitCommandOptions): Prepared {
  const { target: outputNames, window, missing, validationShare } = options;
  for (const name of [...outputNames, ...(options.inputs ?? [])]) columnOf(table, name);
  const numeric = numericColumns(table);
  const labels = !numeric.includes(outputNames[0]);
  if (labels && outputNames.length > 1) {
    throw new XlstmError('usage', `--target: expected one column of labels, found ${outputNames.join(', ')}`);
  }
  const inputNames = options.inputs ?? numeric;
  const columns = inputNames.map((name) => numbersOf(table, name, missing));
  const rows = table.rows.length;
  const inputs = Array.from({ length: rows }, (_, r) => columns.map((column) => column[r]));
  const targets = labels
    ? labelsOf(table, outputNames[0])
    : rowsOf(outputNames.map((name) => numbersOf(table, name, missing)));
  const horizon = options.horizon ?? (labels ? 0 : 1);
  const heldOut = Math.max(1, Math.round(rows * validationShare));
  const stride = options.stride ?? Math.max(1, Math.floor(window / 2));
  const split = rows - heldOut;
  const train = windows(
    { inputs: inputs.slice(0, split), targets: targets.slice(0, split) },
    { length: window, stride, horizon },
  );
  const quantiles = (options.quantiles ?? []).map(Number);
  const { blocks, depth, dim, heads } = options;
  return {
    shape: {
      inputs: inputNames.length,
      ...(labels
        ? { classes: [...new Set(targets as string[])].sort() }
        : { outputs: outputNames.length, quantiles }),
      ...{ inputNames, outputNames, horizon, blocks, depth, dim, heads },
    },
    train,
    validation: heldOutWindows(inputs, targets, { split, window, horizon }),
    rows,
    heldOut,
  };
}

const rowsOf = (columns: readonly Float64Array[]): number[][] =>
  Array.from(columns[0], (_, r) => columns.map((column) => column[r]));

function heldOutWindows(
  inputs: readonly number[][],
  targets: readonly (number[] | string)[],
  { split, window, horizon }: { readonly split: number; readonly window: number; readonly horizon: number },
): SequenceExample[] {
  const known = Math.floor(window / 2);
  const found: SequenceExample[] = [];
  const last = inputs.length - horizon;
  for (let first = Math.max(0, split - horizon); first < last; first += window - known) {
    const start = Math.max(0, first - known);
    const end = Math.min(last, first + window - known);
    const at = Array.from({ length: end - start }, (_, i) => start + i);
    found.push({
      inputs: at.map((t) => inputs[t]),
      targets: at.map((t) => (t < first ? null : targets[t + horizon])),
    });
  }
  return found;
}

function epochProgress(): { show(epoch: Epoch): void; end(): void } {
  let line = '';
  const block = new LiveBlock((width) => [truncate(line, width)]);
  return {
    show({ epoch, epochs, loss, validationLoss, learningRate, seconds }) {
      const left = (seconds / epoch) * (epochs - epoch);
      line =
        `epoch ${String(epoch).padStart(String(epochs).length)} / ${epochs}   loss ${formatFixed(loss, 4)}   ` +
        `held out ${formatFixed(validationLoss ?? Number.NaN, 4)}   lr ${formatRate(learningRate)}   ` +
        `${formatDuration(seconds)} elapsed   ${formatDuration(left)} left`;
      if (block.interactive) block.update();
      else block.print(line);
    },
    end: () => block.finish(),
  };
}

interface HeldOutRow {
  /** Counted from 1. */
  readonly row: number;
  readonly target: number[] | string;
  readonly predicted: Prediction;
  readonly inputs: number[];
}

async function predictHeldOut(model: SequenceModel, { validation, rows }: Prepared): Promise<HeldOutRow[]> {
  const predictions = await model.predictAll(validation.map(({ inputs }) => inputs));
  const targets = validation.flatMap(({ inputs, targets }, w) =>
    (targets as (number[] | string | null)[]).flatMap((target, t) =>
      target === null ? [] : [{ target, predicted: predictions[w][t], inputs: (inputs as number[][])[t] }],
    ),
  );
  // They follow each other up to the last row.
  return targets.map((one, i) => ({ ...one, row: rows - targets.length + i + 1 }));
}

async function plot(
  path: string,
  model: SequenceModel,
  data: Prepared,
  epochs: readonly Epoch[],
  file: string,
): Promise<void> {
  const heldOut = await predictHeldOut(model, data);
  const predicted = heldOut.map(({ row, predicted: prediction }) => ({ row, prediction }));
  const charts = predictionCharts(model.config, predicted, (output) =>
    heldOut.map(({ row, target }) => ({ x: row, y: (target as number[])[output] })),
  );
  await writePlot(path, `${file}: held-out rows`, [
    ...charts,
    ...(epochs.length > 0 ? [lossChart(epochs)] : []),
  ]);
  process.stderr.write(`drawn in ${path}\n`);
}

/** How far the model is from held-out rows, beside the simplest that anybody would try. */
async function report(
  model: SequenceModel,
  data: Prepared,
  folder: string,
  seconds: number,
  asJson: boolean,
): Promise<void> {
  const pairs = await predictHeldOut(model, data);
  const { outputNames, inputNames, classes } = model.config;
  const output = standardOutput();
  if (classes.length > 0) {
    const right = pairs.filter(({ target, predicted }) => predicted.label === target).length / pairs.length;
    const counts = classes.map((name) => pairs.filter(({ target }) => target === name).length);
    const commonest = Math.max(...counts) / pairs.length;
    if (asJson) return output.json({ folder, seconds, rows: pairs.length, accuracy: right, commonest });
    output.line(
      `held-out rows labelled right: ${(100 * right).toFixed(1)} % of ${formatInteger(pairs.length)} (the commonest label: ${(100 * commonest).toFixed(1)} %)`,
    );
  } else {
    const measured = outputNames.map((name, o) => {
      const errors = pairs.map(({ target, predicted }) => predicted.values[o] - (target as number[])[o]);
      const place = inputNames.indexOf(name);
      const stays =
        place < 0 ? [] : pairs.map(({ target, inputs }) => inputs[place] - (target as number[])[o]);
      return { name, ...sizeOfErrors(errors), unchanged: stays.length > 0 ? sizeOfErrors(stays) : undefined };
    });
    if (asJson) return output.json({ folder, seconds, rows: pairs.length, outputs: measured });
    output.line(
      renderTable(
        {
          columns: [
            { header: 'held out' },
            { header: 'mean |error|' },
            { header: 'root mean square' },
            { header: '“stays as it is”', unit: 'mean |error|' },
          ],
          rows: measured.map(({ name, meanAbsolute, rootMeanSquare, unchanged }) => [
            name,
            formatSignificant(meanAbsolute),
            formatSignificant(rootMeanSquare),
            unchanged ? formatSignificant(unchanged.meanAbsolute) : '–',
          ]),
        },
        output.style,
        output.width,
      ),
    );
  }
  output.line(`\ntrained in ${formatDuration(seconds)}; predict with: npx xlstm predict ${folder} TABLE`);
}

function sizeOfErrors(errors: readonly number[]): { meanAbsolute: number; rootMeanSquare: number } {
  const sum = (of: (error: number) => number): number =>
    errors.reduce((total, error) => total + of(error), 0);
  return {
    meanAbsolute: sum(Math.abs) / errors.length,
    rootMeanSquare: Math.sqrt(sum((error) => error * error) / errors.length),
  };
}

function freeFolder(file: string): string {
  const name = file.replace(/^.*[\\/]/, '').replace(/\.[^.]*$/, '') || 'table';
  for (let i = 1; ; i++) {
    const folder = i === 1 ? `runs/${name}` : `runs/${name}-${i}`;
    if (!existsSync(folder)) return folder;
  }
}
