import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { workplace } from './command.ts';

const { path, xlstm } = workplace();
const example = (name: string): string =>
  fileURLToPath(new URL(`../../examples/series/${name}`, import.meta.url));

const day = (i: number): string => new Date(Date.UTC(2024, 0, 1 + i)).toISOString().slice(0, 10);
const load = (i: number): number => 100 + 10 * (i % 7) + (i % 3);

beforeAll(async () => {
  const rows = Array.from({ length: 70 }, (_, i) => `${day(i)},${load(i)},${i % 7 === 6 ? 1 : 0}`);
  const ahead = Array.from({ length: 5 }, (_, i) => `${day(70 + i)},,0`);
  await writeFile(path('load.csv'), ['ts,load,holiday', ...rows, ...ahead, ''].join('\n'));
  await writeFile(
    path('load.jsonl'),
    Array.from({ length: 70 }, (_, i) => `${JSON.stringify({ ts: day(i), load: load(i) })}\n`).join(''),
  );
});

const forecast = (...args: string[]) => xlstm(['forecast', ...args]);
const NAIVE = ['--method', 'seasonal-naive'];

describe('xlstm forecast', () => {
  it('prints a chart and a table, and says what it read', async () => {
    const { code, stdout, stderr } = await forecast(
      'load.csv',
      '--target',
      'load',
      '--horizon',
      '7',
      ...NAIVE,
    );
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/^series {2}load: 70 steps \(day\), 2024-01-01 to 2024-03-10 \(times: ts\)$/m);
    expect(stdout).toMatch(/[\u2801-\u28ff]/);
    expect(stdout).toContain('░');
    expect(stdout).toMatch(/^time +10 % +median +90 %$/m);
    expect(stdout).toMatch(/^2024-03-11 +\S+ +100\.\d +\S+$/m);
    expect(stdout).toMatch(/^2024-03-17 /m);
    expect(stdout).not.toMatch(/2024-03-18|NaN|undefined/);
  });

  it('gives everything as JSON', async () => {
    const { code, stdout, stderr } = await forecast(
      'load.jsonl',
      ...['--horizon', '3', '--levels', '0.05,0.5,0.95', '--backtest', '2', '--json'],
      ...NAIVE,
    );
    expect(code, stderr).toBe(0);
    const { targets, method, series, backtest } = JSON.parse(stdout);
    expect([targets, method]).toEqual([['load'], 'seasonal-naive']);
    expect(series).toHaveLength(1);
    expect(series[0]).toMatchObject({
      target: 'load',
      values: 70,
      step: 'day',
      season: 7,
      from: '2024-01-01',
      to: '2024-03-10',
    });
    expect(series[0].times).toEqual(['2024-03-11', '2024-03-12', '2024-03-13']);
    // The values of a week before.
    expect(series[0].median).toEqual([63, 64, 65].map(load));
    expect(series[0].quantiles['0.95'][0]).toBeGreaterThan(series[0].median[0]);
    expect(Object.keys(backtest.load)).toEqual(['seasonal-naive', 'ets']);
    expect(backtest.load.ets).toMatchObject({
      forecasts: 2,
      mase: expect.any(Number),
      coverage: expect.any(Number),
    });
  });

  it('measures methods, names the better one, and draws both charts as SVG', async () => {
    const { code, stdout, stderr } = await forecast(
      example('co2.csv'),
      ...['--horizon', '24', '--backtest', '3', '--plot', 'co2.svg'],
      ...NAIVE,
    );
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/back-test: 3 forecasts of 24 steps/);
    expect(stdout).toMatch(/^ets +0\.\d{3} /m);
    expect(stdout).toMatch(
      /ets wins here: MASE 0\.\d+ against [12]\.\d+ of seasonal-naive\. Use it: --method ets/,
    );
    const svg = await readFile(path('co2.svg'), 'utf8');
    expect(svg).toMatch(/^<svg .*<\/svg>\n$/s);
    for (const text of [
      'as it was',
      'median, seasonal-naive',
      '10 % to 90 %',
      '2019',
      '3 forecasts of 24 steps',
    ]) {
      expect(svg).toContain(text);
    }
    expect(svg).not.toMatch(/NaN|undefined/);
  });

  it('draws the same as a page', async () => {
    const options = ['--horizon', '24', '--plot', 'co2.html', ...NAIVE];
    const { code, stderr } = await forecast(example('co2.csv'), ...options);
    expect(code, stderr).toBe(0);
    const page = await readFile(path('co2.html'), 'utf8');
    expect(page).toMatch(/^<!doctype html>/);
    for (const text of ['as it was', '10 % to 90 %', '2019', 'data-tip="2019-01'])
      expect(page).toContain(text);
    expect(page).not.toMatch(/NaN|undefined|https?:(?!\/\/www\.w3\.org)/);
    const other = await forecast(example('co2.csv'), '--plot', 'co2.png', ...NAIVE);
    expect(other.stderr).toMatch(/Expected the name of a file that ends in \.svg or \.html/);
  });

  it('forecasts by the forecaster of the package where no other is named', async () => {
    const { code, stdout, stderr } = await forecast(
      'load.csv',
      '--target',
      'load',
      '--horizon',
      '14',
      '--backtest',
      '2',
    );
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^tiny +\d/m);
    // The days of a week are far apart in this series, and every week is like the one before.
    const medians = [...stdout.matchAll(/^2024-03-\d\d +\S+ +(\S+) +\S+$/gm)].map(([, median]) =>
      Number(median),
    );
    expect(medians).toHaveLength(14);
    for (const [h, median] of medians.entries()) expect(Math.abs(median - load(70 + h))).toBeLessThan(12);
    const known = await forecast('load.csv', '--target', 'load', '--known', 'holiday', '--horizon', '3');
    expect(known.stderr).toMatch(
      /--known: expected none with the tiny forecaster, which takes no covariates/,
    );
  });

  it('says where the naive forecast wins', async () => {
    const walk = [...Array(60).keys()].map((i) => (i * i * 7919) % 13);
    await writeFile(path('steps.csv'), ['v', ...walk.map((_, i) => (i % 2 ? 5 : 1)), ''].join('\n'));
    const { stdout } = await forecast(
      'steps.csv',
      '--method',
      'ets',
      '--season',
      '1',
      '--backtest',
      '2',
      '--horizon',
      '1',
    );
    const other = await forecast(
      'steps.csv',
      '--method',
      'ets',
      '--season',
      '2',
      '--backtest',
      '2',
      '--horizon',
      '4',
    );
    expect(stdout).toMatch(/MASE/);
    expect(other.stdout).toMatch(/Nothing can be scaled: the history repeats itself exactly\./);
  });

  it('forecasts several series of one table, each of its length', async () => {
    const { code, stdout, stderr } = await forecast(
      example('unemployment.csv'),
      ...['--id', 'industry', '--horizon', '12'],
      ...NAIVE,
    );
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/rate: 14 series by industry \(times: month\)/);
    expect(stdout).toMatch(/^Agriculture +2010-02 +18\.8 +19\.0 +2011-02 /m);
    expect(stdout.match(/2011-02/g)).toHaveLength(14);
  });
});

