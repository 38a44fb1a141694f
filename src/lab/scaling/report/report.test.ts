import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PowerLaw, predictedLoss } from '../fit.ts';
import { QUICK_STUDY, studySettings } from '../options.ts';
import type { StudyRecord } from '../records.ts';
import { aStudyRecord } from '../testing/records.ts';
import { analyse, frontier } from './analysis.ts';
import { claimSection } from './claims.ts';
import { against, contestsOf, entryOf, outcome } from './contests.ts';
import { writeStudyReport } from './report.ts';

const law = (irreducible: number): PowerLaw => ({
  irreducible,
  terms: [
    { factor: 40, exponent: 0.3 },
    { factor: 60, exponent: 0.3 },
  ],
});

/** Trainings and measurements of a model that follows a law, with a little noise. */
function recordsOf(model: string, irreducible: number, changes: Partial<StudyRecord> = {}): StudyRecord[] {
  const trained = [30_000, 60_000, 100_000].flatMap((size, i) =>
    [10, 20, 60].map((tokensPerParameter, k) => {
      const tokens = size * tokensPerParameter;
      const noise = 1 + 0.002 * (((7 * i + 3 * k) % 5) - 2);
      const token = noise * predictedLoss(law(irreducible), [size, tokens]);
      const flops = 6 * size * tokens;
      const cost = { flops, seconds: flops / 1e9, cpuSeconds: flops / 1e9 };
      const loss = { token, byte: token / 3 };
      const long = tokensPerParameter === 60 ? longOf(model, size) : {};
      return aStudyRecord({
        model,
        size,
        parameters: size,
        tokensPerParameter,
        tokens,
        loss,
        ...cost,
        ...long,
      });
    }),
  );
  const cost = aStudyRecord({ model, kind: 'cost', size: 100_000, loss: undefined, ...costOf(model) });
  return [...trained, cost].map((record) => ({ ...record, ...changes }));
}

const grows = (model: string): boolean => model === 'transformer';

const longOf = (model: string, size: number): Partial<StudyRecord> => ({
  positions: [128, 256, 4096, 8192].map((to) => ({
    from: to / 2,
    to,
    loss: to <= 256 ? 5 : grows(model) ? 7 + size / 1e6 : 4.9 + size / 1e7,
  })),
  recall: [16, 1024].map((distance) => ({ distance, planted: grows(model) ? 2 : 5.9, control: 6 })),
});

const costOf = (model: string): Partial<StudyRecord> => ({
  cost: [1, 16].flatMap((batch) =>
    [128, 512, 2048].map((length) => ({
      batch,
      length,
      firstMs: grows(model) ? length ** 2 / 1e4 : length / 10,
      tokenMs: grows(model) ? length / 1000 : 0.2,
      stateBytes: grows(model) ? 512 * length : 65_536,
      programBytes: 1e6,
    })),
  ),
});

const good = recordsOf('xlstm[1:0]', 3);
const alike = [...good, ...recordsOf('transformer', 3)];
const apart = [...good, ...recordsOf('transformer', 3.4)];
const [ahead, level] = [apart, alike].map((records) => {
  const analysis = analyse(records);
  return { analysis, contests: contestsOf(analysis) };
});

