import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Engine } from '../../compute/engines/engine.ts';
import { createReferenceEngine } from '../../compute/engines/reference/engine.ts';
import { type StudySpec, studyCellKey } from './cell.ts';
import { QUICK_STUDY, type StudyOptions } from './options.ts';
import { plannedCells } from './plan.ts';
import { runStudy, type StudyResult, type StudyRunner } from './study.ts';
import { aStudyRecord } from './testing/records.ts';

let engine: Engine;
let folder: string;
let options: StudyOptions;
beforeAll(() => {
  engine = createReferenceEngine();
});
afterAll(() => engine.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scaling-'));
  const text = join(folder, 'text.txt');
  writeFileSync(text, 'one two three four five six seven eight nine ten\n'.repeat(400));
  options = {
    ...QUICK_STUDY,
    ...{ models: ['transformer', 'lstm'], sizes: [7500, 15_000], rates: [1e-3, 2e-3, 4e-3] },
    ...{ data: [text], vocabSize: 300, engine: 'reference' },
  };
});
afterEach(() => rmSync(folder, { recursive: true }));

const started: StudySpec[] = [];
beforeEach(() => {
  started.length = 0;
});

/** Has a loss that is least at a rate of 2e-3, and takes a second for every 1e9 operations. */
const fake: StudyRunner = async (spec) => {
  started.push(spec);
  const { cell, learningRate } = spec;
  const flops = cell.kind === 'cost' ? 0 : cell.size * 1e5;
  const token = 5 + Math.log(learningRate / 2e-3) ** 2;
  const { parameters, embeddingParameters } = spec;
  const measured = cell.kind === 'cost' ? { loss: undefined } : { loss: { token, byte: token / 2 } };
  const head = { ...cell, parameters, embeddingParameters, learningRate, code: spec.code };
  return aStudyRecord({ ...head, ...measured, flops, wallSeconds: flops / 1e9 });
};

const study = (changes: Partial<StudyOptions> = {}, runner = fake): Promise<StudyResult> =>
  runStudy({
    options: { ...options, ...changes },
    folder: join(folder, 'out'),
    ...{ jobs: 2, runner, engine, signal: new AbortController().signal },
  });

describe('a scaling study', () => {
  it('finds the learning rates first, uses them, measures time at the end, and runs nothing twice', async () => {
    const { records, notRun } = await study();
    expect(notRun).toEqual([]);
    expect(records.map(studyCellKey).sort()).toEqual(plannedCells(options).map(studyCellKey).sort());
    const kinds = started.map(({ cell }) => cell.kind);
    expect(kinds.lastIndexOf('rate')).toBeLessThan(kinds.indexOf('train'));
    expect(kinds.lastIndexOf('train')).toBeLessThan(kinds.indexOf('cost'));
    const trained = started.filter(({ cell }) => cell.kind === 'train');
    for (const { learningRate } of trained) expect(learningRate).toBeCloseTo(2e-3, 6);
    // Of each size long sequences are measured with the most data.
    expect(trained.filter(({ long }) => long).map(({ cell }) => cell.tokensPerParameter)).toEqual(
      Array(4).fill(20),
    );
    expect(new Set(started.map(({ cell, jobs }) => `${cell.kind} ${jobs}`))).toEqual(
      new Set(['rate 2', 'train 2', 'cost 1']),
    );
    expect(readFileSync(join(folder, 'out/report.html'), 'utf8')).toContain('xLSTM scaling study');

    started.length = 0;
    const again = await study();
    expect(started).toEqual([]);
    expect(again.records).toEqual(records);
  });

  it('sweeps on where the best rate is the largest that it began with', async () => {
    const { records, notRun } = await study({ models: ['lstm'], rates: [2.5e-4, 5e-4, 1e-3] });
    const swept = records.filter(({ kind, size }) => kind === 'rate' && size === 7500);
    expect(swept.map(({ rate }) => rate).sort()).toEqual([2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3]);
    expect(started.find(({ cell }) => cell.kind === 'train')?.learningRate).toBeCloseTo(2e-3, 6);
    expect(notRun).toEqual([]);
  });

  it('does not start what does not fit into the time, and lists it', async () => {
    const slow: StudyRunner = async (...args) => {
      const record = await fake(...args);
      return record.kind === 'rate' ? { ...record, wallSeconds: 3600 } : record;
    };
    const { notRun, interrupted } = await study({ minutes: 1 }, slow);
    expect(interrupted).toBe(false);
    expect(started.some(({ cell }) => cell.kind === 'train')).toBe(false);
    const listed = notRun.filter(({ cell }) => cell.kind === 'train');
    expect(listed.length).toBe(8);
    expect(listed.every(({ seconds = 0 }) => seconds > 1000)).toBe(true);
    expect(readFileSync(join(folder, 'out/report.md'), 'utf8')).toContain('Not run, for want of time');
  });

  it('trains nothing of a model without a learning rate, and tries again what failed', async () => {
    const broken: StudyRunner = async (spec, ...rest) => {
      if (spec.cell.model === 'lstm') throw new Error('out of luck');
      return fake(spec, ...rest);
    };
    const { records, notRun } = await study({}, broken);
    expect(records.filter(({ status }) => status === 'failed').every(({ model }) => model === 'lstm')).toBe(
      true,
    );
    expect(notRun.map(({ cell }) => `${cell.kind} ${cell.model}`)).toEqual(Array(4).fill('train lstm'));
    const again = await study();
    expect(again.notRun).toEqual([]);
    expect(again.records.every(({ status }) => status === 'done')).toBe(true);
  });

  it('does not mix results of different texts', async () => {
    await study({ models: ['lstm'] });
    await expect(study({ models: ['lstm'], data: [join(folder, 'other.txt')] })).rejects.toThrow(
      'holds results with data',
    );
  });
});
