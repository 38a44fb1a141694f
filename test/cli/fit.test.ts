import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { workplace } from './command.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const { path, xlstm } = workplace();
const ROWS = 240;
const wave = (t: number): number => 20 + 5 * Math.sin(t / 4);
const small = [
  '--dim',
  '16',
  '--heads',
  '2',
  '--depth',
  '1',
  '--blocks',
  'gru',
  '--window',
  '24',
  '--epochs',
  '30',
  '--batch',
  '4',
];

beforeAll(async () => {
  await mkdir(path('d.svg'));
  const rows = Array.from({ length: ROWS }, (_, t) => [
    t,
    wave(t),
    wave(t) > 20 ? 'high' : 'low',
    t % 7 === 3 ? '' : t,
  ]);
  await writeFile(path('waves.csv'), `t,wave,side,holes\n${rows.map((row) => row.join(',')).join('\n')}\n`);
});

/** What stands written in a drawing. */
const textsOf = (svg: string): string[] => [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, text]) => text);

describe('xlstm fit', () => {
  it('learns what a column will be, and predict says it for every row', async () => {
    const fit = await xlstm([
      'fit',
      'waves.csv',
      '--target',
      'wave',
      '--inputs',
      'wave',
      '--out',
      'model',
      '--plot',
      'fit.svg',
      ...small,
      '--json',
    ]);
    expect(fit.stderr).toContain('epoch 30 / 30');
    expect(textsOf(await readFile(path('fit.svg'), 'utf8'))).toEqual(
      expect.arrayContaining([
        'waves.csv: held-out rows',
        'as it was',
        'predicted',
        'loss',
        'training',
        'held out',
        'epoch',
      ]),
    );
    expect(fit.code).toBe(0);
    const { outputs, rows } = JSON.parse(fit.stdout);
    expect(rows).toBe(24);
    expect(outputs[0].name).toBe('wave');
    expect(outputs[0].meanAbsolute).toBeLessThan(outputs[0].unchanged.meanAbsolute / 2);
    const predict = await xlstm(['predict', 'model', 'waves.csv', '--json']);
    expect(predict.code).toBe(0);
    const predicted = JSON.parse(predict.stdout) as { 'for row': number; wave: number }[];
    expect(predicted).toHaveLength(ROWS);
    // Rows are counted from 1, steps from 0: the prediction on the last row is about the one after it.
    expect(predicted.at(-1)).toMatchObject({ 'for row': ROWS + 1 });
    for (const { 'for row': row, wave: value } of predicted.slice(40)) {
      expect(Math.abs(value - wave(row - 1))).toBeLessThan(1.5);
    }
    const shown = await xlstm(['predict', 'model', 'waves.csv']);
    expect(shown.stdout).toContain('wave as predicted');
    expect(shown.stdout).toContain('the last 10 of 240');
    const plot = ['--plot', 'predicted.svg'];
    const out = await xlstm(['predict', 'model', 'waves.csv', '--out', 'p.csv', ...plot]);
    expect(out.code).toBe(0);
    expect(out.stderr).toContain('drawn in predicted.svg');
    const drawn = await readFile(path('predicted.svg'), 'utf8');
    expect(textsOf(drawn)).toEqual(
      expect.arrayContaining([
        'model: predictions on waves.csv',
        'wave',
        'as it was',
        'predicted',
        'row',
        '200',
      ]),
    );
    // A line of the rows that were, one of those that were predicted.
    expect(
      [...drawn.matchAll(/class="line [^"]*" d="([^"]*)"/g)].map(([, d]) => d.split('L').length),
    ).toEqual([ROWS, ROWS, 1, 1]);
    const csv = (await readFile(path('p.csv'), 'utf8')).trim().split('\n');
    expect(csv).toHaveLength(ROWS + 1);
    expect(csv[0]).toBe('for row,wave');
  });

  it('learns labels of rows', async () => {
    const fit = await xlstm([
      'fit',
      'waves.csv',
      '--target',
      'side',
      '--inputs',
      'wave',
      '--out',
      'sides',
      '--plot',
      'sides.svg',
      ...small,
      '--json',
    ]);
    expect(fit.code).toBe(0);
    expect(textsOf(await readFile(path('sides.svg'), 'utf8'))).toEqual(
      expect.arrayContaining(['probability of side', 'high', 'low', 'training', 'held out']),
    );
    const { accuracy, commonest } = JSON.parse(fit.stdout);
    expect(accuracy).toBeGreaterThan(0.8);
    expect(accuracy).toBeGreaterThan(commonest);
    const { stdout } = await xlstm(['predict', 'sides', 'waves.csv', '--json']);
    const [first] = JSON.parse(stdout);
    expect(first.side).toMatch(/^(high|low)$/);
    expect(first['p(high)'] + first['p(low)']).toBeCloseTo(1, 6);
  });

  it.each([
    ['a target that is not there', ['waves.csv', '--target', 'heat'], /no column "heat"/],
    ['an input that is not there', ['waves.csv', '--target', 'wave', '--inputs', 'x'], /no column "x"/],
    [
      'a text among the inputs',
      ['waves.csv', '--target', 'wave', '--inputs', 'side'],
      /column "side": expected a number, found "low"/,
    ],
    [
      'an empty cell',
      ['waves.csv', '--target', 'wave', '--inputs', 'holes'],
      /line 5, column "holes": expected a number, found none/,
    ],
    [
      'a window longer than the table',
      ['waves.csv', '--target', 'wave', '--inputs', 'wave', '--window', '999'],
      /a window takes 1000 steps/,
    ],
    ['a folder that is there', ['waves.csv', '--target', 'wave', '--out', '.'], /is there already/],
    [
      'quantiles that are none',
      ['waves.csv', '--target', 'wave', '--inputs', 'wave', '--quantiles', '0.5,x'],
      /quantiles: expected numbers/,
    ],
    ['no table', ['nothing.csv', '--target', 'wave'], /nothing.csv/],
    ['a plot that is no SVG', ['waves.csv', '--target', 'wave', '--plot', 'x.png'], /x\.png.*ends in \.svg/],
    ['a plot without a name', ['waves.csv', '--target', 'wave', '--plot', '.svg'], /ends in \.svg/],
    [
      'a plot nowhere',
      ['waves.csv', '--target', 'wave', '--plot', 'no/x.svg'],
      /no\/x\.svg: there is no folder no/,
    ],
    [
      'a plot that is a folder',
      ['waves.csv', '--target', 'wave', '--plot', 'd.svg'],
      /d\.svg: expected a file/,
    ],
    [
      'unknown blocks',
      ['waves.csv', '--target', 'wave', '--inputs', 'wave', '--blocks', 'lstn'],
      /blocks: expected xLSTM/,
    ],
  ])('says in one line what is wrong: %s', async (_, args, message) => {
    const { code, stderr, stdout } = await xlstm(['fit', ...args]);
    expect(code).not.toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('internal error');
  });

  it('predict refuses a model of text', async () => {
    await xlstm([
      'train',
      '--data',
      'text.txt',
      '--dim',
      '16',
      '--heads',
      '2',
      '--blocks',
      '1',
      '--model',
      'xLSTM[1:0]',
      '--steps',
      '1',
      '--batch',
      '1',
      '--length',
      '16',
      '--out',
      'text',
      '--sample',
      '0',
    ]);
    const { code, stderr } = await xlstm(['predict', 'text', 'waves.csv']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('expected a model of sequences of numbers');
  });
});
