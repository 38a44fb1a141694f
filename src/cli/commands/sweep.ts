import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { RankPool, serveRankPool } from '../../distributed/rank_pool.ts';
import { XlstmError } from '../../errors.ts';
import { type Choice, choiceName, gridChoices, parseValues, randomChoices } from '../../lab/sweep/choices.ts';
import { runCommand } from '../../lab/sweep/run_command.ts';
import { runSweep, type SweepCell, type SweepRecord, type SweepRunner } from '../../lab/sweep/sweep.ts';
import { INTERRUPTED, interruptible } from '../interrupt.ts';
import { integer, path } from '../parse.ts';
import { withRanks } from '../ranks.ts';

interface Options {
  readonly values: string[];
  readonly random?: number;
  readonly seed: number;
  readonly out: string;
  readonly jobs: number;
  readonly by?: string;
  readonly json?: boolean;
}

/** What Node runs for a command of a cell. */
const program = [fileURLToPath(new URL('../../../bin/xlstm.js', import.meta.url))];

/** One command again and again, with other options. */
export function sweepCommand(): Command {
  return new Command('sweep')
    .description(
      'run a command with every combination of some options, or with random ones, and keep its results',
    )
    .argument('<command...>', 'behind --: a command that has --json, and the options that stay as they are')
    .requiredOption(
      '--values <option...>',
      'what an option may be: dim=64,128, of random ones also beta1=0.5..0.99, or learning-rate=1e-4..1e-2:log',
    )
    .option('--random <n>', 'so many random choices, in place of every combination', integer(1))
    .option('--seed <n>', 'decides random choices', integer(0), 1)
    .option(
      '--out <folder>',
      'results.jsonl, and cells/ for what commands write; what is there is not run again',
      path,
      'sweep',
    )
    .option('--jobs <n>', 'cells at a time; under mpirun one for each rank', integer(1), 1)
    .option(
      '--by <number>',
      'a number of the results, the least first: validationLoss, or best.validationLoss',
    )
    .option('--json', 'print the records as JSON')
    .addHelpText(
      'after',
      `
{cell} in the command stands for a folder of the cell's own; xlstm train gets it as --out. Commands take all cores unless
--threads is among their options.

Examples:
  xlstm sweep --values learning-rate=1e-3,4e-3 dim=64,128 --by validationLoss -- train --data book.txt --steps 300
  xlstm sweep --random 20 --values learning-rate=1e-4..1e-2:log blocks=2,4 -- train --data book.txt --steps 300
  mpirun -n 8 xlstm sweep --values seed=1,2,3,4,5,6,7,8 -- train --data book.txt --threads 1`,
    )
    .action((command: string[], options: Options) =>
      // Cells are processes, and ranks that wait leave the cores to them.
      withRanks('sleep', async ({ collective }) => {
        const choices = choicesOf(command, options);
        await interruptible(async (signal) => {
          const here = (cell: SweepCell): Promise<SweepRecord> => runCommand(program, cell, signal);
          if (collective.rank > 0) return serveRankPool(collective, here);
          if (collective.size === 1) return sweep(command, choices, options, here, options.jobs, signal);
          const pool = new RankPool(collective, here);
          await sweep(command, choices, options, (cell) => pool.run(cell), collective.size, signal);
          await pool.close();
        });
      }),
    );
}

function choicesOf(command: readonly string[], { values, random, seed }: Options): readonly Choice[] {
  const options = values.map(parseValues);
  for (const [i, { name }] of options.entries()) {
    const twice = options.findIndex((other) => other.name === name) < i;
    if (!twice && !command.some((word) => word === `--${name}` || word.startsWith(`--${name}=`))) continue;
    throw new XlstmError('usage', `--values ${name}: the option is given twice`, 'Leave one of the two out.');
  }
  return random === undefined ? gridChoices(options) : randomChoices(options, random, seed);
}

async function sweep(
  command: readonly string[],
  choices: readonly Choice[],
  { out, by, json }: Options,
  runner: SweepRunner,
  jobs: number,
  signal: AbortSignal,
): Promise<void> {
  const onRecord = ({ options, status, seconds, message }: SweepRecord): void => {
    const what = status === 'done' ? 'done' : `failed: ${message}`;
    process.stderr.write(`${choiceName(options)}  ${seconds.toFixed(1)} s  ${what}\n`);
  };
  const found = await runSweep({ command, choices, folder: out, jobs, runner, signal, onRecord });
  const done = found.filter(({ status }) => status === 'done');
  const records = by === undefined ? done : sorted(done, by);
  if (json) process.stdout.write(`${JSON.stringify(records)}\n`);
  else {
    for (const record of records) {
      const value = by === undefined ? '' : `${numberAt(record, by)}  `;
      process.stdout.write(`${value}${choiceName(record.options)}\n`);
    }
  }
  process.stderr.write(`${done.length} of ${choices.length} cells are done; results: ${out}/results.jsonl\n`);
  if (signal.aborted) {
    process.stderr.write('stopped; the same command goes on where it was\n');
    process.exitCode = INTERRUPTED;
  } else if (done.length < choices.length) process.exitCode = 1;
}

const sorted = (records: readonly SweepRecord[], by: string): readonly SweepRecord[] =>
  [...records].sort((a, b) => numberAt(a, by) - numberAt(b, by));

/** A number of a result by its path. */
function numberAt({ result, options }: SweepRecord, by: string): number {
  const found = by
    .split('.')
    .reduce((value: unknown, key) => (value as Record<string, unknown> | undefined | null)?.[key], result);
  if (typeof found === 'number') return found;
  const names = Object.keys((result as object | null) ?? {}).join(', ');
  throw new XlstmError(
    'usage',
    `--by ${by}: expected a number of the results, found ${JSON.stringify(found)} for ${choiceName(options)}`,
    `They have ${names}.`,
  );
}
