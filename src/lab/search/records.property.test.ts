import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectBoth, outcome, RUNS } from '../../testing/foreign.ts';
import { mutatedJsonLines } from '../../testing/mutate.ts';
import { readRecords } from '../cells/record_file.ts';
import { searchCellKey } from './cell.ts';
import { searchRecords } from './records.ts';
import { writeSearchReport } from './report/report.ts';
import { aSearchRecord } from './testing/records.ts';

const LINES = [
  aSearchRecord({}),
  aSearchRecord({ trial: 2, status: 'diverged', message: 'loss NaN', score: undefined, accuracy: undefined }),
  aSearchRecord({ kind: 'test', seed: 1, task: 'mqar[64,4]', model: 'a model of others' }),
];

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'search-records-'));
  path = join(folder, 'results.jsonl');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('results.jsonl of a search of foreign origin', { timeout: 300_000 }, () => {
  it('holds records of cells, which are reported on, or is one clear error that names file and line', async () => {
    let taken = 0;
    const property = fc.asyncProperty(mutatedJsonLines(JSON.parse(JSON.stringify(LINES))), async (bytes) => {
      writeFileSync(path, bytes);
      const result = outcome(path, () => readRecords(path, searchRecords));
      if ('error' in result) {
        expect(result.error.message).toMatch(/results\.jsonl:\d+: expected the record/);
        return;
      }
      expect(new Set(result.value.map(searchCellKey)).size).toBe(result.value.length);
      for (const { trial, seed, steps, score = 0 } of result.value) {
        for (const n of [trial, seed, steps]) expect(Number.isSafeInteger(n) && n >= 0).toBe(true);
        expect(score).toBeLessThanOrEqual(1);
      }
      // A report takes milliseconds: of one in twenty.
      if (taken++ % 20 === 0) await writeSearchReport(folder, result.value, { trials: 3 });
    });
    await fc.assert(property, { numRuns: RUNS });
    expectBoth(taken);
  });
});
