import { formatScore } from '../../arena/report/format.ts';
import { type Section, text } from '../../arena/report/section.ts';
import type { Task } from '../../tasks/task.ts';
import { asksBeyond, type Finding, type Findings, learnedBy, mean } from './findings.ts';

/** The question, and of each task who learned it. */
export function answerSection(findings: Findings): Section {
  return {
    id: 'answer',
    title: 'Who learns what, beyond the training length?',
    blocks: [
      { kind: 'list', items: findings.tasks.map((task) => taskSentence(findings, task)) },
      text(
        'What would change it: more steps, larger models, more settings to choose from. A model that did not learn a task here has ' +
          'not been shown to be unable to.',
      ),
    ],
  };
}

function taskSentence({ contestants, at }: Findings, task: Task): string {
  const tested = contestants
    .map((contestant) => at(task, contestant))
    .filter(({ scores }) => scores.length > 0);
  if (tested.length === 0) return `${task.title}: searched in part, not yet tested.`;
  const of = (learned: ReturnType<typeof learnedBy>): Finding[] =>
    tested.filter((finding) => learnedBy(finding) === learned);
  const names = (found: readonly Finding[]): string =>
    found.map(({ contestant, scores }) => `${contestant.title} ${formatScore(mean(scores))}`).join(', ');
  const [all, some, none] = [of('all'), of('some'), of('none')];
  const beyond = asksBeyond(task)
    ? `beyond the training length (${task.trainLengths[1]}, tested to ${task.testLengths[1]})`
    : `at the training length (${task.trainLengths[1]})`;
  const parts = [
    all.length > 0 ? `learned ${beyond} by ${names(all)}` : `learned ${beyond} by no model with every seed`,
    ...(some.length > 0 ? [`with some seeds by ${names(some)}`] : []),
    ...(none.length > 0 ? [`not by ${names(none)}`] : []),
  ];
  return `${task.title}: ${parts.join('; ')}.`;
}
