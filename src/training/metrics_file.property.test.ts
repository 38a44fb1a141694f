import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectFrugal, outcome, RUNS } from '../testing/foreign.ts';
import { mutatedJsonLines, utf8 } from '../testing/mutate.ts';
import { MetricsFile, readMetrics } from './metrics_file.ts';

const LINES = [
  { step: 1, loss: 3.25, gradientNorm: 0.5, learningRate: 0.001, tokensPerSecond: 1000, elapsedSeconds: 0.1 },
  { step: 2, loss: null, gradientNorm: 0.25, note: 'a\nb', validationLoss: 2 },
  { step: 3 },
];

let folder: string;
let path: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'metrics-'));
  path = join(folder, 'metrics.jsonl');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('metrics.jsonl of foreign origin', { timeout: 300_000 }, () => {
  it('holds steps or is one clear error, and reading changes nothing', () => {
    let taken = 0;
    fc.assert(
      fc.property(mutatedJsonLines(LINES), (bytes) => {
        writeFileSync(path, bytes);
        const result = outcome(path, () => readMetrics(path));
        if ('error' in result) return;
        for (const record of result.value) {
          expect(Number.isSafeInteger(record.step) && record.step >= 0).toBe(true);
          for (const field of Object.values(record))
            expect(field === null || typeof field !== 'object').toBe(true);
        }
        if (result.value.length > 0) taken++;
      }),
      { numRuns: RUNS },
    );
    expect(taken).toBeGreaterThan(RUNS / 20);
    expect(taken).toBeLessThan(RUNS * 0.9);
  });

  it('goes on at a step, or stays as it was', () => {
    fc.assert(
      fc.property(mutatedJsonLines(LINES), fc.nat(3), (bytes, resumeAt) => {
        writeFileSync(path, bytes);
        const opened = outcome(path, () => new MetricsFile(path, resumeAt));
        if ('error' in opened) {
          expect(new Uint8Array(readFileSync(path))).toEqual(new Uint8Array(bytes));
          return;
        }
        opened.value.append({ step: resumeAt + 1 });
        opened.value.close();
        const steps = readMetrics(path).map(({ step }) => step);
        expect(steps.at(-1)).toBe(resumeAt + 1);
        for (const step of steps.slice(0, -1)) expect(step).toBeLessThanOrEqual(resumeAt);
      }),
      { numRuns: 500 },
    );
  });

  it.each<[string, Uint8Array]>([
    ['nesting', utf8(`{"step":${'['.repeat(200_000)}\n`)],
    ['a long line', utf8(`${'x'.repeat(200_000)}\n`)],
    ['a long text for a step', utf8(`{"step":"${'x'.repeat(200_000)}"}\n`)],
    ['zero bytes', new Uint8Array(200_000)],
  ])('takes memory by its bytes: %s', (_, bytes) => {
    writeFileSync(path, bytes);
    // The bytes and the text of a line.
    expectFrugal(path, 2 * bytes.length, () => readMetrics(path));
  });
});
