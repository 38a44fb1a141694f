import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readRecords } from '../../lab/cells/record_file.ts';
import { searchRecords } from '../../lab/search/records.ts';

vi.setConfig({ testTimeout: 120_000 });

const bin = fileURLToPath(new URL('../../../bin/xlstm.js', import.meta.url));
const arena = (...args: string[]) =>
  promisify(execFile)(process.execPath, [bin, 'arena', ...args], { encoding: 'utf8' });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'search-command-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('xlstm arena --search', () => {
  it('tries and tests, names each cell on its own line, and goes on where it was', async () => {
    const out = join(folder, 'first');
    const args = ['--search', '--quick', '--tasks', 'mqar[16,2,16]', '--models', 'GRU', '--trials', '2'];
    const small = ['--seeds', '1', '--budget', '3k', '--tokens', '2k', '--engine', 'wasm', '--out', out];
    const { stdout, stderr } = await arena(...args, ...small);
    expect(stdout).toBe(`report: ${out}/report.html and report.md; results: ${out}/results.jsonl\n`);
    expect(stderr).toMatch(/^trial mqar\[16,2,16\] × gru, setting 2, seed 1000: score -?\d\.\d{3}/m);
    const records = readRecords(join(out, 'results.jsonl'), searchRecords);
    expect(records.map(({ kind, status }) => `${kind} ${status}`)).toEqual([
      'trial done',
      'trial done',
      'test done',
    ]);
    expect(readFileSync(join(out, 'report.md'), 'utf8')).toContain('GRU');
    const again = await arena(...args, ...small);
    expect(again.stderr.match(/^trial /gm)?.length).toBe(2);
    expect(readRecords(join(out, 'results.jsonl'), searchRecords)).toEqual(records);
  });

  it('answers what does not belong to it before anything runs', async () => {
    const out = join(folder, 'second');
    const refused = async (message: string, ...args: string[]): Promise<void> => {
      await expect(arena(...args, '--out', out)).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringContaining(message),
      });
    };
    await refused('--learning-rate says nothing of a search', '--search', '--learning-rate', '1e-3');
    await refused('--trials is of another kind of arena', '--trials', '3');
    await refused('two kinds of arena', '--search', '--scaling');
    await refused('text has no score to search for', '--search', '--tasks', 'text');
    expect(existsSync(out)).toBe(false);
  });
});
