import { chooseEngine } from '../../compute/engines/choose.ts';
import { availableCores } from '../../compute/engines/host.ts';
import type { Collective } from '../../distributed/collective.ts';
import { RankPool, serveRankPool } from '../../distributed/rank_pool.ts';
import { checkedModel } from '../../lab/arena/options.ts';
import { inProcesses } from '../../lab/cells/processes.ts';
import { type SearchSpec, searchCellKey } from '../../lab/search/cell.ts';
import { FULL_SEARCH, QUICK_SEARCH, type SearchOptions, searchedTask } from '../../lab/search/options.ts';
import { trialCells } from '../../lab/search/plan.ts';
import { runSearch, type SearchRunner, searchRecordLine } from '../../lab/search/search.ts';
import type { EngineChoice } from '../engine_options.ts';
import { INTERRUPTED, interruptible } from '../interrupt.ts';
import { CellLines } from '../ui/cell_lines.ts';
import { LiveBlock } from '../ui/live_block.ts';

export interface SearchChoices extends EngineChoice {
  readonly quick?: boolean;
  readonly tasks?: readonly string[];
  readonly models?: readonly string[];
  readonly trials?: number;
  readonly seeds?: number;
  readonly budget?: number;
  readonly tokens?: number;
  readonly minutes?: number;
  readonly out?: string;
}

/** Searches a setting for every task and model, and tests it; of ranks the first runs the search, the others its cells. */
export async function runTaskSearch(choices: SearchChoices, collective: Collective): Promise<void> {
  const { engine: name, threads = 1 } = choices;
  const module = new URL('../../lab/search/job.js', import.meta.url);
  const here: SearchRunner = inProcesses(module, name, threads);
  if (collective.rank > 0) {
    await interruptible((signal) =>
      serveRankPool(collective, (spec: SearchSpec) => here(spec, () => {}, signal)),
    );
    return;
  }
  // Asked for once here: a wrong name or a missing library is an error before anything runs.
  const { engine, reason } = await chooseEngine(name, { threads });
  await engine.close();
  const { size } = collective;
  const jobs = size > 1 ? size : Math.max(1, Math.floor((await availableCores()) / threads));
  process.stderr.write(`engine  ${engine.description} (${reason}); ${jobs} cells at a time\n`);
  const options = searchOptions(choices, engine.description);
  const folder = choices.out ?? 'search';
  const lines = new CellLines(
    options.tasks.flatMap((task) => trialCells(task, options)),
    searchCellKey,
  );
  const block = new LiveBlock((width) => lines.render(width));
  const { records, notRun, interrupted } = await interruptible(async (signal) => {
    const pool = new RankPool(collective, (spec: SearchSpec) => here(spec, () => {}, signal));
    const runner: SearchRunner = size > 1 ? (spec) => pool.run(spec) : here;
    const result = await runSearch({
      ...{ options, folder, jobs, runner, signal },
      onChange(cell, state) {
        lines.set(cell, state);
        if (state.kind === 'ended' && (!block.interactive || state.record.status !== 'done')) {
          block.print(searchRecordLine(state.record));
        }
        block.update();
      },
    });
    await pool.close();
    return result;
  });
  block.finish();
  if (interrupted) process.stderr.write('stopped; the same command goes on where it was\n');
  else if (notRun.length > 0) {
    process.stderr.write(
      `${notRun.length} cells did not fit into the time; the same command with more --minutes goes on\n`,
    );
  }
  process.stdout.write(`report: ${folder}/report.html and report.md; results: ${folder}/results.jsonl\n`);
  const failed = records.filter(({ status }) => status === 'failed').length;
  if (failed > 0) {
    process.stderr.write(`${failed} of ${records.length} cells failed; the same command tries them again\n`);
  }
  if (interrupted) process.exitCode = INTERRUPTED;
  else if (failed === records.length && failed > 0) process.exitCode = 1;
}

function searchOptions(choices: SearchChoices, engine: string): SearchOptions {
  const preset = choices.quick ? QUICK_SEARCH : FULL_SEARCH;
  const { tasks, models, trials, seeds, budget, tokens, minutes } = choices;
  return {
    engine,
    quick: choices.quick === true,
    tasks: (tasks ?? preset.tasks).map(searchedTask),
    models: (models ?? preset.models).map(checkedModel),
    trials: trials ?? preset.trials,
    seeds: seeds ?? preset.seeds,
    budget: budget ?? preset.budget,
    tokens: tokens ?? preset.tokens,
    minutes: minutes ?? preset.minutes,
  };
}
