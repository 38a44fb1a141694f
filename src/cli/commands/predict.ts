import { Command, Option } from 'commander';
import { loadCheckpoint } from '../../checkpoints/checkpoint_folder.ts';
import { writeFileAtomic } from '../../checkpoints/files.ts';
import { type MissingPolicy, numbersOf, type Table } from '../../data/table.ts';
import { readTable } from '../../data/table_file.ts';
import { XlstmError } from '../../errors.ts';
import { shareEventLoop } from '../../event_loop.ts';
import { formatSignificant } from '../../format.ts';
import type { SequenceConfig } from '../../models/sequence/config.ts';
import { type Prediction, quantileName } from '../../sequences/prediction.ts';
import { SequenceModel } from '../../sequences/sequence_model.ts';
import { csvText } from '../csv_text.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { standardOutput } from '../output.ts';
import { path, plotPath } from '../parse.ts';
import { predictionCharts, requirePlotFolder, writePlot } from '../plots.ts';
import { renderChart } from '../ui/chart.ts';
import { renderTable } from '../ui/table.ts';

interface PredictOptions extends EngineChoice {
  readonly missing: MissingPolicy;
  readonly out?: string;
  readonly plot?: string;
  readonly json?: boolean;
}

export function predictCommand(): Command {
  const command = new Command('predict')
    .description('what a model of a table says of each row, and of those that come next')
    .argument('<model>', 'the folder of a model that xlstm fit has made')
    .argument('<table>', 'CSV or JSON lines with the columns that the model knows')
    .addOption(
      new Option('--missing <how>', 'an empty cell is an error, or takes the value of the row before')
        .choices(['refuse', 'previous'])
        .default('refuse'),
    )
    .option('--out <file>', 'write all predictions as CSV', path)
    .option(
      '--plot <file>',
      'draw all predictions beside what came true, with quantiles: SVG, or a page (.html)',
      plotPath,
    )
    .option('--json', 'print all predictions as JSON')
    .addHelpText(
      'after',
      `
The prediction on a row is made from that row and those before it. Where the model forecasts, it is about a later row:
"for row" says which, counted from 1 below the names of the columns.

Examples:
  xlstm predict runs/weather new.csv
  xlstm predict runs/weather new.csv --out predictions.csv --plot predictions.svg`,
    );
  return addEngineOptions(command).action((folder: string, file: string, options: PredictOptions) =>
    withEngine(options, async (engine) => {
      if (options.plot !== undefined) await requirePlotFolder(options.plot);
      using model = SequenceModel.of((await loadCheckpoint(engine, folder)).model);
      const { config } = model;
      if (config.inputNames.length === 0) {
        throw new XlstmError(
          'data',
          `${folder}: the model does not say which columns it reads`,
          'xlstm fit makes models that do.',
        );
      }
      const table = await readTable(file);
      const predictions = await predictRows(model, table, options.missing);
      if (options.plot !== undefined) {
        const predicted = predictions.map((prediction, r) => ({ row: r + 1 + config.horizon, prediction }));
        const charts = predictionCharts(config, predicted, (output) => {
          const came = cameTrue(table, config.outputNames[output]);
          return came ? table.rows.map((_, r) => ({ x: r + 1, y: came(r) })) : [];
        });
        await writePlot(options.plot, `${folder}: predictions on ${file}`, charts);
        process.stderr.write(`drawn in ${options.plot}\n`);
      }
      const columns = resultColumns(config);
      const rows = predictions.map((prediction, r) => [
        r + 1 + config.horizon,
        ...columns.map(({ of }) => of(prediction)),
      ]);
      const names = ['for row', ...columns.map(({ name }) => name)];
      if (options.out !== undefined) {
        await writeFileAtomic(options.out, csvText([names, ...rows]));
        process.stderr.write(`${rows.length} predictions are in ${options.out}\n`);
        return;
      }
      const output = standardOutput();
      if (options.json) {
        output.json(rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]]))));
        return;
      }
      const shown = rows.slice(-10);
      output.line(
        renderTable(
          {
            columns: names.map((header) => ({ header })),
            rows: shown.map((row) =>
              row.map((cell) => (typeof cell === 'number' ? formatSignificant(cell, 6) : cell)),
            ),
          },
          output.style,
          output.width,
        ),
      );
      if (rows.length > shown.length)
        output.line(
          output.style.dim(`the last ${shown.length} of ${rows.length}; all: --out FILE or --json`),
        );
      if (config.classes.length === 0) drawFirst(config, table, predictions);
    }),
  );
}

async function predictRows(
  model: SequenceModel,
  table: Table,
  missing: MissingPolicy,
): Promise<Prediction[]> {
  const { inputNames, bidirectional, pool } = model.config;
  const columns = inputNames.map((name) => numbersOf(table, name, missing));
  const inputs = Array.from(table.rows, (_, r) => columns.map((column) => column[r]));
  if (bidirectional || pool !== 'none') return model.predict(inputs);
  using stream = model.stream();
  const predictions: Prediction[] = [];
  for (const row of inputs) {
    predictions.push(await stream.push(row));
    await shareEventLoop();
  }
  return predictions;
}

interface ResultColumn {
  readonly name: string;
  of(prediction: Prediction): number | string;
}

function resultColumns({ classes, quantiles, outputs, outputNames }: SequenceConfig): ResultColumn[] {
  if (classes.length > 0) {
    return [
      { name: outputNames[0] ?? 'label', of: ({ label }) => label ?? '' },
      ...classes.map((name) => ({
        name: `p(${name})`,
        of: ({ probabilities }: Prediction) => probabilities[name],
      })),
    ];
  }
  return Array.from({ length: outputs }, (_, o) => o).flatMap((o): ResultColumn[] => {
    const name = outputNames[o] ?? `output ${o + 1}`;
    if (quantiles.length === 0) return [{ name, of: ({ values }) => values[o] }];
    return quantiles.map((q, i) => ({ name: `${name} ${quantileName(q)}`, of: (p) => p.quantiles[o][i] }));
  });
}

const MOST_DRAWN = 200;

/** What a table says of an output in a row, NaN where nothing; undefined where it has no such column. */
function cameTrue(table: Table, name: string | undefined): ((row: number) => number) | undefined {
  const column = name === undefined ? -1 : table.columns.indexOf(name);
  if (column < 0) return undefined;
  return (row) => {
    const cell = table.rows[row]?.[column];
    return cell === undefined || cell === '' ? Number.NaN : Number(cell);
  };
}

/** The first output beside what came true. */
function drawFirst(config: SequenceConfig, table: Table, predictions: readonly Prediction[]): void {
  const output = standardOutput();
  const [name] = config.outputNames;
  const { horizon } = config;
  const count = Math.min(MOST_DRAWN, predictions.length);
  const from = predictions.length - count;
  const predicted = predictions.slice(from).map(({ values }) => values[0]);
  const came = cameTrue(table, name);
  const { accent, dim } = output.style;
  const series = [
    ...(came
      ? [
          {
            name: `${name} as it was`,
            values: predicted.map((_, i) => came(from + i + horizon)),
            paint: dim,
          },
        ]
      : []),
    { name: `${name ?? 'output 1'} as predicted`, values: predicted, paint: accent },
  ];
  const width = Math.min(100, Number.isFinite(output.width) ? output.width : 80);
  output.line();
  for (const line of renderChart(series, { width, rows: 10 }, output.style)) output.line(line);
}
