import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { workplace } from './command.ts';

const { path, xlstm } = workplace();
const head = (...args: string[]) => xlstm(['forecast', 'head', ...args]);
const tirex2 = fileURLToPath(new URL('../golden/tirex2_tiny', import.meta.url));

const PERIODS = { daily: 24, weekly: 7 };
type Label = keyof typeof PERIODS;

/** Waves of two periods and of several levels, each with a name. */
function waves(count: number, first: number): string {
  const rows = Array.from({ length: count }, (_, i) => {
    const n = first + i;
    const label: Label = n % 2 ? 'daily' : 'weekly';
    return Array.from({ length: 96 }, (_, t) => {
      const x = (1 + (n % 5)) * Math.sin(n + (2 * Math.PI * t) / PERIODS[label]) + 0.2 * Math.sin(n * t * t);
      return `w${n},${x.toFixed(4)},${label},${PERIODS[label]}`;
    });
  });
  return ['wave,x,kind,period', ...rows.flat(), ''].join('\n');
}

beforeAll(async () => {
  await writeFile(path('waves.csv'), waves(24, 0));
  await writeFile(path('new.csv'), waves(10, 24));
});

const TRAIN = ['train', 'waves.csv', '--id', 'wave', '--inputs', 'x'];

describe('xlstm forecast head', () => {
  it('learns classes, says how well, and tells those of other series', async () => {
    const made = await head(...TRAIN, '--label', 'kind', '--out', 'kinds');
    expect(made.code, made.stderr).toBe(0);
    expect(made.stderr).toMatch(/^data {4}24 series of x; kind: a class$/m);
    expect(made.stdout).toMatch(
      /^told right: (100|9\d|8\d)\.\d % of 24 series, each held out once \(the commonest class: 50\.0 %\)$/m,
    );
    expect(made.stdout).toMatch(/npx xlstm forecast head apply kinds TABLE --id wave$/m);
    const told = await head('apply', 'kinds', 'new.csv', '--id', 'wave', '--label', 'kind');
    expect(told.code, told.stderr).toBe(0);
    expect(told.stdout).toMatch(/^wave +kind +probability +as labelled$/m);
    expect(told.stdout).toMatch(/^w25 +daily +\d+\.\d % +daily$/m);
    expect(told.stdout).toMatch(/^told right: (100|90|80)\.0 % of 10 series$/m);
    const json = await head('apply', 'kinds', 'new.csv', '--id', 'wave', '--json', '--out', 'told.csv');
    const all = JSON.parse(json.stdout);
    expect(all).toHaveLength(10);
    expect(all[0]).toEqual({ wave: 'w24', kind: 'weekly', probability: expect.any(Number) });
    const csv = (await readFile(path('told.csv'), 'utf8')).split('\n');
    expect(csv[0]).toBe('wave,kind,probability');
    expect(csv).toHaveLength(12);
  });

  it('learns numbers, or classes of numbers, over a model that is named', async () => {
    const over = ['--model', tirex2, '--json'];
    const numbers = await head(...TRAIN, '--label', 'period', '--out', 'periods', ...over);
    expect(numbers.code, numbers.stderr).toBe(0);
    const facts = JSON.parse(numbers.stdout);
    expect(facts).toMatchObject({
      folder: 'periods',
      examples: 24,
      inputNames: ['x'],
      outputName: 'period',
      measures: { kind: 'regression', errorOfMean: 8.5 },
    });
    const told = await head('apply', 'periods', 'new.csv', '--id', 'wave', ...over);
    expect(Object.keys(JSON.parse(told.stdout)[0])).toEqual(['wave', 'period']);
    const classes = await head(...TRAIN, '--label', 'period', '--classify', '--out', 'classes', ...over);
    expect(JSON.parse(classes.stdout)).toMatchObject({
      classes: ['24', '7'],
      measures: { kind: 'classification', majority: 0.5 },
    });
    const other = await head('apply', 'periods', 'new.csv', '--id', 'wave');
    expect(other.code).not.toBe(0);
    expect(other.stderr).toMatch(/trained on the embeddings of another model/);
  });
});

describe('xlstm forecast head refuses', () => {
  it.each([
    [['train', 'waves.csv', '--id', 'wave', '--out', 'no'], /required option '--label <column>'/],
    [[...TRAIN, '--label', 'knd', '--out', 'no'], /there is no column "knd"\n {2}Near it: "kind"/],
    [[...TRAIN, '--label', 'x', '--out', 'no'], /column "x": expected "-?[\d.]+", as before in sample "w0"/],
    [
      ['train', 'new.csv', '--id', 'kind', '--label', 'kind', '--inputs', 'x', '--out', 'no'],
      /at least \d examples/,
    ],
    [['apply', 'none', 'new.csv', '--id', 'wave'], /none/],
  ])('%o', async (args, message) => {
    const { code, stdout, stderr } = await head(...args);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n {4}at /);
    expect(stdout).toBe('');
    expect(existsSync(path('no'))).toBe(false);
  });
});