it('xlstm forecast hands covariates to a model that takes some', async () => {
  const model = fileURLToPath(new URL('../golden/tirex2_tiny', import.meta.url));
  const run = async (file: string): Promise<number[]> => {
    const { code, stdout, stderr } = await forecast(
      ...[file, '--target', 'load', '--known', 'holiday', '--horizon', '5', '--model', model],
      ...['--backtest', '1', '--json'],
    );
    expect(code, stderr).toBe(0);
    return JSON.parse(stdout).series[0].median;
  };
  const other = (await readFile(path('load.csv'), 'utf8')).replaceAll(',,0', ',,1');
  await writeFile(path('other.csv'), other);
  const [one, two] = [await run('load.csv'), await run('other.csv')];
  expect(one.every(Number.isFinite)).toBe(true);
  expect(two).not.toEqual(one);
});

describe('xlstm forecast with several targets', () => {
  const model = fileURLToPath(new URL('../golden/tirex2_tiny', import.meta.url));
  const BOTH = ['--target', 'load,price', '--horizon', '5'];
  // The price is the load of the day before, and ends a day earlier.
  const price = (i: number): number => (load(i - 1) - 100) / 4;
  beforeAll(async () => {
    const rows = Array.from({ length: 70 }, (_, i) => `${day(i)},${load(i)},${i === 69 ? '' : price(i)},a`);
    const mirrored = Array.from({ length: 70 }, (_, i) => `${day(i)},${load(i)},${50 - price(i)},b`);
    await writeFile(path('two.csv'), ['ts,load,price,shop', ...rows, ''].join('\n'));
    await writeFile(path('shops.csv'), ['ts,load,price,shop', ...rows, ...mirrored, ''].join('\n'));
    await writeFile(path('mirrored.csv'), ['ts,load,price,shop', ...mirrored, ''].join('\n'));
  });
  const medians = async (file: string, ...options: string[]): Promise<Record<string, number[]>> => {
    const { code, stdout, stderr } = await forecast(
      file,
      '--horizon',
      '5',
      '--json',
      '--model',
      model,
      ...options,
    );
    expect(code, stderr).toBe(0);
    const { series } = JSON.parse(stdout) as { series: { id: string; target: string; median: number[] }[] };
    return Object.fromEntries(series.map(({ id, target, median }) => [id + target, median]));
  };

  it('prints chart, table and back-test of each', async () => {
    const { code, stdout, stderr } = await forecast(
      'two.csv',
      ...BOTH,
      '--backtest',
      '2',
      '--model',
      model,
      '--plot',
      'two.svg',
    );
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/^series {2}load: 70 steps \(day\), 2024-01-01 to 2024-03-10 \(times: ts\)$/m);
    expect(stderr).toMatch(/^series {2}price: 70 steps .*, 1 missing \(times: ts\)$/m);
    expect(stdout).toMatch(/^load\n.*^2024-03-15 .*^price\n.*^2024-03-11 .*^2024-03-15 /ms);
    expect(stdout).toMatch(
      /^back-test of load: 2 forecasts of 5 steps.*^ets .*^back-test of price: 2 forecasts of 5 steps.*^ets /ms,
    );
    expect(stdout).not.toMatch(/NaN|undefined/);
    const svg = await readFile(path('two.svg'), 'utf8');
    for (const text of ['load', 'price: 2 forecasts of 5 steps']) expect(svg).toContain(text);
  });

  it('forecasts them together with a model that can', async () => {
    const both = await medians('two.csv', '--target', 'load', '--target', 'price');
    expect(Object.keys(both)).toEqual(['load', 'price']);
    expect(both.load).not.toEqual((await medians('two.csv', '--target', 'load')).load);
    expect(both.load).not.toEqual((await medians('mirrored.csv', ...BOTH)).load);
    const shops = await medians('shops.csv', ...BOTH, '--id', 'shop');
    expect(Object.keys(shops)).toEqual(['aload', 'aprice', 'bload', 'bprice']);
    for (const [h, value] of shops.aprice.entries()) expect(value).toBeCloseTo(both.price[h], 5);
  });

  it('forecasts each by itself with others', async () => {
    const run = async (...options: string[]) => {
      const { code, stdout, stderr } = await forecast('two.csv', '--horizon', '5', '--json', ...options);
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout);
    };
    const { targets, series, backtest } = await run('--target', 'load,price', '--backtest', '2', ...NAIVE);
    expect(targets).toEqual(['load', 'price']);
    expect(series.map((one: { target: string }) => one.target)).toEqual(targets);
    for (const [i, target] of targets.entries()) {
      const alone = await run('--target', target, ...NAIVE);
      if (target === 'load') expect(series[i].quantiles).toEqual(alone.series[0].quantiles);
      expect(backtest[target]['seasonal-naive']).toMatchObject({
        forecasts: 2,
        coverage: expect.any(Number),
      });
    }
    const [one] = (await run(...BOTH)).series;
    const [alone] = (await run('--target', 'load')).series;
    for (const [h, value] of one.median.entries()) expect(value).toBeCloseTo(alone.median[h], 4);
  });

  it('lists those of several series, a row each', async () => {
    const { code, stdout, stderr } = await forecast('shops.csv', ...BOTH, '--id', 'shop', ...NAIVE);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/^series {2}price: 2 series by shop \(times: ts\)$/m);
    for (const name of ['load of a', 'price of a', 'load of b', 'price of b'])
      expect(stdout).toMatch(new RegExp(`^${name} +2024-03-10 `, 'm'));
  });

  it('fine-tunes on them together', async () => {
    const { code, stdout, stderr } = await forecast(
      ...['train', 'two.csv', '--target', 'load,price', '--from', model],
      ...['--steps', '2', '--batch', '2', '--out', 'tuned-two'],
    );
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/^(tuned|kept) {3,4}\S/m);
    expect(stdout).toMatch(/back-test/);
  });
});

