import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { bin, metrics, type Started, TINY, tinyOn, workplace } from './command.ts';

const { path, xlstm, start } = workplace();
const STACK = /\n\s+at .*:\d+/;

beforeAll(async () => {
  const { code, stderr } = await xlstm(['train', ...TINY, '--steps', '3', '--out', 'run']);
  expect(code, stderr).toBe(0);
});

const lineCount = async (file: string): Promise<number> =>
  existsSync(file) ? (await readFile(file, 'utf8')).split('\n').length - 1 : 0;

/** A run that has made some steps and would go on for minutes. */
async function training(out: string): Promise<Started> {
  const started = start(['train', ...TINY, '--steps', '1000000', '--out', out]);
  while ((await lineCount(path(out, 'metrics.jsonl'))) < 5) await sleep(5);
  return started;
}

const savedStep = async (out: string): Promise<number> =>
  JSON.parse(await readFile(path(out, 'checkpoint/training.json'), 'utf8')).step;

describe('signals', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s, sent several times within milliseconds, stops training with a checkpoint',
    async (name) => {
      const { process: running, ended } = await training(name);
      for (let i = 0; i < 4; i++) {
        running.kill(name);
        await sleep(1);
      }
      const { code, stderr } = await ended;
      expect(code, stderr).toBe(0);
      const step = Number(/stopped after step (\d+); .*xlstm train --resume/.exec(stderr)?.[1]);
      expect(await savedStep(name)).toBe(step);
      expect(await metrics(path(name, 'metrics.jsonl'))).toHaveLength(step);
    },
  );

  it.each([
    ['a later measurement', '1000', /stopped after step 1; go on with: xlstm train --resume/],
    ['the last one', '1', /stopped after step 1; the model is in .*was not measured/],
  ])('SIGINT ends the measurement of held-out text: %s', async (title, steps, said) => {
    await writeFile(path('long.txt'), 'The sea, the sea, the open sea, it grew so fresh. '.repeat(60_000));
    const out = `measured-${title.length}`;
    const options = ['--steps', steps, '--evaluate-every', '1', '--engine', 'wasm', '--threads', '1'];
    const { process: running, ended } = start(['train', ...tinyOn('long.txt'), ...options, '--out', out]);
    // The first checkpoint is there before the first step, which takes milliseconds; measuring then takes seconds.
    while (!existsSync(path(out, 'checkpoint/config.json'))) await sleep(5);
    await sleep(300);
    expect(running.exitCode).toBe(null);
    running.kill('SIGINT');
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(said);
    const [line, ...more] = await metrics(path(out, 'metrics.jsonl'));
    expect(more).toEqual([]);
    expect(line).not.toHaveProperty('validationLoss');
    expect(await savedStep(out)).toBe(1);
  });

  it('Ctrl-C ends a text where it is', async () => {
    const args = ['generate', 'run', '--prompt', 'The', '--max-tokens', '100000000'];
    const { process: running, ended } = start(args);
    await new Promise((resolve) => running.stdout?.once('data', resolve));
    running.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(130);
    expect(stdout).toMatch(/^The[\s\S]*\n$/);
    expect(stderr).toMatch(/\d tokens/);
  });
});

describe('a reader that ends', () => {
  const golden = fileURLToPath(new URL('../golden/lm_slstm.safetensors', import.meta.url));
  it.each([
    ['--help'],
    ['help', 'bench'],
    ['inspect', 'run'],
    ['eval', 'run', 'text.txt', '--json'],
    ['generate', 'run', '--prompt', 'The', '--max-tokens', '100000000'],
    ['verify', golden, '--engine', 'wasm'],
    ['doctor'],
    ['bench', 'gemm', '--m', '8', '--n', '8', '--k', '8', '--repeats', '1'],
  ])('of standard output ends %s quietly', async (...args) => {
    const { process: running, ended } = start(args);
    running.stdout?.destroy();
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(0);
    expect(stderr).not.toMatch(/EPIPE|error:/);
  });

  it('of standard error, or of both, does not end training', async () => {
    const { process: running, ended } = start(['train', ...TINY, '--steps', '300', '--out', 'unread']);
    running.stderr?.once('data', () => {
      running.stderr?.destroy();
      running.stdout?.destroy();
    });
    expect((await ended).code).toBe(0);
    expect(await savedStep('unread')).toBe(300);
    expect(await metrics(path('unread/metrics.jsonl'))).toHaveLength(300);
  });
});

it.runIf(existsSync('/dev/full'))('a full disk behind standard output is one line', () => {
  const { status, stderr } = spawnSync(
    'sh',
    ['-c', '"$0" "$@" >/dev/full', process.execPath, bin, '--help'],
    {
      encoding: 'utf8',
    },
  );
  expect(stderr).toMatch(/^error: standard output cannot be written \(ENOSPC.*\n.*full\.\n$/);
  expect(stderr).not.toMatch(STACK);
  expect(status).toBe(1);
});
