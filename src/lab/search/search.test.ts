import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWasmEngine } from '../../compute/engines/wasm/engine.ts';
import { type SearchSpec, searchCellKey, TRIAL_SEED } from './cell.ts';
import { mergeSearches } from './merge.ts';
import { QUICK_SEARCH, type SearchOptions } from './options.ts';
import { runSearchCell } from './run_cell.ts';
import { runSearch, type SearchResult, type SearchRunner } from './search.ts';
import { aSearchRecord } from './testing/records.ts';
import { trialOf } from './trials.ts';

let folder: string;
const started: SearchSpec[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'search-'));
  started.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

const options: SearchOptions = {
  ...QUICK_SEARCH,
  ...{ tasks: ['parity', 'mqar'], models: ['lstm', 'transformer'], trials: 3, seeds: 2 },
  ...{ minutes: 10, quick: true, engine: 'reference' },
};

/** The LSTM solves parity with its second setting; the Transformer has its best score with the third. */
const fake: SearchRunner = async (spec) => {
  started.push(spec);
  const { cell, code } = spec;
  const solves = cell.model === 'lstm' && cell.task === 'parity' && cell.trial === 2;
  return aSearchRecord({ ...cell, code, score: solves ? 1 : cell.trial / 10, wallSeconds: 1 });
};

const search = (changes: Partial<SearchOptions> = {}, runner = fake, out = 'out'): Promise<SearchResult> =>
  runSearch({
    options: { ...options, ...changes },
    folder: join(folder, out),
    ...{ jobs: 1, runner, signal: new AbortController().signal },
  });

const ran = (task: string): string[] =>
  started
    .filter(({ cell }) => cell.task === task)
    .map(({ cell }) => searchCellKey(cell).replace(`${task} × `, ''));

describe('a search', () => {
  it('tries the same settings for all until one solves a task, then tests the best of each', async () => {
    const { records, notRun } = await search();
    expect(notRun).toEqual([]);
    expect(ran('parity')).toEqual([
      'trial lstm, setting 1, seed 1000',
      'trial transformer, setting 1, seed 1000',
      'trial lstm, setting 2, seed 1000',
      'trial transformer, setting 2, seed 1000',
      'trial transformer, setting 3, seed 1000',
      'test lstm, setting 2, seed 1',
      'test transformer, setting 3, seed 1',
      'test lstm, setting 2, seed 2',
      'test transformer, setting 3, seed 2',
    ]);
    const { cell, arena } = started[3];
    const { size, ...training } = trialOf(cell.trial);
    expect(arena).toMatchObject({ ...training, seed: TRIAL_SEED, budget: 50_000 * size });
    // Equal tokens: 32 rows of 40, and 64 of 64.
    const stepsOf = (task: string): number | undefined =>
      started.find((spec) => spec.cell.task === task)?.arena.steps;
    expect(stepsOf('parity')).toBe(Math.round(6e6 / (32 * 40)));
    expect(stepsOf('mqar')).toBe(Math.round(6e6 / (64 * 64)));
    const report = readFileSync(join(folder, 'out/report.md'), 'utf8');
    expect(report).toMatch(
      /Parity: learned beyond the training length .* by LSTM 1\.00; not by Transformer 0\.30/,
    );

    started.length = 0;
    expect((await search()).records).toEqual(records);
    expect(started).toEqual([]);
  });

  it('does not test before all have been searched, and starts nothing that does not fit', async () => {
    const slow: SearchRunner = async (...args) => ({ ...(await fake(...args)), wallSeconds: 3600 });
    const { notRun } = await search({ tasks: ['mqar'] }, slow);
    expect(ran('mqar')).toEqual([
      'trial lstm, setting 1, seed 1000',
      'trial transformer, setting 1, seed 1000',
    ]);
    expect(notRun.map(searchCellKey)).toContain('trial mqar × lstm, setting 2, seed 1000');
    expect(readFileSync(join(folder, 'out/report.md'), 'utf8')).toContain('searched in part, not yet tested');
  });

  it('goes on with what several machines have done', async () => {
    await search({ models: ['lstm'], tasks: ['mqar'] }, fake, 'a');
    await search({ models: ['transformer'], tasks: ['mqar'] }, fake, 'b');
    const out = join(folder, 'all');
    expect(await mergeSearches(out, [join(folder, 'a'), join(folder, 'b')])).toEqual({
      records: 10,
      repeated: 0,
    });
    started.length = 0;
    await search({ tasks: ['mqar'] }, fake, 'all');
    expect(started).toEqual([]);
  });

  it('refuses foreign settings, and results of others', async () => {
    await search({ models: ['lstm'], tasks: ['mqar'] });
    await expect(search({ tokens: 5 })).rejects.toThrow('holds results with tokens 6000000, this run has 5');
    const path = join(folder, 'out/settings.json');
    const settings = JSON.parse(readFileSync(path, 'utf8'));
    for (const [key, value] of Object.entries({ models: 5, trials: '3', tasks: ['none'], minutes: null })) {
      writeFileSync(path, JSON.stringify({ ...settings, [key]: value }));
      await expect(mergeSearches(join(folder, 'all'), [join(folder, 'out')])).rejects.toThrow(
        new RegExp(`settings\\.json: ${key}.*: expected `),
      );
    }
    expect(existsSync(join(folder, 'all'))).toBe(false);
  });
});

describe('a cell of a search', () => {
  it('trains as its setting says, and has a score', async () => {
    const engine = await createWasmEngine({ threads: 1 });
    const cell = { kind: 'trial', task: 'parity', model: 'lstm', trial: 1, seed: TRIAL_SEED } as const;
    const arena = { task: 'parity', model: 'lstm', seed: TRIAL_SEED, budget: 1000, quick: true } as const;
    const training = { steps: 2, learningRate: 0.01, curriculum: 0, weightDecay: 0.2, seconds: 1e9 };
    const record = await runSearchCell({ cell, arena: { ...arena, ...training }, code: 'x' }, engine);
    await engine.close();
    expect(record).toMatchObject({ ...cell, status: 'done', steps: 2, code: 'x' });
    expect(record.settings).toMatchObject({ learningRate: 0.01, curriculum: 0, weightDecay: 0.2 });
    expect(Math.abs(record.score ?? 1)).toBeLessThan(0.3);
  });
});