describe('xlstm forecast train', () => {
  const TINY = [
    '--patch',
    '8',
    '--context',
    '32',
    '--dim',
    '8',
    '--blocks',
    '1',
    '--batch',
    '4',
    '--steps',
    '5',
  ];

  it('trains a forecaster on a table, measures it on what was held out, and forecasts with it', async () => {
    const trained = await forecast('train', 'load.csv', '--target', 'load', ...TINY, '--out', 'model');
    expect(trained.code, trained.stderr).toBe(0);
    expect(trained.stderr).toMatch(/synthetic series and 1 of load\.csv; into model\//);
    expect(trained.stdout).toMatch(/back-test: 1 forecasts of 8 steps/);
    expect(trained.stdout).toMatch(/^model +\d/m);
    const { code, stdout, stderr } = await forecast(
      ...['load.csv', '--target', 'load', '--model', 'model', '--horizon', '10', '--backtest', '2'],
    );
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^2024-03-20 +-?[\d.]+ +-?[\d.]+ +-?[\d.]+$/m);
    expect(stdout).toMatch(/wins here: .* of model\. Use it: --method/);
    const far = await forecast('load.csv', '--target', 'load', '--model', 'model', '--horizon', '40');
    expect(far.stderr).toMatch(/^note {4}The horizon of 40 steps is beyond the 32 /m);
  });

  it('goes on from a forecaster, and refuses a folder that is there and a model that is none', async () => {
    const { code, stderr } = await forecast('train', '--from', 'model', ...TINY, '--out', 'further');
    expect(code, stderr).toBe(0);
    expect((await forecast('train', ...TINY, '--out', 'further')).stderr).toMatch(
      /further: is there already/,
    );
    await xlstm(['init', '--preset', 'xlstm-tiny', '--out', 'text-model']);
    const other = await forecast('train', '--from', 'text-model', ...TINY, '--out', 'no');
    expect(other.stderr).toMatch(/--from text-model: expected a forecaster, found/);
    const known = await forecast(
      'load.csv',
      '--target',
      'load',
      '--known',
      'holiday',
      '--horizon',
      '3',
      '--model',
      'model',
    );
    expect(known.stderr).toMatch(
      /--known: expected none with model, which takes no covariates, found holiday/,
    );
  });
});

