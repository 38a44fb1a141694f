import { formatCount, formatDuration } from '../../../format.ts';
import { compact } from '../../arena/report/format.ts';
import { type Drawing, type Section, text } from '../../arena/report/section.ts';
import type { Axis, Series } from '../../charts/line_chart.ts';
import { type Analysis, type Budget, frontier, type ModelFindings, type Training } from './analysis.ts';
import { mean } from './contests.ts';
import { drawing } from './drawing.ts';

const LOSS: Axis = { label: 'nats per token', format: (value) => value.toFixed(2) };

/** Loss against what a model has and costs. */
export function lossSection(analysis: Analysis): Section | undefined {
  const charts = [...bySize(analysis), ...byTokens(analysis), ...BUDGETS.flatMap(byBudget(analysis))];
  if (charts.length === 0) return undefined;
  return {
    id: 'loss',
    title: 'Loss against size, data and cost',
    blocks: [
      text(
        `Loss on text that was held out, in sequences of ${analysis.context} tokens, as those of training. Against operations and time ` +
          'a line goes through the trainings that no cheaper one of the same model beats.',
      ),
      { kind: 'charts', charts },
    ],
  };
}

function seriesOf(
  model: ModelFindings,
  trainings: readonly Training[],
  x: (training: Training) => number,
): Series {
  const byX = new Map<number, Training[]>();
  for (const training of trainings) byX.set(x(training), [...(byX.get(x(training)) ?? []), training]);
  const points = [...byX]
    .map(([at, same]) => ({
      x: at,
      y: mean(same.map(({ loss }) => loss)) ?? Number.NaN,
      tip: `${model.title}\n${same.map(tipOf).join('\n')}`,
    }))
    .sort((a, b) => a.x - b.x);
  return { name: model.title, style: model.style, points };
}

const tipOf = ({ record, loss }: Training): string =>
  `${formatCount(record.parameters)} parameters, ${formatCount(record.tokens)} tokens, seed ${record.seed}: ${loss.toFixed(3)}`;

/** With the most tokens for each parameter that every size has. */
function bySize({ models }: Analysis): Drawing[] {
  const all = models.flatMap(({ trainings }) => trainings.map(({ record }) => record));
  const sizes = [...new Set(all.map(({ size }) => size))];
  const ratios = [...new Set(all.map(({ tokensPerParameter }) => tokensPerParameter))].sort((a, b) => b - a);
  const ratio = ratios.find((one) =>
    sizes.every((size) => all.some((record) => record.size === size && record.tokensPerParameter === one)),
  );
  if (ratio === undefined || sizes.length < 2) return [];
  return drawing({
    title: `Loss against parameters, ${ratio} tokens for each`,
    x: {
      label: 'parameters beside the embedding',
      log: true,
      ticks: sizes,
      format: (value) => compact(formatCount(value)),
    },
    y: LOSS,
    series: models.map((model) =>
      seriesOf(
        model,
        model.trainings.filter(({ record }) => record.tokensPerParameter === ratio),
        ({ record }) => record.size,
      ),
    ),
    markers: true,
  });
}

/** Of the size that was trained with the most amounts of data. */
function byTokens({ models }: Analysis): Drawing[] {
  const all = models.flatMap(({ trainings }) => trainings.map(({ record }) => record));
  const amounts = (size: number): number =>
    new Set(all.filter((record) => record.size === size).map(({ tokensPerParameter }) => tokensPerParameter))
      .size;
  const [size] = [...new Set(all.map(({ size: one }) => one))].sort(
    (a, b) => amounts(b) - amounts(a) || b - a,
  );
  if (size === undefined || amounts(size) < 2) return [];
  return drawing({
    title: `Loss against tokens, ${formatCount(size)} parameters`,
    x: { label: 'tokens of training', log: true, format: (value) => compact(formatCount(value)) },
    y: LOSS,
    series: models.map((model) =>
      seriesOf(
        model,
        model.trainings.filter(({ record }) => record.size === size),
        ({ record }) => record.tokens,
      ),
    ),
    markers: true,
  });
}

const BUDGETS: readonly (readonly [Budget, string, Axis])[] = [
  [
    'flops',
    'operations',
    { label: 'operations of training', log: true, format: (value) => value.toExponential(0) },
  ],
  ['seconds', 'time', { label: 'time of training by the clock', log: true, format: formatDuration }],
  [
    'cpuSeconds',
    'processor time',
    { label: 'processor time of training', log: true, format: formatDuration },
  ],
];

const byBudget =
  ({ models }: Analysis) =>
  ([budget, name, x]: readonly [Budget, string, Axis]): Drawing[] =>
    drawing({
      title: `Loss against ${name}`,
      x,
      y: LOSS,
      series: models.map((model) =>
        seriesOf(model, frontier(model.trainings, budget), ({ record }) => record[budget]),
      ),
      markers: true,
    });
