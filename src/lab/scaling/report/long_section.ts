import { formatCount, formatInteger, NOTHING } from '../../../format.ts';
import { compact, formatSigned } from '../../arena/report/format.ts';
import { type Block, type Drawing, type Section, table, text } from '../../arena/report/section.ts';
import { figures, words } from '../../arena/report/table.ts';
import { bootstrapMean, type Estimate, estimate } from '../bootstrap.ts';
import type { StudyRecord } from '../records.ts';
import type { Analysis, ModelFindings } from './analysis.ts';
import { withInterval } from './contest_section.ts';
import { mean } from './contests.ts';
import { drawing } from './drawing.ts';

/** What models make of long sequences: loss by position, and facts that were planted before. */
export function longSection(analysis: Analysis): Section | undefined {
  const charts = [...positionChart(analysis), ...recallChart(analysis)];
  if (charts.length === 0) return undefined;
  return {
    id: 'long',
    title: 'Long sequences',
    blocks: [
      text(
        'The same sequences of held-out text for all models. A point of the loss by position stands for the places from the one ' +
          'before it on. A fact is a row of 16 tokens drawn from the text at random, which comes again after some distance; the ' +
          'first half of it is the cue, the second half is asked for. What is recalled is 1 − loss of that half / loss of the same half of ' +
          'a row that was not there before: 0 is nothing, 1 all.',
      ),
      { kind: 'charts', charts },
      ...recallTable(analysis),
    ],
  };
}

/** Of the largest size that was measured. */
function largest<K extends 'positions' | 'recall'>(
  { records }: ModelFindings,
  measure: K,
  context: number,
): NonNullable<StudyRecord[K]> | undefined {
  const measured = records.filter((record) => record[measure] && record.context === context);
  measured.sort((a, b) => b.size - a.size);
  return measured[0]?.[measure] ?? undefined;
}

function positionChart({ models, context }: Analysis): Drawing[] {
  return drawing(
    {
      title: `Loss by position, largest models, trained to ${formatInteger(context)}`,
      x: { label: 'place in the sequence', log: true, format: (value) => compact(formatCount(value)) },
      y: { label: 'nats per token', format: (value) => value.toFixed(1) },
      shade: { from: 1, to: context, label: 'trained' },
      series: models.map((model) => ({
        name: model.title,
        style: model.style,
        points: (largest(model, 'positions', context) ?? []).map(({ from, to, loss }) => ({
          x: to,
          y: loss,
          tip: `${model.title}\nplaces ${formatInteger(from)} to ${formatInteger(to - 1)}: ${loss.toFixed(3)}`,
        })),
      })),
      markers: true,
    },
    'Of the first places a point is the mean of a few tokens.',
  );
}

function recallChart({ models, context }: Analysis): Drawing[] {
  return drawing({
    title: 'Recall of a planted fact, largest models',
    x: { label: 'tokens since it was planted', log: true, format: (value) => compact(formatCount(value)) },
    y: { label: 'recalled', format: (value) => value.toFixed(2) },
    series: models.map((model) => ({
      name: model.title,
      style: model.style,
      points: (largest(model, 'recall', context) ?? []).map((row) => ({
        x: row.distance,
        y: recalled(row),
        tip: `${model.title}\nafter ${formatInteger(row.distance)} tokens: ${recalled(row).toFixed(3)}`,
      })),
    })),
    markers: true,
  });
}

const recalled = ({ planted, control }: { readonly planted: number; readonly control: number }): number =>
  1 - planted / control;

/** The mean over the models of a kind of what is recalled after so many tokens, with an interval. */
export function recallAt({ model, records }: ModelFindings, distance: number): Estimate | undefined {
  const sampled = bootstrapMean(recalledAt(records, distance), `${model} recall ${distance}`);
  return sampled && estimate(sampled, (one) => one);
}

const recalledAt = (records: readonly StudyRecord[], distance: number): number[] =>
  records.flatMap(({ recall }) => (recall ?? []).filter((row) => row.distance === distance).map(recalled));

function meanText(values: readonly number[]): string {
  const found = mean(values);
  return found === undefined ? NOTHING : formatSigned(found, 3);
}

export const distancesOf = ({ models }: Analysis): number[] =>
  [
    ...new Set(
      models.flatMap(({ records }) =>
        records.flatMap(({ recall }) => (recall ?? []).map(({ distance }) => distance)),
      ),
    ),
  ].sort((a, b) => a - b);

function recallTable(analysis: Analysis): Block[] {
  const distances = distancesOf(analysis);
  if (distances.length === 0) return [];
  return [
    table({
      title:
        'Recalled after so many tokens: the mean over all sizes, with its interval where there are three',
      look: 'dense',
      columns: [words('model'), ...distances.map((distance) => figures(formatInteger(distance)))],
      rows: analysis.models.map((model) => ({
        cells: [
          model.title,
          ...distances.map((distance) => {
            const found = recallAt(model, distance);
            return found ? withInterval(found) : meanText(recalledAt(model.records, distance));
          }),
        ],
      })),
    }),
  ];
}
