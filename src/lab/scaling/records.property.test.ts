import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectBoth, outcome, RUNS } from '../../testing/foreign.ts';
import { mutatedJsonLines } from '../../testing/mutate.ts';
import { readRecords } from '../cells/record_file.ts';
import { studyCellKey } from './cell.ts';
import { QUICK_STUDY, studySettings } from './options.ts';
import { studyRecords } from './records.ts';
import { writeStudyReport } from './report/report.ts';
import { aStudyRecord } from './testing/records.ts';

const LINES = [
  aStudyRecord({
    positions: [{ from: 0, to: 256, loss: 5 }],
    recall: [{ distance: 16, planted: 5, control: 6 }],
  }),
  aStudyRecord({ kind: 'rate', rate: 0.004, status: 'diverged', message: 'loss NaN', loss: undefined }),
  aStudyRecord({
    ...{ kind: 'cost', size: 100_000, loss: undefined },
    cost: [{ batch: 1, length: 128, firstMs: 1, tokenMs: 1, stateBytes: 64, programBytes: 640 }],
  }),
];

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'study-records-'));
  path = join(folder, 'results.jsonl');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('results.jsonl of a study of foreign origin', { timeout: 300_000 }, () => {
  it('holds records of cells or is one clear error that names file and line', () => {
    let taken = 0;
    const property = fc.property(mutatedJsonLines(JSON.parse(JSON.stringify(LINES))), (bytes) => {
      writeFileSync(path, bytes);
      const result = outcome(path, () => readRecords(path, studyRecords));
      if ('error' in result) {
        expect(result.error.message).toMatch(/results\.jsonl:\d+: expected the record/);
        return;
      }
      expect(new Set(result.value.map(studyCellKey)).size).toBe(result.value.length);
      for (const { seed, steps, tokens, flops, loss, curve } of result.value) {
        for (const n of [seed, steps, tokens]) expect(Number.isSafeInteger(n) && n >= 0).toBe(true);
        for (const n of [flops, loss?.token ?? 1, ...curve.map((point) => point.loss)]) {
          expect(Number.isFinite(n)).toBe(true);
        }
      }
      taken++;
    });
    fc.assert(property, { numRuns: RUNS });
    expectBoth(taken);
  });

  it('is reported on whatever its numbers are', async () => {
    const extreme = fc.constantFrom(0, 1e-12, 1e-9, 1, 7e4, 1e15, 1e30);
    const whole = fc.constantFrom(0, 1, 2 ** 31, Number.MAX_SAFE_INTEGER);
    const above = extreme.map((value) => value || 1);
    const record = fc
      .record({
        model: fc.constantFrom('transformer', 'lstm', 'xlstm[1:0]', 'a model of others'),
        ...{ size: above, tokensPerParameter: extreme, seed: whole, parameters: whole, tokens: whole },
        ...{ flops: extreme, seconds: extreme, cpuSeconds: extreme, learningRate: extreme },
        loss: fc.record({ token: above, byte: above }),
        positions: fc.array(fc.record({ from: whole, to: whole, loss: extreme }), { maxLength: 3 }),
        recall: fc.array(fc.record({ distance: whole, planted: extreme, control: extreme }), {
          maxLength: 3,
        }),
      })
      .map(aStudyRecord);
    const settings = {
      ...QUICK_STUDY,
      study: 'scaling',
      digest: '',
      settings: studySettings(QUICK_STUDY),
      engine: '',
    } as const;
    const facts = {
      ...{ name: 'text', digest: '0123', vocabSize: 300 },
      ...{ tokens: 100, bytes: 300, heldOutTokens: 10, heldOutBytes: 30 },
    };
    const property = fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 12 }), async (records) => {
      for (const one of records) expect(studyRecords.format.is(one)).toBe(true);
      await writeStudyReport(folder, { records, notRun: [], facts, settings });
    });
    await fc.assert(property, { numRuns: 100 });
  });

  it.each<[string, object]>([
    ['finer than any quantity', { loss: { token: 5e-324, byte: 1 } }],
    ['larger than any quantity', { flops: 1e300 }],
    ['endless', { seconds: Number.POSITIVE_INFINITY }],
  ])('is refused with a number %s', (_, changes) => {
    writeFileSync(
      path,
      `${JSON.stringify(aStudyRecord({}))}\n${JSON.stringify({ ...aStudyRecord({}), ...changes })}\n`,
    );
    expect(() => readRecords(path, studyRecords)).toThrow(`${path}:2: expected the record of a cell`);
  });
});
