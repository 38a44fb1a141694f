import { formatCount, formatDuration, NOTHING } from '../../../format.ts';
import { formatScore } from '../../arena/report/format.ts';
import { type Block, type Section, table, text } from '../../arena/report/section.ts';
import { figures, words } from '../../arena/report/table.ts';
import { tasks as allTasks } from '../../tasks/registry.ts';
import type { Task } from '../../tasks/task.ts';
import type { SearchRecord } from '../records.ts';
import { groupTheory, theoryOf } from '../theory.ts';
import { type Finding, type Findings, learnedBy, mean } from './findings.ts';

const LEARNED_WORDS = { all: 'yes', some: 'some seeds', none: 'no' } as const;

/** Of each task: the scores of every model, and what theory says of it. */
export function scoreSection(findings: Findings): Section {
  return {
    id: 'scores',
    title: 'Scores',
    blocks: [
      text(
        'Scaled accuracy over all test lengths: 0 is chance, 1 perfect. Mean of the seeds, and from the least to the most of them. ' +
          'Learned: 0.95 or more with every seed. A theory speaks of sequences of any length.',
      ),
      ...findings.tasks.map((task) => taskTable(findings, task)),
    ],
  };
}

function taskTable({ contestants, at }: Findings, task: Task): Block {
  const found = contestants
    .map((contestant) => at(task, contestant))
    .filter(({ trials }) => trials.length > 0);
  const value = ({ scores }: Finding): number => (scores.length > 0 ? mean(scores) : -1);
  return table({
    title: `${task.title}: trained at ${range(task.trainLengths)}, tested at ${range(task.testLengths)} tokens`,
    columns: [
      words('model'),
      words('learned'),
      ...['score', 'least', 'most', 'seeds', 'setting', 'trials'].map(figures),
      words('theory'),
    ],
    rows: found
      .sort((a, b) => value(b) - value(a))
      .map((finding) => {
        const { contestant, scores, chosen, trials } = finding;
        const learned = learnedBy(finding);
        const score = (of: (...values: number[]) => number): string =>
          scores.length > 0 ? formatScore(of(...scores)) : NOTHING;
        return {
          cells: [
            contestant.title,
            learned ? LEARNED_WORDS[learned] : 'not yet run',
            score((...all) => mean(all)),
            score(Math.min),
            score(Math.max),
            String(scores.length),
            chosen ? String(chosen.trial) : NOTHING,
            String(trials.length),
            theoryOf(task.name, contestant.model)?.verdict ?? NOTHING,
          ],
        };
      }),
  });
}

const range = ([least, most]: readonly [number, number]): string =>
  least === most ? String(least) : `${least} to ${most}`;

/** What theory says, and tasks that no cell has been run of. */
export function theorySection({ tasks, contestants }: Findings): Section {
  const reasons = contestants.flatMap(({ model, title }) => {
    const found = theoryOf('parity', model);
    return found ? [`State tracking: ${title} ${found.verdict}, since ${found.reason}.`] : [];
  });
  const notRun = allTasks.filter(({ name }) => !tasks.some((task) => task.name === name));
  const titles = notRun.map(({ title }) => title).join(', ');
  return {
    id: 'theory',
    title: 'What theory says, and what was not yet run',
    blocks: [
      { kind: 'list', items: [...reasons, ...Object.values(groupTheory)] },
      ...(notRun.length > 0 ? [text(`Not yet run: ${titles}.`)] : []),
    ],
  };
}

/** Every trial with its score on validation sequences, and how it was computed. */
export function trialSection(findings: Findings, records: readonly SearchRecord[]): Section {
  const each = (values: readonly string[]): string => [...new Set(values.filter(Boolean))].join('; ');
  return {
    id: 'trials',
    title: 'How it was searched and computed',
    blocks: [
      text(
        'Every model tries the same settings of a task in the same order, until all have been tried or one has 0.99 or more; with a ' +
          'setting all models read as many tokens. A trial is measured on sequences of its own seed, which no test has. A training ends ' +
          'early where a check on further sequences, of test lengths, is all but perfect. The setting with the highest score is trained ' +
          'anew with each seed of the tests.',
      ),
      text(
        `Code: ${each(records.map(({ code }) => code))}. Engine: ${each(records.map(({ engine }) => engine))}. Machine: ` +
          `${each(records.map(({ machine }) => machine))}.`,
      ),
      table({
        title: 'Every training',
        look: 'dense',
        columns: [
          words('task'),
          words('model'),
          words('what'),
          ...['setting', 'seed', 'parameters', 'rate', 'curriculum', 'decay'].map(figures),
          ...['steps', 'tokens', 'time', 'loss', 'score'].map(figures),
        ],
        rows: findings.tasks.flatMap((task) =>
          findings.contestants.flatMap((contestant) => {
            const { trials, tests } = findings.at(task, contestant);
            return [...trials, ...tests].map((record) => trainingRow(task, contestant.title, record));
          }),
        ),
      }),
    ],
  };
}

function trainingRow(task: Task, title: string, record: SearchRecord): { readonly cells: string[] } {
  const { kind, trial, seed, status, parameters, settings, steps, tokens, trainSeconds, loss, score } =
    record;
  return {
    cells: [
      task.title,
      title,
      kind,
      String(trial),
      String(seed),
      formatCount(parameters),
      ...['learningRate', 'curriculum', 'weightDecay'].map((key) => String(settings[key] ?? NOTHING)),
      String(steps),
      formatCount(tokens),
      formatDuration(trainSeconds),
      loss?.toPrecision(2) ?? NOTHING,
      score === undefined ? status : formatScore(score, 3),
    ],
  };
}