describe('xlstm forecast train --from with a table', () => {
  const tiny = fileURLToPath(new URL('../../models/forecaster-tiny', import.meta.url));
  const tune = (out: string, ...options: string[]) =>
    forecast(
      ...['train', example('flights.csv'), '--target', 'flights', '--from', tiny, '--steps', '25'],
      ...['--batch', '16', '--out', out, ...options],
    );

  it('fine-tunes the forecaster of the package, its weights unpacked', async () => {
    const { code, stdout, stderr } = await tune('tuned', '--learning-rate', '5e-4');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(
      /^tuned {3}quantile loss of what was held out: 0\.\d+ before, 0\.\d+ after 25 of 25 steps$/m,
    );
    expect(stdout).toMatch(/back-test: 4 forecasts of 64 steps/);
    const { quantization_config } = JSON.parse(await readFile(path('tuned/config.json'), 'utf8'));
    expect(quantization_config).toBeUndefined();
    const next = await forecast(example('flights.csv'), '--target', 'flights', '--model', 'tuned');
    expect(next.code, next.stderr).toBe(0);
  });

  it('trains adapters over its packed weights, with which it forecasts', async () => {
    const { code, stderr } = await tune('adapted', '--lora', 'rank=4', '--learning-rate', '5e-3');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/adapters of rank 4 beside 12 matrices are trained/);
    expect(stderr).toMatch(/^tuned /m);
    const median = async (model: string): Promise<number[]> => {
      const options = ['--target', 'flights', '--horizon', '5', '--model', model, '--json'];
      return JSON.parse((await forecast(example('flights.csv'), ...options)).stdout).series[0].median;
    };
    const adapted = await median('adapted');
    expect(adapted.every(Number.isFinite)).toBe(true);
    expect(adapted).not.toEqual(await median(tiny));
  });

  it('keeps the original, and says so, where it has become worse', async () => {
    const { code, stderr } = await tune('kept', '--learning-rate', '3');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(
      /^kept {4}none of 25 steps forecast better; kept\/ is .*forecaster-tiny as it was$/m,
    );
  });

  it('fine-tunes with covariates a model that takes some, and refuses them of others', async () => {
    const own = ['forecast', 'train', 'load.csv', '--target', 'load', '--known', 'holiday', '--steps', '4'];
    const model = fileURLToPath(new URL('../golden/tirex2_tiny', import.meta.url));
    const made = await xlstm([...own, '--from', model, '--batch', '2', '--out', 'tuned2']);
    expect(made.code, made.stderr).toBe(0);
    expect(made.stderr).toMatch(/^(tuned|kept) {3,4}\S/m);
    expect(existsSync(path('tuned2', 'model.safetensors'))).toBe(true);
    const tiny = fileURLToPath(new URL('../../models/forecaster-tiny', import.meta.url));
    const refused = await xlstm([...own, '--from', tiny, '--out', 'no']);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/past, known: expected none.*TiRex-2 takes covariates/);
    const without = await xlstm([...own, '--out', 'no']);
    expect(without.stderr).toMatch(
      /--past, --known: expected none without --from and a table, found holiday/,
    );
    expect(existsSync(path('no'))).toBe(false);
  });

  it('refuses adapters of no model, or for no table', async () => {
    const alone = await forecast('train', 'load.csv', '--lora', 'rank=2', '--out', 'no');
    expect(alone.stderr).toMatch(
      /--lora: adapters fit a model to a table: expected --from FOLDER, found none/,
    );
    const without = await forecast('train', '--from', tiny, '--lora', 'rank=2', '--out', 'no');
    expect(without.stderr).toMatch(/expected a table, found none/);
    expect(existsSync(path('no'))).toBe(false);
  });
});

