import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mergeArenas } from '../../lab/arena/merge.ts';
import { aRun } from '../../lab/arena/report/testing/records.ts';
import { recordLines } from '../../lab/cells/merge.ts';
import { readRecords } from '../../lab/cells/record_file.ts';
import { corpusFolder, prepareCorpus } from '../../lab/scaling/corpus.ts';
import { mergeStudies } from '../../lab/scaling/merge.ts';
import { QUICK_STUDY, studySettings } from '../../lab/scaling/options.ts';
import { type StudyRecord, studyRecords } from '../../lab/scaling/records.ts';
import { aStudyRecord } from '../../lab/scaling/testing/records.ts';
import { arenaMergeCommand } from './arena_merge.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'merge-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, settings: object, records: readonly object[]): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'settings.json'), JSON.stringify(settings));
  writeFileSync(join(path, 'results.jsonl'), recordLines(records));
  return path;
}

async function study(name: string, records: readonly StudyRecord[], changes: object = {}): Promise<string> {
  const text = join(folder, 'text.txt');
  writeFileSync(text, 'one two three four five six seven eight\n'.repeat(100));
  const { digest } = await prepareCorpus(corpusFolder(join(folder, name)), [text], 280);
  const settings = {
    ...QUICK_STUDY,
    study: 'scaling',
    engine: 'native',
    digest,
    settings: studySettings(QUICK_STUDY),
    ...changes,
  };
  return write(name, settings, records);
}

const failed = { status: 'failed', message: 'out of luck', loss: undefined } as const;

describe('results of several machines', () => {
  it('of a scaling study become one folder; what failed on one is taken from another', async () => {
    const a = await study('a', [aStudyRecord({}), aStudyRecord({ model: 'lstm', ...failed })]);
    const b = await study(
      'b',
      [aStudyRecord({ model: 'lstm' }), aStudyRecord({ loss: { token: 9, byte: 3 } })],
      {
        sizes: [7500],
        engine: 'wasm',
      },
    );
    const out = join(folder, 'out');
    expect(await mergeStudies(out, [a, b])).toEqual({ records: 2, repeated: 2 });
    const records = readRecords(join(out, 'results.jsonl'), studyRecords);
    expect(records).toEqual([aStudyRecord({}), aStudyRecord({ model: 'lstm' })]);
    expect(readFileSync(join(out, 'report.md'), 'utf8')).toContain('LSTM');
    const settings = JSON.parse(readFileSync(join(out, 'settings.json'), 'utf8'));
    expect(settings.sizes).toEqual([7500, ...QUICK_STUDY.sizes]);
    await expect(mergeStudies(out, [a, b])).rejects.toThrow('expected no results yet, found some');
  });

  it.each([
    ['models', 5],
    ['sizes', [null]],
    ['seeds', 1e300],
    ['settings', { tokensPerStep: '2048' }],
  ])('are refused where the settings of a study are foreign: %s', async (key, value) => {
    const a = await study('a', [aStudyRecord({})], { [key]: value });
    await expect(mergeStudies(join(folder, 'out'), [a])).rejects.toThrow(
      new RegExp(`^${a}/settings\\.json: ${key}.*: expected .*, found `),
    );
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });

  it('of the arena, too', async () => {
    const settings = { budget: 8000, quick: true };
    const a = write('a', settings, [aRun({ task: 'parity', model: 'lstm' })]);
    const b = write('b', { ...settings, engine: 'wasm' }, [aRun({ task: 'parity', model: 'gru' })]);
    expect(await mergeArenas(join(folder, 'out'), [a, b])).toEqual({ records: 2, repeated: 0 });
    expect(readFileSync(join(folder, 'out/report.md'), 'utf8')).toContain('GRU');
  });

  it('are not merged where they do not stand side by side', async () => {
    const a = await study('a', [aStudyRecord({})]);
    const out = join(folder, 'out');
    const other = await study('b', [], { digest: 'ffff' });
    await expect(mergeStudies(out, [a, other])).rejects.toThrow(
      /^digest: .*a was made with ".*b with "ffff"$/,
    );
    await expect(mergeStudies(out, [a, folder])).rejects.toThrow('found no settings.json in it');
    const arena = write('arena', { budget: 8000 }, []);
    await expect(mergeArenas(out, [arena, write('c', { budget: 9000 }, [])])).rejects.toThrow(
      /^budget: .* was made with 8000, .* with 9000$/,
    );
    const command = arenaMergeCommand().exitOverride();
    await expect(command.parseAsync([out, a, arena], { from: 'user' })).rejects.toThrow(
      /has results of a scaling study, .* of the arena$/,
    );
  });
});
