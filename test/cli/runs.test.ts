import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { bin, metrics, TINY, tinyOn, workplace } from './command.ts';

const { path, xlstm, begun } = workplace();
const linux = process.platform === 'linux';
const STACK = /\n\s+at .*:\d+/;

it('readers find a whole checkpoint beside a run that saves after every step, and change nothing', async () => {
  const often = ['--checkpoint-every', '1', '--evaluate-every', '1'];
  const options = ['--steps', '1000000', ...often, '--engine', 'wasm', '--out', 'busy'];
  const { process: running, ended } = await begun(['train', ...TINY, ...options], 'busy');
  for (let i = 0; i < 3; i++) {
    for (const args of [
      ['generate', 'busy', '--prompt', 'The', '--max-tokens', '2', '--engine', 'wasm'],
      ['eval', 'busy', 'text.txt', '--engine', 'wasm'],
      ['eval', 'busy/best', 'text.txt', '--engine', 'wasm'],
      ['inspect', 'busy'],
    ]) {
      const { code, stderr } = await xlstm(args);
      expect(code, stderr).toBe(0);
    }
  }
  const { stderr: refused, code } = await xlstm(['train', '--resume', 'busy']);
  expect(refused).toMatch(/busy is being written by process \d+, since/);
  expect(code).toBe(1);
  running.kill('SIGINT');
  const { code: stopped, stderr } = await ended;
  expect(stopped, stderr).toBe(0);
  expect(stderr).not.toContain('warning');
  expect((await readdir(path('busy'))).sort()).toEqual(['best', 'checkpoint', 'metrics.jsonl']);
});

it('one of two that resume a run at once gets it', async () => {
  const { process: running, ended } = await begun(
    ['train', ...TINY, '--steps', '300', '--out', 'two'],
    'two',
  );
  running.kill('SIGINT');
  await ended;
  const resume = ['train', '--resume', 'two', '--sample', '0', '--engine', 'wasm'];
  const both = await Promise.all([xlstm(resume), xlstm(resume)]);
  expect(both.map(({ code }) => code).sort()).toEqual([0, 1]);
  expect(both.map(({ stderr }) => stderr).join()).toMatch(
    /is being written by process \d+|the run is complete/,
  );
  expect((await metrics(path('two/metrics.jsonl'))).map(({ step }) => step)).toEqual(
    Array.from({ length: 300 }, (_, i) => i + 1),
  );
});

it('kill -9 at any time, again and again, and resume give the bits of a run that was left alone', async () => {
  // A rate at which the loss goes up and down, so that the best model is not always the last one.
  const often = ['--checkpoint-every', '3', '--evaluate-every', '2', '--learning-rate', '0.1'];
  const options = ['--steps', '400', ...often, '--dropout', '0.1', '--engine', 'wasm'];
  const whole = await xlstm(['train', ...TINY, ...options, '--out', 'whole']);
  expect(whole.code, whole.stderr).toBe(0);
  let next = ['train', ...TINY, ...options, '--out', 'killed'];
  for (let kill = 0; kill < 5; kill++) {
    const { process: running, ended } = await begun(next, 'killed', 8);
    await sleep(kill * 7);
    running.kill('SIGKILL');
    await ended;
    next = ['train', '--resume', 'killed', '--sample', '0', '--engine', 'wasm'];
  }
  const { code, stderr } = await xlstm(next);
  expect(code, stderr).toBe(0);
  for (const name of [
    'checkpoint/model.safetensors',
    'checkpoint/optimizer.safetensors',
    'best/model.safetensors',
    'best/measured.json',
  ]) {
    const [one, other] = await Promise.all(['whole', 'killed'].map((run) => readFile(path(run, name))));
    expect(other.equals(one), name).toBe(true);
  }
  const losses = async (run: string): Promise<number[]> =>
    (await metrics(path(run, 'metrics.jsonl'))).map(({ loss }) => loss);
  expect(await losses('killed')).toEqual(await losses('whole'));
  expect((await readdir(path('killed'))).sort()).toEqual(['best', 'checkpoint', 'metrics.jsonl']);
});

