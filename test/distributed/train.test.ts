import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Installed,
  installed,
  interrupt,
  type Programs,
  pidOfRank,
  type Started,
  startRanks,
} from './mpirun.ts';

const bin = fileURLToPath(new URL('../../bin/xlstm.js', import.meta.url));
const linux = process.platform === 'linux';
const present = installed.filter((library) => library.present);
const STEPS = 200;
const TINY = [
  ...['train', '--data', 'text.txt', '--dim', '16', '--heads', '2', '--blocks', '2', '--length', '32'],
  ...['--steps', `${STEPS}`, '--warmup-steps', '2', '--sample', '0', '--engine', 'wasm'],
  ...['--checkpoint-every', '20', '--evaluate-every', '50'],
];
/** Four micro-batches of one sequence, however many ranks there are. */
const FOUR = [...TINY, '--batch', '1', '--micro-batches', '4'];
/** As many micro-batches as ranks: the same for four of them. */
const SHARED = [...TINY, '--batch', '4'];
let folder = '';

const path = (...names: string[]): string => join(folder, ...names);
const ranks = (library: Installed, ...programs: Programs): Started =>
  startRanks(
    library,
    folder,
    programs.map(([count, args]) => [count, [bin, ...args]] as const),
  );
const alone = (args: readonly string[]) =>
  spawnSync(process.execPath, [bin, ...args], { cwd: folder, encoding: 'utf8' });

const lines = (out: string): string[] =>
  existsSync(path(out, 'metrics.jsonl'))
    ? readFileSync(path(out, 'metrics.jsonl'), 'utf8').trimEnd().split('\n')
    : [];
async function stepsMade(out: string, steps: number, { process }: Started): Promise<void> {
  while (lines(out).length < steps && process.exitCode === null) await sleep(5);
}

/** What a run computed: its weights, moments and states, and what it told of each step. */
const result = (out: string) => ({
  files: ['checkpoint/model.safetensors', 'checkpoint/optimizer.safetensors', 'best/model.safetensors'].map(
    (name) => readFileSync(path(out, name)).toString('base64'),
  ),
  metrics: lines(out).map((line) => {
    const { step, loss, gradientNorm, validationLoss } = JSON.parse(line);
    return { step, loss, gradientNorm, validationLoss };
  }),
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xlstm-ranks-'));
  const text = 'The white whale swims in the wide and restless sea, and nobody knows where it sleeps.\n';
  await writeFile(path('text.txt'), text.repeat(60));
  await writeFile(path('other.txt'), text.toUpperCase().repeat(60));
  if (present.length === 0) return;
  const { status, stderr } = alone([...FOUR, '--out', 'alone']);
  expect(status, stderr).toBe(0);
  expect(lines('alone')).toHaveLength(STEPS);
});
afterAll(() => rm(folder, { recursive: true }));