describe('xlstm forecast refuses', () => {
  const cases: [string, string, string[], RegExp][] = [
    [
      'a text among numbers',
      'ts,load\n2024-01-01,1\n2024-01-02,high\n2024-01-03,3\n',
      ['--target', 'load'],
      /bad\.csv, line 3, column "load": expected a number or nothing, found "high"/,
    ],
    [
      'infinite values',
      'load\n1\n2\n-Infinity\n4\n',
      ['--target', 'load'],
      /line 4, column "load": expected a finite number, found "-Infinity"/,
    ],
    [
      'unsorted times',
      'ts,load\n2024-01-02,1\n2024-01-01,2\n2024-01-03,3\n',
      [],
      /line 3, column "ts": expected a time after "2024-01-02", found "2024-01-01"\n {2}Sort the rows by time/,
    ],
    [
      'times that come twice',
      'ts,load\n2024-01-01,1\n2024-01-01,2\n2024-01-03,3\n',
      [],
      /line 3, column "ts": .*found the same time again\n.*--id/,
    ],
    [
      'uneven times',
      'ts,load\n2024-01-01T00:00,1\n2024-01-01T01:00,2\n2024-01-01T02:00,3\n2024-01-01T02:25,4\n',
      [],
      /line 5, column "ts": expected a whole number of steps \(hour\)/,
    ],
    [
      'what is no time',
      'ts,load\n2024-01-01,1\nsoon,2\n2024-01-03,3\n',
      ['--time', 'ts', '--target', 'load'],
      /line 3, column "ts": expected a time such as "2024-01-01", found "soon"/,
    ],
    ['fewer than 3 values', 'load\n1\n2\n', [], /column "load": expected at least 3 values, found 2/],
    [
      'missing values alone',
      'load,x\n,1\nNaN,2\nnull,3\n',
      ['--target', 'load'],
      /column "load": expected a series, found only missing values/,
    ],
    [
      'an unknown column',
      'load,temperature\n1,2\n',
      ['--target', 'laod', '--known', 'temp'],
      /there is no column "laod"/,
    ],
    [
      'a nearly known column',
      'load,temperature\n1,2\n',
      ['--target', 'load', '--known', 'temp'],
      /there is no column "temp"\n {2}Near it: "temperature"\. It has "load", "temperature"\./,
    ],
    [
      'one unknown column of several targets',
      'load,price\n1,2\n2,3\n3,4\n',
      ['--target', 'load,prise'],
      /there is no column "prise"\n {2}Near it: "price"/,
    ],
    [
      'a target that is a covariate too',
      'load,price\n1,2\n2,3\n3,4\n',
      ['--target', 'load,price', '--past', 'price'],
      /bad\.csv, column "price": expected one use of it, found target and past/,
    ],
    [
      'too few values of the second target',
      'load,price\n1,2\n2,\n3,4\n',
      ['--target', 'load,price'],
      /column "price": expected at least 3 values, found 2/,
    ],
    [
      'two candidates',
      'a,b\n1,2\n2,3\n3,4\n',
      [],
      /expected one column of numbers to forecast, found "a", "b"\n.*--target a/,
    ],
    [
      'known covariates that end too early',
      'ts,load,k\n2024-01-01,1,0\n2024-01-02,2,0\n2024-01-03,3,0\n2024-01-04,,1\n',
      ['--target', 'load', '--known', 'k', '--horizon', '3'],
      /the known covariate "k" ends too early: expected 3 values behind the last one of the target, up to step 6 \(2024-01-06\), found 1/,
    ],
    [
      'covariates for a method that takes none',
      'load,k\n1,0\n2,0\n3,0\n',
      ['--target', 'load', '--past', 'k'],
      /--past: expected none with --method seasonal-naive, which takes no covariates, found k/,
    ],
    [
      'too short a series for a back-test',
      'load\n1\n2\n3\n4\n',
      ['--backtest', '2', '--horizon', '6'],
      /expected at least 9 values to test a forecast of 6, found 4/,
    ],
    [
      'a zone that there is not',
      'ts,load\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n',
      ['--time-zone', 'Mars/Olympus'],
      /time zone: expected a name such as Europe\/Berlin, found "Mars\/Olympus"/,
    ],
    [
      'an hour that the clocks leave out',
      'ts,load\n2024-03-31 01:00,1\n2024-03-31 02:00,2\n2024-03-31 03:00,3\n',
      ['--time-zone', 'Europe/Berlin'],
      /line 3, column "ts": expected a time of Europe\/Berlin/,
    ],
    [
      'a folder that there is not for its plot',
      'load\n1\n2\n3\n',
      ['--plot', 'no/x.svg'],
      /there is no folder no/,
    ],
  ];
  it.each(cases)('%s', async (_, text, options, message) => {
    await writeFile(path('bad.csv'), text);
    const { code, stdout, stderr } = await forecast('bad.csv', '--plot', 'bad.svg', ...options, ...NAIVE);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/internal error|\n {4}at /);
    expect(stdout).toBe('');
    expect(existsSync(path('bad.svg'))).toBe(false);
  });

  it.each([
    [['none.csv'], /none\.csv/],
    [['load.csv', '--levels', '0.1,0.9'], /Expected ascending numbers between 0 and 1, 0\.5 among them/],
    [['load.csv', '--horizon', '0'], /Expected a whole number from 1/],
    [['load.csv', '--method', 'arima'], /seasonal-naive, ets/],
    [['load.csv', '--method', 'ets', '--model', 'x'], /cannot be used with/],
  ])('what is no use: %s', async (args, message) => {
    const { code, stderr } = await forecast(...args);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });
});

