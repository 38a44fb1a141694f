import { formatBytes, formatCount, formatInteger } from '../../../format.ts';
import { type CostPoint, crossing, crossingWords } from '../../arena/report/crossing.ts';
import { compact, formatMs } from '../../arena/report/format.ts';
import { type Block, type Drawing, type Section, table, text } from '../../arena/report/section.ts';
import { words } from '../../arena/report/table.ts';
import type { Analysis, ModelFindings } from './analysis.ts';
import { drawing } from './drawing.ts';

export type CostMeasure = 'firstMs' | 'tokenMs' | 'stateBytes';

const MEASURES: Readonly<
  Record<CostMeasure, { title: string; label: string; format: (value: number) => string }>
> = {
  firstMs: { title: 'Time to the first token', label: 'ms', format: formatMs },
  tokenMs: { title: 'Time of each further token', label: 'ms', format: formatMs },
  stateBytes: { title: 'Memory of the state', label: 'bytes', format: formatBytes },
};
const measureNames = Object.keys(MEASURES) as CostMeasure[];

/** Time and memory of reading and writing against length, of the largest models that were measured. */
export function costSection(analysis: Analysis): Section | undefined {
  const size = costSize(analysis);
  if (size === undefined) return undefined;
  const batches = batchesOf(analysis);
  return {
    id: 'cost',
    title: 'Cost of long sequences',
    blocks: [
      text(
        `Models of ${formatCount(size)} parameters that were not trained, alone on the machine as far as the study knows. Both axes are ` +
          'logarithmic: cost that does not depend on length is level.',
      ),
      {
        kind: 'charts',
        charts: batches.flatMap((batch) =>
          measureNames.flatMap((measure) => chart(analysis, measure, batch)),
        ),
      },
      ...crossings(analysis),
    ],
  };
}

/** The largest size with measured cost. */
export function costSize({ models }: Analysis): number | undefined {
  const sizes = models.flatMap(({ records }) => records.filter(({ cost }) => cost).map(({ size }) => size));
  return sizes.length > 0 ? Math.max(...sizes) : undefined;
}

const batchesOf = ({ models }: Analysis): number[] =>
  [
    ...new Set(
      models.flatMap(({ records }) => records.flatMap(({ cost }) => (cost ?? []).map(({ batch }) => batch))),
    ),
  ].sort((a, b) => a - b);

export function costPoints(
  { records }: ModelFindings,
  size: number | undefined,
  measure: CostMeasure,
  batch: number,
): CostPoint[] {
  return records
    .filter((record) => record.size === size)
    .flatMap(({ cost }) => cost ?? [])
    .filter((row) => row.batch === batch)
    .map((row) => ({ length: row.length, cost: row[measure] }))
    .sort((a, b) => a.length - b.length);
}

function chart(analysis: Analysis, measure: CostMeasure, batch: number): Drawing[] {
  const { title, label, format } = MEASURES[measure];
  const size = costSize(analysis);
  const series = analysis.models.map((model) => ({
    name: model.title,
    style: model.style,
    points: costPoints(model, size, measure, batch).map(({ length, cost }) => ({
      x: length,
      y: cost,
      tip: `${model.title}\n${formatInteger(length)} tokens: ${format(cost)}${label === 'ms' ? ' ms' : ''}`,
    })),
  }));
  const lengths = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort(
    (a, b) => a - b,
  );
  return drawing({
    title: `${title}, ${batch === 1 ? 'one sequence' : `${batch} sequences`}`,
    series,
    x: { label: 'tokens before', log: true, ticks: lengths, format: formatInteger },
    y: { label, log: true, format: (value) => compact(format(value)) },
    markers: true,
  });
}

/** Where each model becomes cheaper than the Transformer. */
function crossings(analysis: Analysis): Block[] {
  const transformer = analysis.models.find(({ model }) => model === 'transformer');
  const others = analysis.models.filter(({ model }) => model !== 'transformer');
  const size = costSize(analysis);
  if (!transformer || others.length === 0) return [];
  const batches = batchesOf(analysis);
  const pairs = batches.flatMap((batch) => measureNames.map((measure) => ({ batch, measure })));
  return [
    table({
      title: 'Where a model is cheaper than the Transformer',
      look: 'prose',
      columns: [
        words('model'),
        ...pairs.map(({ batch, measure }) =>
          words(`${MEASURES[measure].title.toLowerCase()}, batch ${batch}`),
        ),
      ],
      rows: others.map((model) => ({
        cells: [
          model.title,
          ...pairs.map(({ batch, measure }) =>
            crossingWords(
              crossing(
                costPoints(model, size, measure, batch),
                costPoints(transformer, size, measure, batch),
              ),
            ),
          ),
        ],
      })),
    }),
  ];
}
