import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { chooseEngine } from '../../src/compute/engines/choose.ts';
import { metrics, TINY, workplace } from './command.ts';

const { path, xlstm, start } = workplace();

const engines = await Promise.all(
  (['wasm', 'native'] as const).map(async (name) =>
    chooseEngine(name, { threads: 1 }).then(
      ({ engine }) => engine.close().then(() => name),
      () => undefined,
    ),
  ),
).then((names) => names.filter((name) => name !== undefined));

async function train(options: readonly string[]): Promise<void> {
  const { code, stderr } = await xlstm(['train', ...TINY, ...options]);
  expect(code, stderr).toBe(0);
}

const losses = async (run: string): Promise<number[]> =>
  (await metrics(path(run, 'metrics.jsonl'))).map(({ loss }) => loss);

/** What a checkpoint holds besides times. */
async function checkpoint(run: string): Promise<{ weights: Buffer; optimizer: Buffer; progress: unknown }> {
  const file = (name: string): Promise<Buffer> => readFile(path(run, 'checkpoint', name));
  const { elapsedSeconds, ...progress } = JSON.parse((await file('training.json')).toString());
  expect(elapsedSeconds).toBeGreaterThan(0);
  return {
    weights: await file('model.safetensors'),
    optimizer: await file('optimizer.safetensors'),
    progress,
  };
}

it('writes a line of metrics a step, a checkpoint, and the loss on held-out text', async () => {
  const options = ['--steps', '40', '--evaluate-every', '20', '--seed', '3'];
  const { code, stdout, stderr } = await xlstm(['train', ...TINY, ...options, '--out', 'plain']);
  expect(code, stderr).toBe(0);
  const lines = await metrics(path('plain/metrics.jsonl'));
  expect(lines.map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  for (const line of lines) {
    expect(line.loss).toBeGreaterThan(0);
    expect(line.gradientNorm).toBeGreaterThan(0);
    expect(line.tokensPerSecond).toBeGreaterThan(0);
  }
  expect(lines[0].loss).toBeGreaterThan(5);
  expect(lines[39].loss).toBeLessThan(4);
  const measured = lines.filter(({ validationLoss }) => validationLoss !== undefined);
  expect(measured.map(({ step }) => step)).toEqual([20, 40]);
  expect(stdout).toContain(`validation loss ${lines[39].validationLoss.toFixed(4)} nats per byte`);
  expect(stderr).toMatch(/^engine {2}(native|wasm)/);
  expect(stderr).toContain('step 40/40');
  expect(stderr).not.toContain('\u001b'); // plain lines: this is no terminal
});

it('writes a sample that goes on from words of the held-out text, or from what it is given', async () => {
  const options = ['--steps', '2', '--evaluation-tokens', '50', '--json'];
  const held = (await readFile(path('text.txt'), 'utf8')).slice(-3000);
  const sample = async (...more: string[]): Promise<string> => {
    const { code, stdout, stderr } = await xlstm(['train', ...TINY, ...options, '--sample', '5', ...more]);
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout).sample;
  };
  const [words] = /^\S+( \S+){1,3}/.exec(await sample('--out', 'words')) ?? [''];
  expect(held).toContain(words.split(' ').slice(0, 2).join(' '));
  expect(await sample('--out', 'given', '--prompt', 'Qx! ')).toMatch(/^Qx! /);
});

describe.each(engines)('%s', (engine) => {
  it('computes the same losses with 1 and 2 threads', async () => {
    const large = ['--dim', '48', '--batch', '8', '--length', '64', '--steps', '4', '--engine', engine];
    await train([...large, '--threads', '1', '--out', `${engine}-1`]);
    await train([...large, '--threads', '2', '--out', `${engine}-2`]);
    expect(await losses(`${engine}-1`)).toHaveLength(4);
    expect(await losses(`${engine}-2`)).toEqual(await losses(`${engine}-1`));
    const [one, two] = [await checkpoint(`${engine}-1`), await checkpoint(`${engine}-2`)];
    expect(two.weights.equals(one.weights)).toBe(true);
  });

  it.each(['contiguous', 'shuffled'])(
    'stops at Ctrl-C with a checkpoint and resumes to the bits of an uninterrupted run (%s)',
    async (order) => {
      const options = ['--steps', '600', '--dropout', '0.1', '--order', order, '--engine', engine];
      const [whole, stopped] = [`${engine}-${order}-whole`, `${engine}-${order}-stopped`];
      const { process: running, ended } = start(['train', ...TINY, ...options, '--out', stopped]);
      const file = path(stopped, 'metrics.jsonl');
      while (!existsSync(file) || (await readFile(file, 'utf8')).split('\n').length < 20) await sleep(2);
      running.kill('SIGINT');
      const { code, stderr } = await ended;
      expect(code, stderr).toBe(0);
      const step = Number(/stopped after step (\d+); .*xlstm train --resume/.exec(stderr)?.[1]);
      expect(step).toBeGreaterThanOrEqual(19);
      expect(step).toBeLessThan(600);
      expect(await losses(stopped)).toHaveLength(step);
      expect((await checkpoint(stopped)).progress).toMatchObject({ step });

      const resumed = await xlstm(['train', '--resume', stopped, '--sample', '0', '--engine', engine]);
      expect(resumed.code, resumed.stderr).toBe(0);
      await train([...options, '--out', whole]);
      expect(await losses(stopped)).toEqual(await losses(whole));
      const [one, other] = [await checkpoint(whole), await checkpoint(stopped)];
      expect(other.weights.equals(one.weights)).toBe(true);
      expect(other.optimizer.equals(one.optimizer)).toBe(true);
      expect(other.progress).toEqual(one.progress);
    },
  );
});

it('in bf16 says and keeps it; an engine that cannot is refused, and nothing is left', async () => {
  const bf16 = [...TINY, '--precision', 'bf16', '--steps', '2', '--sample', '0'];
  const { code, stderr } = await xlstm(['train', ...bf16, '--engine', 'reference', '--out', 'bf16']);
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/^run .*, products in bf16, into bf16\//m);
  expect((await checkpoint('bf16')).progress).toMatchObject({ options: { precision: 'bf16' } });

  const refused = await xlstm(['train', ...bf16, '--engine', 'wasm', '--out', 'refused']);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(
    /error: precision bf16: WebAssembly has no dot products of bfloat16\n.*precision f32/,
  );
  expect(existsSync(path('refused'))).toBe(false);
});

it('needs no native library', () => {
  expect(engines).toContain('wasm');
});
