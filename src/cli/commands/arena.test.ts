import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { cellRecords } from '../../lab/arena/records.ts';
import { readRecords } from '../../lab/cells/record_file.ts';

vi.setConfig({ testTimeout: 120_000 });

const bin = fileURLToPath(new URL('../../../bin/xlstm.js', import.meta.url));
const tiny = ['--budget', '3k', '--steps', '2', '--engine', 'wasm', '--quick'];
const arena = (...args: string[]) =>
  promisify(execFile)(process.execPath, [bin, 'arena', ...args], { encoding: 'utf8' });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'arena-command-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('xlstm arena', () => {
  it('runs the cells, names each on its own line, and writes results and report', async () => {
    const out = join(folder, 'first');
    const args = ['--tasks', 'even-pairs,mqar[16,2,16]', '--models', 'xLSTM[1:0],gru', ...tiny, '--out', out];
    const { stdout, stderr } = await arena(...args);
    expect(stdout).toBe(`report: ${out}/report.html and report.md; results: ${out}/results.jsonl\n`);
    expect(stderr).toMatch(/^engine {2}wasm, .*1 thread.* cells? at a time$/m);
    expect(stderr).toMatch(
      /^mqar\[16,2,16\] × xlstm\[1:0\] × seed 1: -?\d\.\d\d \(\d+ parameters, 2 steps, /m,
    );
    const records = readRecords(join(out, 'results.jsonl'), cellRecords);
    expect(records.map(({ task, model }) => `${task} ${model}`).sort()).toEqual([
      'even-pairs gru',
      'even-pairs xlstm[1:0]',
      'mqar[16,2,16] gru',
      'mqar[16,2,16] xlstm[1:0]',
    ]);
    expect(existsSync(join(out, 'report.html'))).toBe(true);

    const again = await arena(...args);
    expect(again.stdout).toBe(stdout);
    expect(readFileSync(join(out, 'results.jsonl'), 'utf8').match(/\n/g)?.length).toBe(4);
  });

  it('answers a wrong name before anything runs', async () => {
    const out = join(folder, 'second');
    await expect(arena('--tasks', 'partiy', ...tiny, '--out', out)).rejects.toMatchObject({ code: 2 });
    await expect(arena('--models', 'llama', ...tiny, '--out', out)).rejects.toMatchObject({
      stderr: expect.stringContaining('no model is called "llama"'),
    });
    expect(existsSync(out)).toBe(false);
  });

  it('says that all cells failed, and exits with 1; some that failed are said, too', async () => {
    const out = join(folder, 'third');
    const data = join(folder, 'short.txt');
    writeFileSync(data, 'too short');
    const args = [...tiny, '--models', 'gru', '--data', data, '--out', out];
    await expect(arena('--tasks', 'text', ...args)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^text × gru × seed 1: failed.*\nall 1 cells failed; /m),
    });
    const { stderr } = await arena('--tasks', 'text,parity', ...args);
    expect(stderr).toMatch(/^1 of 2 cells failed; /m);
  });
});
