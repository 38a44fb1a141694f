import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readRecords } from '../cells/record_file.ts';
import { studyCellKey } from './cell.ts';
import { type StudyRecord, studyRecords } from './records.ts';
import { aStudyRecord } from './testing/records.ts';

const { is } = studyRecords.format;

describe('records of a scaling study', () => {
  it.each<[string, object]>([
    ['a loss below 0', { loss: { token: -1, byte: 1 } }],
    ['a loss that is no number', { loss: { token: null, byte: 1 } }],
    ['a part of a step', { steps: 1.5 }],
    ['an unknown kind', { kind: 'cell' }],
    ['no size', { size: undefined }],
    [
      'a cost without a time',
      { cost: [{ batch: 1, length: 8, tokenMs: 1, stateBytes: 1, programBytes: 1 }] },
    ],
  ])('are refused with %s', (_, changes) => {
    expect(is(aStudyRecord({}))).toBe(true);
    expect(is({ ...aStudyRecord({}), ...changes })).toBe(false);
  });

  it('are told apart by what was run, not by what came of it', () => {
    const key = (changes: Partial<StudyRecord>): string => studyCellKey(aStudyRecord(changes));
    expect(key({ loss: undefined, seconds: 0, status: 'failed' })).toBe(key({}));
    const others = [
      { seed: 2 },
      { context: 1024 },
      { size: 1 },
      { tokensPerParameter: 1 },
      { model: 'lstm' },
    ];
    for (const other of others) expect(key(other)).not.toBe(key({}));
    expect(key({ kind: 'rate', rate: 1 })).not.toBe(key({ kind: 'rate', rate: 2 }));
  });

  it('are what was published', () => {
    const published = fileURLToPath(new URL('../../../docs/arena/scaling/results.jsonl', import.meta.url));
    expect(existsSync(published)).toBe(true);
    expect(readRecords(published, studyRecords).length).toBeGreaterThan(40);
  });
});