/** Files of a process may not grow beyond so many bytes from now on, as if the disk were full. */
function limit(pid: number | undefined, bytes: number | 'unlimited'): void {
  const { status, stderr } = spawnSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`]);
  expect(status, String(stderr)).toBe(0);
}

it.runIf(linux)('a disk that is full for a while costs no step, no line and no weights', async () => {
  const often = ['--checkpoint-every', '2', '--evaluate-every', '1'];
  const options = ['--steps', '1000000', ...often, '--engine', 'wasm', '--out', 'full'];
  const { process: running, ended } = await begun(['train', ...TINY, ...options], 'full');
  limit(running.pid, 100);
  await sleep(700);
  expect(running.exitCode).toBe(null);
  limit(running.pid, 'unlimited');
  await sleep(200);
  running.kill('SIGINT');
  const { code, stderr } = await ended;
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/warning: .*metrics\.jsonl: cannot be written.*training goes on/);
  expect(stderr).toMatch(/warning: .*checkpoint: cannot be written.*training goes on/);
  expect(stderr).toMatch(/warning: .*best: cannot be written.*training goes on/);
  const all = await metrics(path('full/metrics.jsonl'));
  const least = all.reduce((best, one) => (one.validationLoss < best.validationLoss ? one : best));
  const { step, validationLoss } = JSON.parse(await readFile(path('full/best/measured.json'), 'utf8'));
  expect({ step, validationLoss }).toEqual({ step: least.step, validationLoss: least.validationLoss });
  const lines = all.map(({ step }) => step);
  expect(lines).toEqual(lines.map((_, i) => i + 1));
  expect(JSON.parse(await readFile(path('full/checkpoint/training.json'), 'utf8')).step).toBe(lines.length);
});

it.runIf(linux)(
  'a first save that fails is one message, and the same command works when it can',
  async () => {
    const args = ['train', ...TINY, '--steps', '2', '--out', 'first', '--engine', 'wasm'];
    const command = ['ulimit -f 8;', process.execPath, bin, ...args].join(' ');
    const { status, stderr } = spawnSync('bash', ['-c', command], { cwd: path(), encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/\nerror: first\/checkpoint: cannot be written \(EFBIG/);
    expect(stderr).not.toMatch(STACK);
    expect(existsSync(path('first'))).toBe(false);
    const again = await xlstm(args);
    expect(again.code, again.stderr).toBe(0);
  },
);

it.runIf(linux)('a folder that cannot be made is one message', async () => {
  const { code, stderr } = await xlstm(['train', ...TINY, '--out', '/sys/xlstm-run']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/error: \/sys\/xlstm-run: cannot be written/);
  expect(stderr).not.toMatch(STACK);
});

it('resumes from another working folder, with a text that moved, and with none of the old ones not', async () => {
  await cp(path('text.txt'), path('given.txt'));
  const options = ['--steps', '100000', '--out', 'moved'];
  const { process: running, ended } = await begun(['train', ...tinyOn('given.txt'), ...options], 'moved');
  running.kill('SIGINT');
  await ended;
  await rename(path('given.txt'), path('elsewhere.txt'));
  const resume = ['train', '--resume', 'moved'];
  expect((await xlstm(resume)).stderr).toMatch(/given\.txt: there is no such file/);
  const data = ['--data', path('text.txt')];
  await writeFile(path('changed.txt'), 'Another text of some length. '.repeat(100));
  const changed = await xlstm([...resume, '--data', 'changed.txt']);
  expect(changed.stderr).toMatch(/changed\.txt: not the texts of this run[\s\S]*--accept-new-data/);
  const { process: again, ended: end } = await begun([...resume, ...data], 'moved', 2);
  again.kill('SIGINT');
  expect((await end).stderr).toMatch(/stopped after step/);
  const wrong = await xlstm(['train', ...TINY, '--accept-new-data', '--out', 'never']);
  expect(wrong.code).toBe(2);
});

it('a model without a tokenizer can be inspected, one without an optimizer can also write and be measured', async () => {
  const trained = await xlstm(['train', ...TINY, '--steps', '1', '--out', 'bare']);
  expect(trained.code, trained.stderr).toBe(0);
  await rename(path('bare/checkpoint/tokenizer.json'), path('tokenizer.json'));
  expect((await xlstm(['inspect', 'bare'])).code).toBe(0);
  for (const args of [
    ['generate', 'bare', '--prompt', 'x'],
    ['eval', 'bare', 'text.txt'],
  ]) {
    const { code, stderr } = await xlstm(args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/bare: the model has no tokenizer \(tokenizer\.json\)/);
  }
  await rename(path('tokenizer.json'), path('bare/checkpoint/tokenizer.json'));
  await rename(path('bare/checkpoint/optimizer.safetensors'), path('optimizer.safetensors'));
  for (const args of [
    ['generate', 'bare', '--prompt', 'x', '--max-tokens', '3'],
    ['eval', 'bare', 'text.txt'],
    ['inspect', 'bare'],
  ]) {
    const { code, stderr } = await xlstm(args);
    expect(code, stderr).toBe(0);
  }
  expect((await xlstm(['train', '--resume', 'bare'])).stderr).toMatch(/but no optimizer\.safetensors/);
});
