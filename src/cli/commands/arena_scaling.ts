import { chooseEngine } from '../../compute/engines/choose.ts';
import { availableCores } from '../../compute/engines/host.ts';
import type { Collective } from '../../distributed/collective.ts';
import { RankPool, serveRankPool } from '../../distributed/rank_pool.ts';
import { inProcesses } from '../../lab/cells/processes.ts';
import { type StudyCell, type StudySpec, studyCellKey } from '../../lab/scaling/cell.ts';
import { checkedStudyModel } from '../../lab/scaling/models.ts';
import { FULL_STUDY, QUICK_STUDY, type StudyOptions } from '../../lab/scaling/options.ts';
import { plannedCells } from '../../lab/scaling/plan.ts';
import { runStudy, type StudyRun, type StudyRunner } from '../../lab/scaling/study.ts';
import type { EngineChoice } from '../engine_options.ts';
import { INTERRUPTED, interruptible } from '../interrupt.ts';
import { CellLines } from '../ui/cell_lines.ts';
import { LiveBlock } from '../ui/live_block.ts';
import { studyRecordLine } from '../ui/study_lines.ts';

export interface ScalingChoices extends EngineChoice {
  readonly quick?: boolean;
  readonly models?: readonly string[];
  readonly sizes?: readonly number[];
  readonly seeds?: number;
  readonly minutes?: number;
  readonly data?: string[];
  readonly out?: string;
}

/** What the cells of a study need of the machine; of ranks the first runs the study, the others its cells. */
export async function runScaling(choices: ScalingChoices, collective: Collective): Promise<void> {
  const { engine: name, threads = 1 } = choices;
  const module = new URL('../../lab/scaling/job.js', import.meta.url);
  const here: StudyRunner = inProcesses(module, name, threads);
  if (collective.rank > 0) {
    await interruptible((signal) =>
      serveRankPool(collective, (spec: StudySpec) => here(spec, () => {}, signal)),
    );
    return;
  }
  const { engine, reason } = await chooseEngine(name, { threads });
  try {
    const { size } = collective;
    const jobs = size > 1 ? size : Math.max(1, Math.floor((await availableCores()) / threads));
    process.stderr.write(`engine  ${engine.description} (${reason}); ${jobs} cells at a time\n`);
    const options = studyOptions(choices, engine.description);
    const lines = new CellLines<StudyCell>(plannedCells(options), studyCellKey);
    const block = new LiveBlock((width) => lines.render(width));
    const folder = choices.out ?? 'scaling';
    const { records, notRun, interrupted } = await interruptible(async (signal) => {
      const pool = new RankPool(collective, (spec: StudySpec) => here(spec, () => {}, signal));
      const runner: StudyRunner = size > 1 ? (spec) => pool.run(spec) : here;
      const result = await runStudy({
        ...{ options, folder, jobs, runner, engine, signal },
        onPrepare(what) {
          lines.prepare(what);
          block.update();
        },
        onChange(cell, state) {
          lines.set(cell, state);
          if (state.kind === 'ended' && (!block.interactive || state.record.status !== 'done')) {
            block.print(studyRecordLine(state.record));
          }
          block.update();
        },
      } satisfies StudyRun);
      await pool.close();
      return result;
    });
    block.finish();
    if (interrupted) process.stderr.write('stopped; the same command goes on where it was\n');
    else if (notRun.length > 0) {
      process.stderr.write(
        `${notRun.length} of ${notRun.length + records.length} cells were not run, the report lists them; the same command with more --minutes goes on\n`,
      );
    }
    process.stdout.write(`report: ${folder}/report.html and report.md; results: ${folder}/results.jsonl\n`);
    const failed = records.filter(({ status }) => status === 'failed').length;
    if (failed > 0) {
      process.stderr.write(
        `${failed} of ${records.length} cells failed; the same command tries them again\n`,
      );
    }
    if (interrupted) process.exitCode = INTERRUPTED;
    else if (failed === records.length) process.exitCode = 1;
  } finally {
    await engine.close();
  }
}

function studyOptions(choices: ScalingChoices, engine: string): StudyOptions {
  const preset = choices.quick ? QUICK_STUDY : FULL_STUDY;
  const { models, sizes, seeds, minutes, data } = choices;
  return {
    ...preset,
    engine,
    models: models?.map(checkedStudyModel) ?? preset.models,
    sizes: sizes ? [...new Set(sizes)].sort((a, b) => a - b) : preset.sizes,
    seeds: seeds ?? preset.seeds,
    minutes: minutes ?? preset.minutes,
    ...(data ? { data } : {}),
  };
}
