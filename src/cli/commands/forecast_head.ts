import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { writeFileAtomic } from '../../checkpoints/files.ts';
import { type SampleOptions, samplesOfTable, type TableSamples } from '../../data/series/samples.ts';
import { readTable } from '../../data/table_file.ts';
import { XlstmError } from '../../errors.ts';
import { type HeadFacts, SeriesClassifier } from '../../forecasting/heads/series_head.ts';
import { trainClassifier, trainRegressor } from '../../forecasting/heads/train_head.ts';
import { formatInteger, formatSignificant } from '../../format.ts';
import { quote } from '../../quote.ts';
import { loadForecaster } from '../../saved/forecaster_folders.ts';
import { loadHead, saveHead } from '../../saved/head_folders.ts';
import { csvText } from '../csv_text.ts';
import { addEngineOptions, type EngineChoice, withEngine } from '../engine_options.ts';
import { standardOutput } from '../output.ts';
import { integer, nameList, path } from '../parse.ts';
import { TINY_FORECASTER } from '../tiny_forecaster.ts';
import { renderTable } from '../ui/table.ts';

interface HeadOptions extends EngineChoice, SampleOptions {
  readonly model?: string;
  readonly json?: boolean;
}

interface TrainHeadOptions extends HeadOptions {
  readonly label: string;
  readonly classify?: boolean;
  readonly seed: number;
  readonly out: string;
}

interface ApplyHeadOptions extends HeadOptions {
  readonly out?: string;
}

export function forecastHeadCommand(): Command {
  const command = new Command('head')
    .description('tell classes or numbers of whole series, by what a forecaster makes of them')
    .enablePositionalOptions();
  return command.addCommand(trainCommand()).addCommand(applyCommand());
}

function trainCommand(): Command {
  const command = new Command('train')
    .description('learn from labelled series: logistic regression for classes, ridge regression for numbers')
    .argument('<table>', 'rows of all series, one below another: CSV, JSON lines or Parquet')
    .requiredOption('--id <column>', 'tells the series apart')
    .requiredOption('--label <column>', 'what is to be told of each: a text or a number')
    .option('--inputs <columns>', 'what is read (default: every other column of numbers)', nameList)
    .option('--classify', 'labels are classes, also where all of them are numbers')
    .option('--model <folder>', 'the folder of a forecaster (default: the tiny one of the package)', path)
    .option('--seed <n>', 'decides which series are held out together', integer(0), 1)
    .requiredOption('--out <folder>', 'folder of the head', path)
    .option('--json', 'print the result as one JSON object on standard output')
    .addHelpText(
      'after',
      `
The forecaster stays as it is. What is learned is a linear map of the vectors that it makes of a series, measured on fifths that were held out.

Examples:
  xlstm forecast head train motions.csv --id recording --label activity --out heads/activity
  xlstm forecast head apply heads/activity new.csv --id recording`,
    );
  return addEngineOptions(command).action(train);
}

function applyCommand(): Command {
  const command = new Command('apply')
    .description('tell the classes or numbers of series')
    .argument('<head>', 'the folder of a head')
    .argument('<table>', 'rows of all series, one below another: CSV, JSON lines or Parquet')
    .requiredOption('--id <column>', 'tells the series apart')
    .option(
      '--inputs <columns>',
      'what is read (default: the columns that the head was trained on)',
      nameList,
    )
    .option('--label <column>', 'compare with these')
    .option('--model <folder>', 'the forecaster that the head was trained with (default: the tiny one)', path)
    .option('--out <file>', 'write all results as CSV', path)
    .option('--json', 'print all results as one JSON object on standard output');
  return addEngineOptions(command).action(apply);
}

async function train(file: string, options: TrainHeadOptions): Promise<void> {
  const { out, label, seed, model = TINY_FORECASTER } = options;
  if (existsSync(out)) {
    throw new XlstmError('data', `${out}: is there already`, 'Name another folder with --out.');
  }
  const { inputs, samples, labels } = samplesOfTable(await readTable(file), options) as Labelled;
  const numbers = labels.map(Number);
  const isNumber = !options.classify && numbers.every((value) => Number.isFinite(value));
  await withEngine(options, async (engine) => {
    process.stderr.write(
      `data    ${formatInteger(samples.length)} series of ${inputs.join(', ')}; ${label}: ${isNumber ? 'a number' : 'a class'}\n`,
    );
    using forecaster = await loadForecaster(model, { engine });
    const names = { seed, inputNames: inputs, outputName: label };
    const head = isNumber
      ? await trainRegressor(forecaster, samples, numbers, names)
      : await trainClassifier(forecaster, samples, labels, names);
    await saveHead(head, out);
    const { facts } = head;
    const output = standardOutput();
    if (options.json) {
      output.json({
        folder: out,
        ...facts,
        ...(head instanceof SeriesClassifier && { classes: head.classes }),
      });
      return;
    }
    output.line(measuredText(facts));
    const by = options.model === undefined ? '' : ` --model ${options.model}`;
    output.line(`tell with: npx xlstm forecast head apply ${out} TABLE --id ${options.id}${by}`);
  });
}

