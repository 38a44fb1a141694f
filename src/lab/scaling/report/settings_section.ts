import { formatCount, formatDuration, formatInteger, NOTHING } from '../../../format.ts';
import { count } from '../../arena/report/format.ts';
import { type Block, type Section, table, text } from '../../arena/report/section.ts';
import { figures, words } from '../../arena/report/table.ts';
import { studyCellKey } from '../cell.ts';
import { rateRule } from '../rates.ts';
import { modelsOf } from './appearance.ts';
import type { StudyFindings } from './findings.ts';

/** How it was computed, the learning rates, every cell, and what was not run. */
export function studySettingsSection(findings: StudyFindings): Section {
  const { records, facts, settings } = findings;
  const each = (values: readonly string[]): string => [...new Set(values)].join('; ');
  const { tokensPerStep } = settings.settings;
  return {
    id: 'settings',
    title: 'How it was computed',
    blocks: [
      text(
        `Text: ${facts.name}, ${formatCount(facts.tokens)} tokens to train on and ${formatCount(facts.heldOutTokens)} held out, of a ` +
          `byte-level BPE with ${formatInteger(facts.vocabSize)} tokens that was trained on the former; a token is ` +
          `${(facts.heldOutBytes / facts.heldOutTokens).toFixed(2)} bytes on average. Digest ${facts.digest}.`,
      ),
      text(
        `All models: AdamW (0.9, 0.95, weight decay 0.1), gradients clipped to a norm of 1, ${formatInteger(tokensPerStep)} tokens a step, ` +
          'learning rate rising over the first tenth of the steps and falling to a tenth by a cosine. Sizes count parameters beside ' +
          'the embedding and the output matrix. Operations are counted from the Program that makes a step, embedding included.',
      ),
      text(
        `Code: ${each(records.map(({ code }) => code))}. Engine: ${each(records.map(({ engine }) => engine).filter(Boolean))}. Machine: ` +
          `${each(records.map(({ machine }) => machine))}. Cells at a time: ${each(records.filter(({ kind }) => kind !== 'cost').map(({ jobs }) => String(jobs)))}; ` +
          'seconds are of the clock, and longer where the machine had other work; CPU seconds are the processors’ own.',
      ),
      ...rateTable(findings),
      ...cellTable(findings),
      ...notRunTable(findings),
    ],
  };
}

function rateTable({ records }: StudyFindings): Block[] {
  const rows = modelsOf(records).flatMap(({ model, title }) => {
    const rule = rateRule(records, model);
    if (!rule) return [];
    return [
      {
        cells: [
          title,
          ...[0, 1].map((i) => {
            const best = rule.best[i];
            return best
              ? `${formatCount(best.size)}: ${best.rate.toPrecision(2)}${best.atEdge ? ' (edge)' : ''}`
              : NOTHING;
          }),
          rule.exponent.toFixed(2).replace('-', '−'),
        ],
      },
    ];
  });
  if (rows.length === 0) return [];
  return [
    table({
      title:
        'Learning rates: the least of a parabola over the logarithm of the rate at two sizes, and the power of the size through both, from −0.5 to 0 (edge: the best rate was the smallest or largest tried)',
      columns: [words('model'), words('smaller size'), words('larger size'), figures('exponent')],
      rows,
    }),
  ];
}

function cellTable({ records }: StudyFindings): Block[] {
  const rows = modelsOf(records).flatMap(({ model, title }) =>
    records
      .filter((record) => record.model === model && record.kind === 'train')
      .map((record) => ({
        cells: [
          title,
          formatInteger(record.parameters),
          formatInteger(record.embeddingParameters),
          formatCount(record.tokens),
          String(record.context),
          String(record.seed),
          record.learningRate.toPrecision(2),
          record.flops.toExponential(2),
          formatDuration(record.seconds),
          formatDuration(record.cpuSeconds),
          record.loss?.token.toFixed(3) ?? `${record.status}${record.message ? `: ${record.message}` : ''}`,
          record.loss?.byte.toFixed(3) ?? NOTHING,
        ],
      })),
  );
  if (rows.length === 0) return [];
  return [
    table({
      title: 'Every training, with its loss on held-out text in nats',
      look: 'dense',
      columns: [
        words('model'),
        ...['parameters', 'embedding', 'tokens', 'context', 'seed', 'rate', 'operations', 'time'].map(
          figures,
        ),
        ...['CPU time', 'per token', 'per byte'].map(figures),
      ],
      rows,
    }),
  ];
}

function notRunTable({ notRun }: StudyFindings): Block[] {
  if (notRun.length === 0) return [];
  return [
    table({
      title: `Not run, for want of time: ${count(notRun.length, 'cell')}`,
      columns: [words('cell'), figures('estimated')],
      rows: notRun.map(({ cell, seconds }) => ({
        cells: [studyCellKey(cell), seconds === undefined ? 'unknown' : formatDuration(seconds)],
      })),
    }),
  ];
}
