import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { installed, startRanks } from './mpirun.ts';

const bin = fileURLToPath(new URL('../../bin/xlstm.js', import.meta.url));
const [library] = installed.filter(({ present }) => present);
const TRAIN = [
  ...['train', '--data', 'text.txt', '--heads', '2', '--blocks', '2', '--batch', '2', '--length', '16'],
  ...['--steps', '4', '--warmup-steps', '1', '--sample', '0', '--engine', 'wasm', '--threads', '1'],
];
const SWEEP = [
  'sweep',
  '--values',
  'learning-rate=1e-3,4e-3',
  'dim=8,16',
  '--by',
  'validationLoss',
  '--json',
];
let folder = '';
const alone = (args: readonly string[]) =>
  spawnSync(process.execPath, [bin, ...args], { cwd: folder, encoding: 'utf8' });
const lines = (out: string) =>
  readFileSync(join(folder, out, 'results.jsonl'), 'utf8')
    .trim()
    .split('\n');

interface Told {
  readonly options: Record<string, string>;
  readonly result: { readonly validationLoss: number };
}
const losses = (stdout: string) =>
  (JSON.parse(stdout) as Told[]).map(({ options, result }) => [options, result.validationLoss] as const);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-sweep-'));
  await writeFile(
    join(folder, 'text.txt'),
    'The white whale swims in the wide and restless sea.\n'.repeat(60),
  );
});
afterAll(() => rm(folder, { recursive: true }));

it('a sweep runs every combination once, best first, and tries again what failed', () => {
  const { status, stdout, stderr } = alone([...SWEEP, '--out', 'grid', '--', ...TRAIN]);
  expect(status, stderr).toBe(0);
  const found = losses(stdout);
  expect(found).toHaveLength(4);
  expect(new Set(found.map(([options]) => JSON.stringify(options))).size).toBe(4);
  expect(found.map(([, loss]) => loss)).toEqual(found.map(([, loss]) => loss).sort((a, b) => a - b));
  expect(readdirSync(join(folder, 'grid/cells'))).toContain('learning-rate=1e-3-dim=16');

  const more = [
    'sweep',
    '--values',
    'learning-rate=1e-3,4e-3',
    'dim=8,16,7',
    '--out',
    'grid',
    '--',
    ...TRAIN,
  ];
  const again = alone(more);
  expect(again.status).toBe(1);
  expect(again.stderr).toContain('4 of 6 cells are done');
  expect(again.stderr.match(/failed: exit code/g)).toHaveLength(2);
  // Of each cell that failed a line for each time; of others one.
  expect(alone(more).status).toBe(1);
  expect(lines('grid')).toHaveLength(4 + 2 + 2);
}, 60_000);

it('says what is wrong with an option before anything runs', () => {
  for (const [args, said] of [
    [['sweep', '--values', 'dim', '--', ...TRAIN], /expected NAME=VALUE,VALUE/],
    [['sweep', '--values', 'steps=1,2', '--', ...TRAIN], /--values steps: the option is given twice/],
    [['sweep', '--values', 'dim=8..16', '--', ...TRAIN], /dim: a range is drawn from/],
  ] as const) {
    const { status, stderr } = alone([...args]);
    expect(status).toBe(2);
    expect(stderr).toMatch(said);
  }
  expect(existsSync(join(folder, 'sweep'))).toBe(false);
}, 60_000);

it.skipIf(!library)(
  'ranks get cells as they get free, with the results of one process',
  async () => {
    const sweep = [...SWEEP, '--out', 'shared', '--', ...TRAIN];
    const { code, stdout, stderr } = await startRanks(library, folder, [[3, [bin, ...sweep]]]).ended;
    expect(code, stderr).toBe(0);
    const expected = losses(alone([...SWEEP, '--out', 'grid', '--', ...TRAIN]).stdout);
    expect(losses(stdout)).toEqual(expected);
    expect(lines('shared')).toHaveLength(4);
  },
  60_000,
);

it.skipIf(!library)(
  'an arena is shared by ranks',
  async () => {
    const arena = ['arena', '--tasks', 'parity', '--models', 'lstm,gru', '--seeds', '2', '--budget', '4k'];
    const args = [...arena, '--steps', '3', '--engine', 'wasm', '--out', 'arena'];
    const { code, stderr } = await startRanks(library, folder, [[3, [bin, ...args]]]).ended;
    expect(code, stderr).toBe(0);
    expect(lines('arena').map((line) => JSON.parse(line).status)).toEqual(['done', 'done', 'done', 'done']);
    expect(existsSync(join(folder, 'arena/report.html'))).toBe(true);
  },
  60_000,
);
