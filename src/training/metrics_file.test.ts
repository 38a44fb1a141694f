import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MetricsFile, readMetrics } from './metrics_file.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xlstm-metrics-'));
  path = join(folder, 'metrics.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (steps: readonly number[], resumeAt?: number): void => {
  const file = new MetricsFile(path, resumeAt);
  for (const step of steps) file.append({ step, loss: step / 2, note: 'é\n' });
  file.close();
};
const steps = (): number[] => readMetrics(path).map((record) => record.step);

describe('MetricsFile', () => {
  it('writes one JSON object a line and goes on at the end', () => {
    write([1, 2]);
    write([3]);
    expect(readMetrics(path)).toEqual([1, 2, 3].map((step) => ({ step, loss: step / 2, note: 'é\n' })));
    expect(readFileSync(path, 'utf8').split('\n').length).toBe(4);
  });

  it('removes what a crash left of a line', () => {
    write([1, 2]);
    appendFileSync(path, '{"step":3,"lo');
    expect(steps()).toEqual([1, 2]);
    write([3]);
    expect(steps()).toEqual([1, 2, 3]);
  });

  it.each([
    ['zero bytes in place of lines', '\0'.repeat(5000)],
    ['zero bytes behind the beginning of a line', `{"step":3,"lo${'\0'.repeat(100)}`],
    ['zero bytes and a line end', `${'\0'.repeat(10)}\n`],
    ['empty lines', '\n\n\n'],
    ['empty lines and half a line', '\n\n{"st'],
    ['half a character', Buffer.from('{"step":3,"note":"é').subarray(0, -1)],
  ])('goes on behind what a power loss left: %s', (_, left) => {
    write([1, 2]);
    appendFileSync(path, left);
    expect(steps()).toEqual([1, 2]);
    write([3]);
    expect(steps()).toEqual([1, 2, 3]);
    expect(readFileSync(path, 'utf8').trimEnd().split('\n')).toHaveLength(3);
  });

  it('removes steps after the checkpoint that a run goes on from', () => {
    write([10, 20, 30, 40]);
    write([25], 20);
    expect(steps()).toEqual([10, 20, 25]);
    write([5], 0);
    expect(steps()).toEqual([5]);
  });

  it('writes null for numbers that are not finite', () => {
    const file = new MetricsFile(path);
    file.append({ step: 1, loss: Number.NaN });
    file.close();
    expect(readMetrics(path)).toEqual([{ step: 1, loss: null }]);
  });

  it('leaves a file alone that is no metrics file', () => {
    writeFileSync(path, '{"step":1}\nhello\n');
    expect(() => new MetricsFile(path)).toThrow(
      /metrics.jsonl:2: expected a JSON object with a step, found "hello"/,
    );
    expect(readFileSync(path, 'utf8')).toBe('{"step":1}\nhello\n');
    writeFileSync(path, 'hello');
    expect(() => new MetricsFile(path)).toThrow(/metrics.jsonl:1: .* found "hello"/);
    expect(readFileSync(path, 'utf8')).toBe('hello');
    expect(() => new MetricsFile(join(folder, 'none', 'm'))).toThrow(/none\/m: cannot be opened/);
    expect(() => readMetrics(join(folder, 'none'))).toThrow(/cannot be read/);
  });

  it('does not write after close', () => {
    const file = new MetricsFile(path);
    file.close();
    file.close();
    expect(() => file.append({ step: 1 })).toThrow(/after close/);
  });
});