describe.each(installed)('$name', (library) => {
  const name = library.name.replace(' ', '');

  it.skipIf(!library.present)(
    'stopped with 4 ranks, killed with 3, a run ends alone with the bits of one process',
    async () => {
      const four = ranks(library, [4, [...SHARED, '--out', name]]);
      await stepsMade(name, 3, four);
      interrupt(library, four);
      const stopped = await four.ended;
      expect(stopped.stderr).toMatch(/^ranks {3}4 on one machine/m);
      expect(stopped.stderr.match(/^model /gm)).toHaveLength(1);
      expect(stopped.stderr).toMatch(/stopped after step \d+; go on with/);
      const made = lines(name).length;

      const three = ranks(library, [3, ['train', '--resume', name, '--engine', 'wasm']]);
      await stepsMade(name, made + 25, three);
      expect(lines(name).length).toBeLessThan(STEPS);
      process.kill(pidOfRank(three.process, 1), 'SIGKILL');
      const killedAt = performance.now();
      const killed = await three.ended;
      expect(performance.now() - killedAt).toBeLessThan(30_000);
      expect(killed.code).not.toBe(0);
      expect(killed.stdout + killed.stderr).toMatch(/signal 9|BAD TERMINATION/);

      const { status, stderr } = alone(['train', '--resume', name, '--sample', '0', '--engine', 'wasm']);
      expect(status, stderr).toBe(0);
      expect(stderr).toMatch(/from step \d+ on/);
      expect(result(name)).toEqual(result('alone'));
    },
    200_000,
  );

  it.skipIf(!library.present).each([
    ['text', ['--data', 'other.txt'], /error: rank 1 has another text than rank 0: expected .* digest /],
    ['engine', ['--engine', 'reference'], /error: rank 1 has another engine than rank 0: expected wasm/],
    [
      'option',
      ['--learning-rate', '0.1'],
      /another option learningRate than rank 0: expected 0.004, found 0.1/,
    ],
    ['model', ['--heads', '4'], /error: rank 1 has another model than rank 0/],
  ])(
    'ranks of another %s are told by name',
    async (what, other, said) => {
      const out = ['--out', `${name}-${what}`];
      const { code, stderr } = await ranks(
        library,
        [1, [...SHARED, ...out]],
        [1, [...SHARED, ...out, ...other]],
      ).ended;
      expect(code).not.toBe(0);
      expect(stderr).toMatch(said);
      expect(stderr.match(/error: /g)).toHaveLength(1);
      expect(existsSync(path(out[1]))).toBe(false);
    },
    60_000,
  );

  it.skipIf(!library.present).each([
    ['a batch that ranks cannot share', [...SHARED], /--batch 4: 3 ranks share.*multiple of 3\n.*--batch 6/],
    ['a folder that is taken', [...TINY, '--batch', '3', '--out', 'alone'], /alone already holds a run/],
    ['an option that there is not', ['train', '--nonsense'], /unknown option '--nonsense'/],
    ['more ranks than micro-batches', [...TINY, '--micro-batches', '2'], /2 micro-batches: 3 ranks cannot/],
  ])(
    'rank 0 alone tells of %s',
    async (_, args, said) => {
      const { code, stderr } = await ranks(library, [3, args]).ended;
      expect(code).not.toBe(0);
      expect(stderr).toMatch(said);
      expect(stderr.match(/error: /g)).toHaveLength(1);
    },
    60_000,
  );

  it.skipIf(!library.present)(
    'a rank that alone cannot read its text says so',
    async () => {
      const args = [...SHARED, '--out', `${name}-gone`];
      const { code, stderr } = await ranks(library, [1, args], [1, [...args, '--data', 'gone.txt']]).ended;
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/error: rank 1 on .*: gone\.txt: there is no such file/);
    },
    60_000,
  );
});

const [library] = present;

it.skipIf(!library || !linux)(
  'rank 0, killed while it saves, leaves a run that goes on to the same bits',
  async () => {
    const started = ranks(library, [2, [...FOUR, '--checkpoint-every', '1', '--out', 'save']]);
    await stepsMade('save', 10, started);
    const pid = pidOfRank(started.process, 0);
    while (!readdirSync(path('save')).some((file) => file.startsWith('checkpoint.tmp'))) {
      expect(started.process.exitCode).toBe(null);
    }
    process.kill(pid, 'SIGKILL');
    expect((await started.ended).code).not.toBe(0);
    expect(lines('save').length).toBeLessThan(STEPS);
    const { status, stderr } = alone(['train', '--resume', 'save', '--sample', '0', '--engine', 'wasm']);
    expect(status, stderr).toBe(0);
    expect(result('save')).toEqual(result('alone'));
  },
  60_000,
);

it.skipIf(!library || !linux)(
  'a disk that is full on rank 0 is told, and when the last save fails the checkpoint before is untouched',
  async () => {
    const started = ranks(library, [2, [...SHARED, '--steps', '1000000', '--out', 'full']]);
    let told = '';
    started.process.stderr?.on('data', (text) => {
      told += text;
    });
    await stepsMade('full', 45, started);
    const pid = pidOfRank(started.process, 0);
    // Files of rank 0 cannot grow beyond this from now on.
    expect(spawnSync('prlimit', ['--pid', `${pid}`, '--fsize=100:unlimited']).status).toBe(0);
    while (!/warning: full\/checkpoint/.test(told) && started.process.exitCode === null) await sleep(20);
    await cp(path('full/checkpoint'), path('full-before'), { recursive: true });
    process.kill(pid, 'SIGINT');
    const { code, stderr } = await started.ended;
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/warning: full\/checkpoint: cannot be written.*training goes on/);
    expect(stderr).toMatch(/error: full\/checkpoint: cannot be written/);
    expect(stderr.match(/error: /g)).toHaveLength(1);
    for (const file of readdirSync(path('full-before'))) {
      expect(
        readFileSync(path('full/checkpoint', file)).equals(readFileSync(path('full-before', file))),
      ).toBe(true);
    }
  },
  60_000,
);
