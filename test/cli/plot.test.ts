import { appendFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { TINY, workplace } from './command.ts';

const { path, xlstm } = workplace();

beforeAll(async () => {
  for (const [name, steps] of [
    ['a', '12'],
    ['b', '8'],
  ]) {
    const { code, stderr } = await xlstm([
      'train',
      ...TINY,
      '--steps',
      steps,
      '--evaluate-every',
      '4',
      '--out',
      name,
    ]);
    expect(code, stderr).toBe(0);
  }
});

describe('xlstm plot', () => {
  it('draws the curves of runs, and says where they stand', async () => {
    const { code, stdout, stderr } = await xlstm(['plot', 'a', 'b']);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/[\u2801-\u28ff]/);
    expect(stdout).toMatch(/384 tokens/);
    expect(stdout).toMatch(/^a +12 +384 +\S+ m?s +\d\.\d{4} +\d\.\d{4} +\d+$/m);
    expect(stdout).toMatch(/^b +8 +256 +\S+ m?s +\d\.\d{4} +\d\.\d{4} +\d+$/m);
  });

  it('writes them as SVG, over time', async () => {
    const { code, stderr } = await xlstm(['plot', 'a', 'b', '--over', 'time', '--plot', 'c.svg']);
    expect(code, stderr).toBe(0);
    const svg = await readFile(path('c.svg'), 'utf8');
    expect(svg).toMatch(/^<svg .*<\/svg>\n$/s);
    for (const text of ['loss of training', 'loss of the held-out text', 'nats per token', 'time']) {
      expect(svg).toContain(text);
    }
  });

  it('reads a line that is being written, and refuses what is no run', async () => {
    await appendFile(path('b/metrics.jsonl'), '{"step": 9, "lo');
    expect((await xlstm(['plot', 'b'])).stdout).toMatch(/^b +8 /m);
    await mkdir(path('empty'));
    expect((await xlstm(['plot', 'empty'])).stderr).toMatch(
      /empty: expected the folder of a run, found no checkpoint/,
    );
    expect((await xlstm(['plot', 'none'])).stderr).toMatch(
      /none: expected the folder of a run, found no such folder/,
    );
    expect((await xlstm(['plot', 'a', '--plot', 'no/c.svg'])).stderr).toMatch(/there is no folder no/);
    expect((await xlstm(['plot', 'a', '--over', 'steps'])).code).toBe(2);
  });
});

it('xlstm train --tensorboard writes a file for each time that a run was at work', async () => {
  const files = async (): Promise<string[]> => readdir(path('events/tensorboard'));
  await xlstm(['train', ...TINY, '--steps', '3', '--tensorboard', '--out', 'events']);
  expect(await files()).toEqual([expect.stringMatching(/^events\.out\.tfevents\.\d{10}\.\d{3}\./)]);
  const resume = ['train', '--resume', 'events', '--steps', '5', '--sample', '0', '--tensorboard'];
  const { code, stderr } = await xlstm(resume);
  expect(code, stderr).toBe(0);
  expect(await files()).toHaveLength(2);
  expect((await readFile(path('events/tensorboard', (await files())[1]))).includes('loss/training')).toBe(
    true,
  );
});
