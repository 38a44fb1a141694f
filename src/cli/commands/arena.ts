import { Command, Option } from 'commander';
import { chooseEngine } from '../../compute/engines/choose.ts';
import { availableCores } from '../../compute/engines/host.ts';
import type { Collective } from '../../distributed/collective.ts';
import { RankPool, serveRankPool } from '../../distributed/rank_pool.ts';
import { type ArenaRun, cellsOf, runArena } from '../../lab/arena/arena.ts';
import type { CellSpec } from '../../lab/arena/cell.ts';
import { type ArenaOptions, checkedModel, checkedTask, FULL, QUICK } from '../../lab/arena/options.ts';
import { type CellRunner, inProcesses } from '../../lab/arena/processes.ts';
import { addEngineOptions, type EngineChoice } from '../engine_options.ts';
import { INTERRUPTED, interruptible } from '../interrupt.ts';
import { count, counts, integer, nameList, path, positive } from '../parse.ts';
import { withRanks } from '../ranks.ts';
import { ArenaGrid, recordLine } from '../ui/arena_grid.ts';
import { LiveBlock } from '../ui/live_block.ts';
import { createStyle, wantsColor } from '../ui/style.ts';
import { arenaKind } from './arena_kinds.ts';
import { arenaMergeCommand } from './arena_merge.ts';
import { runScaling } from './arena_scaling.ts';
import { runTaskSearch } from './arena_search.ts';

interface Options extends EngineChoice {
  readonly quick?: boolean;
  readonly tasks?: readonly string[];
  readonly models?: readonly string[];
  readonly seeds?: number;
  readonly budget?: number;
  readonly minutes?: number;
  readonly data?: string[];
  readonly learningRate?: number;
  readonly steps?: number;
  readonly scaling?: boolean;
  readonly sizes?: readonly number[];
  readonly search?: boolean;
  readonly trials?: number;
  readonly tokens?: number;
  readonly out?: string;
}

/** Trains models side by side and reports where each wins and loses. */
export function arenaCommand(): Command {
  const command = new Command('arena')
    .addCommand(arenaMergeCommand())
    .description('train models side by side on the same tasks at the same size, and write a report')
    .option('--quick', 'a few minutes on two cores: parity, S3, recall, text, cost; six models')
    .option(
      '--scaling',
      'instead of tasks: loss against size, tokens and operations; with --quick in 15 minutes',
    )
    .option('--sizes <list>', 'of --scaling: parameters beside the embedding, 30k,100k', counts)
    .option(
      '--search',
      'choose the setting of every task and model by trials, then test it with several seeds',
    )
    .option('--trials <n>', 'of --search: settings that every model may try', integer(1))
    .option('--tokens <n>', 'of --search: what each training reads: 6M', count)
    .option('--tasks <list>', 'names of tasks, or text, or cost (default: all)', nameList)
    .option('--models <list>', 'names of models (default: all)', nameList)
    .option('--seeds <n>', 'runs of each cell', integer(1))
    .option('--budget <n>', 'parameters of each model: 200k', count)
    .option('--minutes <n>', 'time for the whole run; text and cost take what they need', positive())
    .option('--data <path...>', 'text files or folders for the text task')
    .option('--learning-rate <rate>', "in place of each task's own", positive())
    .option('--steps <n>', 'training steps at most', integer(1))
    .addOption(
      new Option('--out <folder>', 'results and report; cells found there are not run again')
        .argParser(path)
        .default(undefined, 'arena, of --scaling: scaling, of --search: search'),
    )
    .addHelpText(
      'after',
      `
Tasks:   ${FULL.tasks.join(', ')}
Models:  ${FULL.models.join(', ')}

Examples:
  xlstm arena --quick
  xlstm arena --scaling --quick
  xlstm arena --search --quick
  xlstm arena --tasks parity,mqar --models xlstm[1:1],transformer,lstm --seeds 3 --budget 200k --minutes 30 --out arena/`,
    );
  return addEngineOptions(
    command,
    'threads of each cell (default: 1, as many cells at a time as cores)',
  ).action((options: Options) =>
    // Cells are processes, and ranks that wait leave the cores to them.
    withRanks('sleep', async ({ collective }) => {
      const kind = arenaKind({ ...options });
      if (kind === 'scaling') return runScaling(options, collective);
      if (kind === 'search') return runTaskSearch(options, collective);
      const runner = inProcesses(options.engine, options.threads ?? 1);
      if (collective.rank > 0) {
        await interruptible((signal) =>
          serveRankPool(collective, (spec: CellSpec) => runner(spec, () => {}, signal)),
        );
      } else await runCommand(options, runner, collective);
    }),
  );
}

async function runCommand(options: Options, here: CellRunner, collective: Collective): Promise<void> {
  const threads = options.threads ?? 1;
  // Asked for once here: a wrong name or a missing library is an error before anything runs.
  const { engine, reason } = await chooseEngine(options.engine, { threads });
  await engine.close();
  const { size } = collective;
  const { out = 'arena' } = options;
  const jobs = size > 1 ? size : Math.max(1, Math.floor((await availableCores()) / threads));
  process.stderr.write(`engine  ${engine.description} (${reason}); ${jobs} cells at a time\n`);

  const arena = arenaOptions(options, engine.description);
  const style = createStyle(wantsColor(process.stderr, process.env));
  const grid = new ArenaGrid(cellsOf(arena));
  const block = new LiveBlock((width) => grid.render(width, style));
  const onChange: ArenaRun['onChange'] = (cell, state) => {
    grid.set(cell, state);
    if (state.kind === 'ended' && (!block.interactive || state.record.status !== 'done')) {
      block.print(recordLine(state.record));
    }
    block.update();
  };
  const { asked, interrupted } = await interruptible(async (signal) => {
    // What ranks are at is not told: of their cells only the end.
    const pool = new RankPool(collective, (spec: CellSpec) => here(spec, () => {}, signal));
    const runner: CellRunner = size > 1 ? (spec) => pool.run(spec) : here;
    const result = await runArena({ options: arena, folder: out, jobs, runner, signal, onChange });
    await pool.close();
    return result;
  });
  block.finish();
  if (interrupted) process.stderr.write('stopped; the same command goes on where it was\n');
  process.stdout.write(`report: ${out}/report.html and report.md; results: ${out}/results.jsonl\n`);
  const failed = asked.filter(({ status }) => status === 'failed').length;
  if (failed > 0) {
    const all = failed === asked.length ? 'all' : `${failed} of`;
    process.stderr.write(`${all} ${asked.length} cells failed; the same command tries them again\n`);
  }
  if (interrupted) process.exitCode = INTERRUPTED;
  else if (failed === asked.length) process.exitCode = 1;
}

function arenaOptions(options: Options, engine: string): ArenaOptions {
  const defaults = options.quick ? QUICK : FULL;
  const { data, learningRate, steps } = options;
  return {
    tasks: (options.tasks ?? defaults.tasks).map(checkedTask),
    models: (options.models ?? defaults.models).map(checkedModel),
    seeds: options.seeds ?? defaults.seeds,
    budget: options.budget ?? defaults.budget,
    minutes: options.minutes ?? defaults.minutes,
    quick: options.quick === true,
    engine,
    ...(data ? { data } : {}),
    ...(learningRate === undefined ? {} : { learningRate }),
    ...(steps === undefined ? {} : { steps }),
  };
}