type Labelled = TableSamples & { readonly labels: readonly string[] };

function measuredText({ measures, examples }: HeadFacts): string {
  const of = `of ${formatInteger(examples)} series, each held out once`;
  if (measures.kind === 'classification') {
    const { accuracy, majority } = measures;
    const text = `told right: ${percent(accuracy)} ${of} (the commonest class: ${percent(majority)})`;
    return accuracy > majority
      ? text
      : `${text}\nIt has learned nothing: the commonest class is right as often.`;
  }
  const { error, errorOfMean } = measures;
  const text = `root mean square error: ${formatSignificant(error)} ${of} (by the mean: ${formatSignificant(errorOfMean)})`;
  return error < errorOfMean ? text : `${text}\nIt has learned nothing: the mean is as near.`;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** What is told of a series. */
interface Told {
  readonly id: string;
  readonly value: string | number;
  /** Of the class. */
  readonly probability?: number;
  readonly expected?: string;
}

const MOST_SHOWN = 20;

async function apply(folder: string, file: string, options: ApplyHeadOptions): Promise<void> {
  const table = await readTable(file);
  await withEngine(options, async (engine) => {
    using forecaster = await loadForecaster(options.model ?? TINY_FORECASTER, { engine });
    const head = await loadHead(forecaster, folder);
    const { inputNames, outputName = 'label' } = head.facts;
    const inputs = options.inputs ?? inputNames;
    const found = samplesOfTable(table, { ...options, inputs });
    if (inputNames && inputNames.length !== found.inputs.length) {
      throw new XlstmError(
        'usage',
        `--inputs: expected as many columns as the head was trained on, ${quote(inputNames)}, found ${quote(found.inputs)}`,
      );
    }
    const expected = (i: number): Partial<Told> => (found.labels ? { expected: found.labels[i] } : {});
    const told: Told[] =
      head instanceof SeriesClassifier
        ? (await head.classify(found.samples)).map(({ label, probabilities }, i) => ({
            id: found.ids[i],
            value: label,
            probability: probabilities[head.classes.indexOf(label)],
            ...expected(i),
          }))
        : Array.from(await head.predict(found.samples), (value, i) => ({
            id: found.ids[i],
            value,
            ...expected(i),
          }));
    const columns = [options.id, outputName, ...(head instanceof SeriesClassifier ? ['probability'] : [])];
    const named = told.map(({ id, value, probability }) =>
      Object.fromEntries(columns.map((name, c) => [name, [id, value, probability][c]])),
    );
    if (options.out !== undefined) {
      const rows = named.map((one) => columns.map((name) => one[name] as string | number));
      await writeFileAtomic(options.out, csvText([columns, ...rows]));
      process.stderr.write(`${formatInteger(told.length)} results are in ${options.out}\n`);
    }
    const output = standardOutput();
    const compared = found.labels && comparedText(told);
    if (options.json) return output.json(named);
    if (options.out === undefined) {
      output.line(
        renderTable(
          {
            columns: [...columns, ...(found.labels ? ['as labelled'] : [])].map((header) => ({ header })),
            rows: told
              .slice(0, MOST_SHOWN)
              .map(({ id, value, probability, expected }) => [
                id,
                typeof value === 'number' ? formatSignificant(value) : value,
                ...(probability === undefined ? [] : [percent(probability)]),
                ...(expected === undefined ? [] : [expected]),
              ]),
          },
          output.style,
          output.width,
        ),
      );
      if (told.length > MOST_SHOWN)
        output.line(
          output.style.dim(
            `the first ${MOST_SHOWN} of ${formatInteger(told.length)}; all: --out FILE or --json`,
          ),
        );
    }
    if (compared) output.line(compared);
  });
}

/** How often the classes are those of the labels, or how far the numbers are from them. */
function comparedText(told: readonly Told[]): string {
  if (told.every(({ value }) => typeof value === 'string')) {
    const right = told.filter(({ value, expected }) => value === expected).length;
    return `told right: ${percent(right / told.length)} of ${formatInteger(told.length)} series`;
  }
  const squares = told.map(({ value, expected }) => (Number(value) - Number(expected)) ** 2);
  const error = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / told.length);
  return `root mean square error: ${formatSignificant(error)} of ${formatInteger(told.length)} series`;
}
