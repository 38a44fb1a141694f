import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectFrugal, outcome, RUNS } from '../../testing/foreign.ts';
import { mutatedJsonLines, utf8 } from '../../testing/mutate.ts';
import { readRecords } from '../cells/record_file.ts';
import { type CellRecord, cellKey, cellRecords } from './records.ts';

const base: CellRecord = {
  ...{ kind: 'cell', task: 'parity', taskTitle: 'Parity', model: 'lstm', seed: 1, status: 'done' },
  ...{ parameters: 10, budget: 10, engine: 'reference', steps: 1, tokens: 8, trainSeconds: 0.5 },
  settings: { learningRate: 0.001, corpus: 'a\nb', quick: true },
  curve: [{ step: 1, tokens: 8, seconds: 0.5, loss: 0.7 }],
};
const LINES: CellRecord[] = [
  { ...base, accuracy: [{ length: 8, accuracy: 1, scaled: 1, count: 4 }], scaledAccuracy: 1, chance: 0.5 },
  { ...base, seed: 2, status: 'diverged', message: 'loss NaN', text: [{ factor: 2, length: 64, loss: 1.5 }] },
  {
    ...base,
    seed: 3,
    cost: [{ length: 8, trainMsPerToken: 1, decodeMsPerToken: 1, stateBytes: 64, programBytes: 640 }],
  },
];

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'records-'));
  path = join(folder, 'results.jsonl');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('results.jsonl of foreign origin', { timeout: 300_000 }, () => {
  it('holds records of cells or is one clear error', () => {
    let taken = 0;
    fc.assert(
      fc.property(mutatedJsonLines(LINES), (bytes) => {
        writeFileSync(path, bytes);
        const result = outcome(path, () => readRecords(path, cellRecords));
        if ('error' in result) return;
        expect(new Set(result.value.map(cellKey)).size).toBe(result.value.length);
        for (const record of result.value) {
          for (const text of [record.task, record.taskTitle, record.model, record.engine]) {
            expect(typeof text).toBe('string');
          }
          for (const n of [record.seed, record.parameters, record.steps, record.tokens]) {
            expect(Number.isSafeInteger(n) && n >= 0).toBe(true);
          }
          expect(['done', 'diverged', 'failed']).toContain(record.status);
          const measured = [
            ...record.curve.flatMap(({ step, tokens, seconds }) => [step, tokens, seconds]),
            ...(record.accuracy ?? []).flatMap(({ length, accuracy, scaled }) => [length, accuracy, scaled]),
            ...(record.text ?? []).flatMap(({ factor, length }) => [factor, length]),
            ...(record.cost ?? []).flatMap((cost) => [cost.length, cost.trainMsPerToken, cost.stateBytes]),
          ];
          for (const n of measured) expect(Number.isFinite(n)).toBe(true);
        }
        if (result.value.length > 0) taken++;
      }),
      { numRuns: RUNS },
    );
    expect(taken).toBeGreaterThan(RUNS / 20);
    expect(taken).toBeLessThan(RUNS * 0.9);
  });

  it('the published results are such records', () => {
    const published = fileURLToPath(new URL('../../../docs/arena/results.jsonl', import.meta.url));
    expect(readRecords(published, cellRecords).length).toBeGreaterThan(50);
  });

  it.each<[string, string]>([
    ['nesting', `{"kind":"cell","curve":${'['.repeat(200_000)}\n`],
    ['a long line', `${'x'.repeat(200_000)}\n`],
    ['a long task', `{"kind":"cell","task":["${'x'.repeat(200_000)}"]}\n`],
  ])('takes memory by its bytes: %s', (_, text) => {
    const bytes = utf8(text);
    writeFileSync(path, bytes);
    // The bytes, the text of the file and that of a line.
    expectFrugal(path, 3 * bytes.length, () => readRecords(path, cellRecords));
  });
});