describe('xlstm forecast --precision bf16', () => {
  const model = fileURLToPath(new URL('../golden/tirex2_tiny', import.meta.url));
  const bf16 = (...args: string[]) =>
    forecast('load.csv', '--target', 'load', '--horizon', '7', '--json', '--precision', 'bf16', ...args);

  it('forecasts in it, where the engine has it', async () => {
    const [rounded, exact] = await Promise.all([
      bf16('--model', model, '--engine', 'reference'),
      forecast('load.csv', '--target', 'load', '--horizon', '7', '--json', '--model', model),
    ]);
    const [a, b] = [rounded, exact].map(({ code, stdout, stderr }) => {
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout).series[0].median as number[];
    });
    for (const [h, x] of a.entries()) expect(Math.abs(x - b[h])).toBeLessThan(0.5);
    expect(a).not.toEqual(b);
  });

  it.each([
    [['--engine', 'wasm', '--model', model], /precision bf16: .*\n {2}Use precision f32/],
    [['--engine', 'reference'], /precision bf16: expected float32 weights, found small ones \(q8\)/],
    [NAIVE, /'--precision <type>' cannot be used with option '--method <name>'/],
  ])('is refused with %o', async (options, message) => {
    const { code, stdout, stderr } = await bf16(...options);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
  });
});
