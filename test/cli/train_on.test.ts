import { existsSync } from 'node:fs';
import { copyFile, readFile, rename, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { metrics, SHORT, TINY, tinyOn, workplace } from './command.ts';

const { path, xlstm } = workplace();

async function train(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await xlstm(['train', ...args]);
  expect(code, stderr).toBe(0);
  return { stdout, stderr };
}

const losses = async (run: string): Promise<number[]> =>
  (await metrics(path(run, 'metrics.jsonl'))).map(({ loss }) => loss);
const read = (...names: string[]): Promise<Buffer> => readFile(path(...names));

beforeAll(async () => {
  await writeFile(path('other.txt'), 'Some say the world will end in fire, some say in ice.\n'.repeat(30));
  await train([...TINY, '--steps', '60', '--evaluate-every', '20', '--documents', '--out', 'run']);
});

describe('--init', () => {
  it.each(['run', 'run/best', 'run/checkpoint', 'run/checkpoint/model.safetensors'])(
    'begins with the weights and the tokenizer of %s',
    async (from) => {
      const out = `from-${from.replaceAll('/', '-')}`;
      const data = ['--data', 'text.txt', ...SHORT];
      const { stderr } = await train(['--init', from, ...data, '--steps', '4', '--out', out]);
      expect(stderr).toMatch(/run +4 steps of 2 × 16 tokens, into/);
      const [first] = await losses(out);
      const [untrained, ...later] = await losses('run');
      // It knows the text, which a new model does not.
      expect(first).toBeLessThan(untrained - 2);
      expect(first).toBeLessThan(2 * (later.at(-1) ?? 0));
      expect(await read(out, 'checkpoint', 'tokenizer.json')).toEqual(
        await read('run/checkpoint/tokenizer.json'),
      );
      expect(await read(out, 'checkpoint', 'config.json')).toEqual(await read('run/checkpoint/config.json'));
    },
  );

  it('takes a file of weights of any name, and a fresh optimizer', async () => {
    for (const name of ['config.json', 'tokenizer.json', 'model.safetensors']) {
      await copyFile(
        path('run/best', name),
        path(name === 'model.safetensors' ? 'step-60.safetensors' : name),
      );
    }
    const from = ['--init', 'step-60.safetensors', '--data', 'other.txt', ...SHORT];
    await train([...from, '--steps', '1', '--out', 'file']);
    const { step } = JSON.parse((await read('file/checkpoint/training.json')).toString());
    expect(step).toBe(1);
    expect(
      (await xlstm(['generate', 'step-60.safetensors', '--prompt', 'The', '--max-tokens', '2'])).code,
    ).toBe(0);
    await rename(path('config.json'), path('away.json'));
    const { code, stderr } = await xlstm(['train', ...from, '--out', 'never']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/step-60\.safetensors: expected .* a file of weights beside its config\.json/);
  });

  it("takes the model's length where none is given", async () => {
    const { stderr } = await train([
      '--init',
      'run',
      '--data',
      'text.txt',
      '--steps',
      '1',
      '--batch',
      '2',
      '--sample',
      '0',
      '--out',
      'long',
    ]);
    expect(stderr).toMatch(/1 steps of 2 × 16 tokens/);
  });

  it('takes options that say what the model is', async () => {
    const same = ['--dim', '16', '--heads', '2', '--blocks', '2', '--model', 'xLSTM[1:1]', '--dropout', '0'];
    await train(['--init', 'run', ...same, '--data', 'text.txt', ...SHORT, '--steps', '1', '--out', 'same']);
    const file = ['--config', 'run/checkpoint/config.json'];
    await train(['--init', 'run', ...file, '--data', 'text.txt', ...SHORT, '--steps', '1', '--out', 'filed']);
  });

  it.each<[string, string[], RegExp]>([
    ['width', ['--dim', '32'], /--init run: 1 mLSTM and 1 sLSTM blocks, width 16; but --dim 32\n/],
    ['depth and heads', ['--blocks', '4', '--heads', '4'], /but --blocks 4, --heads 4\n/],
    ['kinds of blocks', ['--model', 'xLSTM[1:0]'], /but --model xLSTM\[1:0\]\n/],
    ['blocks that are sLSTM', ['--slstm-at', '0'], /but --slstm-at 0\n/],
    [
      'dropout and tied weights',
      ['--dropout', '0.1', '--tie-weights'],
      /but --dropout 0\.1, --tie-weights\n/,
    ],
    ['a configuration', ['--config', 'gru.json'], /but gru\.json is of the architecture gru\n/],
  ])('refuses options of another model: %s', async (_, options, message) => {
    await writeFile(path('gru.json'), '{"architecture": "gru", "vocab_size": 257, "embedding_dim": 16}');
    const { code, stderr } = await xlstm([
      'train',
      '--init',
      'run',
      ...options,
      '--data',
      'text.txt',
      '--out',
      'never',
    ]);
    expect(code, stderr).toBe(2);
    expect(stderr).toMatch(message);
    expect(existsSync(path('never'))).toBe(false);
  });

  it('of another architecture refuses the options of an xLSTM', async () => {
    await writeFile(path('gru.json'), '{"architecture": "gru", "vocab_size": 256, "embedding_dim": 16}');
    await train(['--config', 'gru.json', '--data', 'text.txt', ...SHORT, '--steps', '1', '--out', 'gru']);
    await train(['--init', 'gru', '--data', 'text.txt', ...SHORT, '--steps', '1', '--out', 'gru-on']);
    const { code, stderr } = await xlstm([
      'train',
      '--init',
      'gru',
      '--dim',
      '32',
      '--slstm-at',
      '1',
      '--data',
      'text.txt',
      '--out',
      'never',
    ]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--init gru: .*; but --slstm-at is of an xLSTM, --dim 32\n/);
    const documents = await xlstm([
      'train',
      '--init',
      'gru',
      '--documents',
      '--data',
      'text.txt',
      '--out',
      'never',
    ]);
    expect(documents.stderr).toMatch(/--documents: the tokenizer of gru has no token that starts a document/);
  });

  it.each<[string, string[], RegExp]>([
    ['nothing', ['--init', 'nothing'], /nothing: expected a checkpoint/],
    ['a text', ['--init', 'other.txt'], /other\.txt/],
    ['a run to go on with', ['--init', 'run', '--resume', 'run'], /--init: a run that is resumed keeps/],
  ])('refuses %s', async (_, options, message) => {
    const { code, stderr } = await xlstm(['train', ...options, '--out', 'never']);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('internal error');
  });
});

describe('--resume with --steps', () => {
  it('trains beyond the end, and says how to where a run is complete', async () => {
    await train([...TINY, '--steps', '10', '--out', 'ten']);
    const { code, stderr } = await xlstm(['train', '--resume', 'ten']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/complete \(10 of 10 steps\)\n.*xlstm train --resume ten --steps 20/);
    const more = await train(['--resume', 'ten', '--steps', '20', '--sample', '0']);
    expect(more.stderr).toContain('20 steps of 2 × 16 tokens from step 10 on');
    expect(more.stdout).toContain('20 steps in');
    expect(await losses('ten')).toHaveLength(20);
    const fewer = await xlstm(['train', '--resume', 'ten', '--steps', '15']);
    expect(fewer.code).toBe(2);
    expect(fewer.stderr).toMatch(/the run has 20 steps, of which 20 are made: .*expected more, found 15/);
  });
});

describe('held-out texts', () => {
  it('of their own leave all of the others to train on', async () => {
    const options = ['--steps', '2', '--evaluation-tokens', '500', '--out', 'own', '--json'];
    const { stdout, stderr } = await train([...TINY, '--validation', 'other.txt', ...options]);
    const bytes = (await read('text.txt')).length;
    expect(stderr).toContain(
      `${(bytes / 1000).toFixed(2)}k tokens to train on, 1.62k held out, 500 of them measured`,
    );
    const { validationLoss, best } = JSON.parse(stdout);
    const [, { validationLoss: measured }] = await metrics(path('own/metrics.jsonl'));
    expect(validationLoss).toBe(measured);
    expect(best).toEqual({ folder: 'own/best', step: 2, validationLoss });
  });

  it('are none with a share of 0, and nothing is measured', async () => {
    const options = ['--steps', '2', '--validation-share', '0', '--out', 'none'];
    const { stdout, stderr } = await train([...TINY, ...options]);
    expect(stderr).toMatch(/tokens to train on, none held out\n/);
    expect(stdout).toMatch(/^2 steps in .*; the model is in none\/\n$/);
    expect(existsSync(path('none/best'))).toBe(false);
    const { stdout: asJson } = await train([...TINY, ...options.slice(0, -1), 'none-json', '--json']);
    expect(JSON.parse(asJson)).toMatchObject({ validationLoss: null, bitsPerByte: null, best: null });
  });

  it.each<[string, string[], RegExp]>([
    [
      'both a share and texts',
      ['--validation', 'other.txt', '--validation-share', '0.2'],
      /--validation-share: with --validation/,
    ],
    [
      'something to measure of nothing',
      ['--validation-share', '0', '--evaluation-tokens', '9'],
      /--evaluation-tokens 9: with --validation-share 0/,
    ],
    ['a share of all', ['--validation-share', '1'], /Expected a number from 0 to 0\.9/],
    ['one token', ['--evaluation-tokens', '1'], /expected at least 2 tokens, found 1/],
    ['texts that are not there', ['--validation', 'gone.txt'], /gone\.txt: there is no such file/],
  ])('are refused: %s', async (_, options, message) => {
    const { code, stderr } = await xlstm(['train', ...TINY, ...options, '--out', 'never']);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
    expect(existsSync(path('never'))).toBe(false);
  });

  it('from standard input are read once', async () => {
    const { code, stderr } = await xlstm(['train', ...tinyOn('-'), '--validation', '-', '--out', 'never']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/standard input \("-"\) can be read once/);
  });
});
