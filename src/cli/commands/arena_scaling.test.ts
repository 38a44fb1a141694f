import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readRecords } from '../../lab/cells/record_file.ts';
import { studyRecords } from '../../lab/scaling/records.ts';

vi.setConfig({ testTimeout: 120_000 });

const bin = fileURLToPath(new URL('../../../bin/xlstm.js', import.meta.url));
const arena = (...args: string[]) =>
  promisify(execFile)(process.execPath, [bin, 'arena', ...args], { encoding: 'utf8' });

let folder: string;
let text: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scaling-command-'));
  text = join(folder, 'text.txt');
  const lines = Array.from({ length: 4000 }, (_, i) => `line ${i} has the number ${(i * 7919) % 1000}\n`);
  writeFileSync(text, lines.join(''));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('xlstm arena --scaling', () => {
  it('runs a study, names each cell on its own line, and writes results and report', async () => {
    const out = join(folder, 'first');
    const args = ['--scaling', '--quick', '--models', 'LSTM', '--sizes', '7.5k', '--engine', 'wasm'];
    const { stdout, stderr } = await arena(...args, '--data', text, '--out', out);
    expect(stdout).toBe(`report: ${out}/report.html and report.md; results: ${out}/results.jsonl\n`);
    expect(stderr).toMatch(/^engine {2}wasm, .*1 thread.* cells? at a time$/m);
    expect(stderr).toMatch(/^train lstm 7500 × 20 tokens, context 256, seed 1: \d\.\d{3} nats per token/m);
    const records = readRecords(join(out, 'results.jsonl'), studyRecords);
    expect(records.every(({ status }) => status === 'done')).toBe(true);
    const kinds = records.map(({ kind }) => kind);
    const trained = ['train', 'train', 'cost'];
    expect(kinds.filter((kind) => kind !== 'rate')).toEqual(trained);
    // The sweep goes on as long as the best rate is the largest.
    expect(kinds.indexOf('train')).toBeGreaterThanOrEqual(3);
    expect(kinds.indexOf('train')).toBe(kinds.length - trained.length);
    expect(readFileSync(join(out, 'report.md'), 'utf8')).toContain('LSTM');
  });

  it('answers what does not belong to it before anything runs', async () => {
    const out = join(folder, 'second');
    const study = ['--scaling', '--quick', '--out', out];
    await expect(arena(...study, '--budget', '50k')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--budget says nothing of a scaling study'),
    });
    await expect(arena('--sizes', '50k', '--out', out)).rejects.toMatchObject({
      stderr: expect.stringContaining('--sizes is of another kind of arena'),
    });
    await expect(arena(...study, '--models', 'gru')).rejects.toMatchObject({
      stderr: expect.stringContaining('the scaling study has no model called "gru"'),
    });
    await expect(arena(...study, '--sizes', '1')).rejects.toMatchObject({
      stderr: expect.stringContaining('no size has 1 parameters beside its embedding'),
    });
    expect(existsSync(out)).toBe(false);
  });
});