describe('the comparison of models', () => {
  it('decides where losses are apart, and not where they are alike', () => {
    const compared = (found: typeof ahead, id: string): string => {
      const contest = found.contests.find((one) => one.id === id);
      const [a, b] = ['xlstm[1:0]', 'transformer'].map((model) => contest && entryOf(contest, model));
      return a && b ? outcome(against(a, b)) : 'missing';
    };
    for (const id of ['size', 'law', 'flops', 'seconds', 'cpuSeconds']) {
      expect(compared(ahead, id), id).toBe('ahead');
      expect(compared(level, id), id).toBe('not decided');
    }
    expect(compared(level, 'beyond')).toBe('ahead');
  });

  it('finds the law that the trainings follow', () => {
    const { surface } = ahead.analysis.models[0];
    expect(surface && predictedLoss(surface.value, [1e5, 6e6])).toBeCloseTo(
      predictedLoss(law(3), [1e5, 6e6]),
      1,
    );
    expect(ahead.contests.map(({ title }) => title).slice(0, 2)).toEqual([
      'mean of the same 9 trainings, 30k to 100k parameters',
      '100k parameters, 6M tokens, by the laws',
    ]);
  });

  it('draws the line of what no cheaper training beats', () => {
    const trainings = [
      [1, 5],
      [2, 6],
      [3, 4],
      [3, 4.5],
    ].map(([flops, loss]) => ({ record: aStudyRecord({ flops }), loss }));
    expect(frontier(trainings, 'flops').map(({ loss }) => loss)).toEqual([5, 4]);
  });

  it('gives a verdict on each claim by the numbers', () => {
    const verdicts = ({ analysis, contests }: typeof ahead): string[] => {
      const [, block] = claimSection(analysis, contests).blocks;
      return block.kind === 'table' ? block.table.rows.map(({ cells }) => cells[3]) : [];
    };
    expect(verdicts(ahead)).toEqual([
      'holds at this size',
      'not measured',
      'not measured',
      'holds at this size',
      'holds',
      'not measured',
      'holds at this size',
    ]);
    expect(verdicts(level)[0]).toBe('not decided');
    const worse = analyse([...recordsOf('xlstm[1:0]', 3.4), ...recordsOf('transformer', 3)]);
    expect(verdicts({ analysis: worse, contests: contestsOf(worse) })[0]).toBe('does not hold');
  });
});

describe('the report of a scaling study', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'scaling-report-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const written = async (records: readonly StudyRecord[], notRun: readonly StudyRecord[] = []) => {
    const settings = studySettings({ quick: true });
    await writeStudyReport(folder, {
      records,
      notRun: notRun.map((cell) => ({ cell, seconds: 90 })),
      facts: {
        ...{ name: 'A text', vocabSize: 1024, tokens: 3e6, bytes: 9e6, digest: '0123' },
        ...{ heldOutTokens: 3e5, heldOutBytes: 9e5 },
      },
      settings: { ...QUICK_STUDY, engine: 'native', study: 'scaling', digest: '0123', settings },
    });
    return {
      html: readFileSync(join(folder, 'report.html'), 'utf8'),
      markdown: readFileSync(join(folder, 'report.md'), 'utf8'),
    };
  };

  it('answers with numbers, names what was not run, and has the data of every chart', async () => {
    const { html, markdown } = await written(apart, [aStudyRecord({ model: 'mamba', size: 1e6 })]);
    expect(markdown).toMatch(
      /At equal size and data the best xLSTM is ahead of the Transformer, difference .*\(mean of the same 9 trainings/,
    );
    expect(markdown).toContain('1 cell did not fit into the time');
    expect(markdown).toContain('train mamba 1000000 × 20 tokens, context 256, seed 1 | 1m 30s');
    expect(html.match(/<svg class="chart"/g)?.length).toBe(13);
    expect(html.match(/<details><summary>Data/g)?.length).toBe(13);
    expect(html).toContain('&quot;xLSTM[1:0]&quot;,128,');
  });

  it.each<[string, StudyRecord[]]>([
    ['nothing', []],
    ['one model', good],
    ['a failed cell', [aStudyRecord({ status: 'failed', message: 'out of luck', loss: undefined })]],
    ['a sweep alone', [aStudyRecord({ kind: 'rate', rate: 0.01 })]],
    ['one training of each', [aStudyRecord({}), aStudyRecord({ model: 'xlstm[1:0]' })]],
  ])('is written of %s', async (_, records) => {
    const { markdown } = await written(records);
    expect(markdown).toContain('# xLSTM scaling study');
    expect(markdown).not.toMatch(/NaN|undefined|Infinity/);
  });
});
