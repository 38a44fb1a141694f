import { formatCount, formatInteger } from '../../../format.ts';
import { crossing, crossingWords } from '../../arena/report/crossing.ts';
import { count, formatSigned } from '../../arena/report/format.ts';
import { type Section, text } from '../../arena/report/section.ts';
import type { Analysis } from './analysis.ts';
import { withInterval } from './contest_section.ts';
import { against, type Contest, type Entry, entryOf, outcome } from './contests.ts';
import { costPoints, costSize } from './cost_section.ts';
import type { StudyFindings } from './findings.ts';
import { distancesOf, recallAt } from './long_section.ts';

/** The question, the answer in a few sentences made of the numbers, and what would change it. */
export function answerSection(
  analysis: Analysis,
  contests: readonly Contest[],
  findings: StudyFindings,
): Section {
  const sentences = [
    lossSentence(contests, 'size', 'At equal size and data'),
    lossSentence(contests, 'flops', 'For the same operations of training'),
    lossSentence(contests, 'cpuSeconds', 'In the same processor time'),
    lossSentence(contests, 'beyond', 'Beyond the training length'),
    costSentence(analysis) ?? recallSentence(analysis),
  ].filter((sentence) => sentence !== undefined);
  return {
    id: 'answer',
    title: 'Are xLSTMs a threat to Transformers?',
    blocks: [
      ...(sentences.length > 0
        ? [{ kind: 'list', items: sentences } as const]
        : [text('No two models have come far enough to be held side by side.')]),
      text(changeSentence(analysis, findings)),
    ],
  };
}

/** The best xLSTM beside the Transformer, and the best of all where it is another. */
function lossSentence(contests: readonly Contest[], id: Contest['id'], when: string): string | undefined {
  const contest = contests.find((one) => one.id === id);
  const xlstm = contest?.entries.find(({ model }) => model.family === 'xlstm');
  const transformer = contest && entryOf(contest, 'transformer');
  if (!contest || !xlstm || !transformer) return undefined;
  const gap = against(xlstm, transformer);
  const result = outcome(gap);
  const judged =
    result === 'not decided'
      ? 'it is not decided whether the best xLSTM or the Transformer is ahead'
      : `the best xLSTM is ${result}${result === 'ahead' ? ' of' : ''} the Transformer`;
  const number = ({ estimate }: Entry): string => formatSigned(estimate.value, 3);
  const [best] = contest.entries;
  const lowest =
    best === xlstm || best === transformer ? '' : ` Lowest: ${best.model.title}, ${number(best)}.`;
  return (
    `${when} ${judged}, difference ${withInterval(gap)} ${contest.unit}: ${xlstm.model.title} ${number(xlstm)}, ` +
    `Transformer ${number(transformer)} (${contest.title}).${lowest}`
  );
}

function costSentence(analysis: Analysis): string | undefined {
  const size = costSize(analysis);
  const transformer = analysis.models.find(({ model }) => model === 'transformer');
  const xlstm = analysis.models.filter(
    (model) => model.family === 'xlstm' && costPoints(model, size, 'tokenMs', 1).length > 0,
  );
  if (!transformer || size === undefined || xlstm.length === 0) return undefined;
  const said = xlstm.map(
    (model) =>
      `${model.title} ${crossingWords(crossing(costPoints(model, size, 'tokenMs', 1), costPoints(transformer, size, 'tokenMs', 1)))}`,
  );
  return `A further token is cheaper than the Transformer’s, at ${formatCount(size)} parameters: ${said.join('; ')}.`;
}

function recallSentence(analysis: Analysis): string | undefined {
  const distance = distancesOf(analysis).at(-1);
  if (distance === undefined) return undefined;
  const said = analysis.models.flatMap((model) => {
    const found = recallAt(model, distance);
    return found ? [`${model.title} ${withInterval(found)}`] : [];
  });
  if (said.length === 0) return undefined;
  return `Of a fact planted ${formatInteger(distance)} tokens before, this part is recalled: ${said.join(', ')}.`;
}

function changeSentence({ models }: Analysis, { records, notRun }: StudyFindings): string {
  const trained = records.filter(({ kind, status }) => kind === 'train' && status === 'done');
  if (trained.length === 0) return 'What would change it: any training at all.';
  const largest = Math.max(...trained.map(({ parameters }) => parameters));
  const tokens = Math.max(...trained.map((record) => record.tokens));
  const seeds = new Set(trained.map(({ seed }) => seed)).size;
  const least = Math.min(
    ...models.map(({ trainings }) => trainings.length).filter((trainings) => trainings > 0),
  );
  return (
    `What would change it: size (the largest model here has ${formatCount(largest)} parameters beside its embedding, those of the papers ` +
    `80M to 7B), data (${formatCount(tokens)} tokens at most), ${count(seeds, 'seed')}, and the ${count(trained.length, 'training')} behind it, ` +
    `of each model ${least} at least${notRun.length > 0 ? `; ${count(notRun.length, 'cell')} did not fit into the time` : ''}.`
  );
}
