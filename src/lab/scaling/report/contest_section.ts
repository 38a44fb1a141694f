import { formatSigned } from '../../arena/report/format.ts';
import { type Block, type Section, table, text } from '../../arena/report/section.ts';
import { figures, words } from '../../arena/report/table.ts';
import type { Estimate } from '../bootstrap.ts';
import type { Analysis } from './analysis.ts';
import { against, type Contest, leaders, outcome } from './contests.ts';

/** 4.812 [4.801, 4.830] */
export function withInterval({ value, low, high }: Estimate, decimals = 3): string {
  // Adding 0 turns −0 into 0.
  const shown = (one: number): string => formatSigned(Number(one.toFixed(decimals)) + 0, decimals);
  return `${shown(value)} [${shown(low)}, ${shown(high)}]`;
}

/** Who is ahead where what is equal. */
export function contestSection(contests: readonly Contest[], analysis: Analysis): Section | undefined {
  if (contests.length === 0) return undefined;
  return {
    id: 'ahead',
    title: 'Who is ahead',
    blocks: [
      text(
        'The mean of the same trainings is compared training by training. Losses by the laws are those of ' +
          'L(N, D) = E + A N^−α + B D^−β of each model, at equal cost those of L(C) = E + K C^−γ, at the largest value that all models ' +
          `reached. In brackets: the middle 95 % of what follows from trainings that were drawn anew 200 times. ${chanceWords(analysis)} ` +
          'Where the interval of a difference has both signs, it is not decided. ' +
          'The best xLSTM and the best other model are chosen by the same numbers, which favours both.',
      ),
      ...leaderTable(contests),
      {
        kind: 'tables',
        tables: contests.map(({ title, unit, entries }) => ({
          title: capital(`${title}: ${unit}`),
          columns: [words('model'), figures('estimate')],
          rows: entries.map(({ model, estimate }) => ({ cells: [model.title, withInterval(estimate)] })),
        })),
      },
      ...missing(analysis),
    ],
  };
}

/** What the intervals have of chance. */
const chanceWords = ({ deviation }: Analysis): string =>
  deviation === undefined
    ? 'No training has a second seed: what chance does to a loss is not in it.'
    : `Each of them has the chance in it that a training has from seed to seed, a standard deviation of ${deviation.toPrecision(2)} nats in all that have several.`;

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function leaderTable(contests: readonly Contest[]): Block[] {
  const rows = contests.flatMap((contest) => {
    const found = leaders(contest);
    if (!found) return [];
    const gap = against(found.xlstm, found.other);
    return [
      {
        cells: [
          capital(contest.title),
          found.xlstm.model.title,
          withInterval(found.xlstm.estimate),
          found.other.model.title,
          withInterval(found.other.estimate),
          withInterval(gap),
          outcome(gap) === 'not decided' ? 'not decided' : `xLSTM ${outcome(gap)}`,
        ],
      },
    ];
  });
  if (rows.length === 0) return [];
  return [
    table({
      title: 'The best xLSTM beside the best of the others',
      look: 'dense',
      columns: [
        words('equal'),
        words('best xLSTM'),
        figures('estimate'),
        words('best other'),
        figures('estimate'),
        figures('difference'),
        words('outcome'),
      ],
      rows,
    }),
  ];
}

function missing({ models }: Analysis): Block[] {
  const without = models
    .filter(({ surface, trainings }) => !surface && trainings.length > 0)
    .map(({ title }) => title);
  if (without.length === 0) return [];
  return [
    text(
      `No law of size and data for ${without.join(', ')}: it needs at least six trainings that differ in size or data.`,
    ),
  ];
}
