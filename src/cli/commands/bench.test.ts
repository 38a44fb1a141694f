import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { runCli } from '../main.ts';

/** Measurements take as long as they take, above all beside other work. */
vi.setConfig({ testTimeout: 120_000 });

let printed = '';

beforeEach(() => {
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => vi.restoreAllMocks());

const model = ['--blocks', '2', '--dim', '16', '--heads', '2', '--slstm-at', '1', '--vocab', '11'];
const shape = { architecture: 'xlstm', blocks: 2, dim: 16, heads: 2, slstmAt: [1], vocab: 11 };

/** Milliseconds that the last `bench` took. */
let elapsed = 0;

async function bench(...args: string[]): Promise<Record<string, unknown>> {
  const start = performance.now();
  expect(await runCli(['bench', ...args, '--repeats', '2', '--json'])).toBe(0);
  elapsed = performance.now() - start;
  return JSON.parse(printed);
}

type Spread = Readonly<Record<'median' | 'min' | 'max', number>>;

function expectSpread(value: unknown): Spread {
  const spread = value as Spread;
  expect(spread.min).toBeGreaterThan(0);
  expect(spread.median).toBeGreaterThanOrEqual(spread.min);
  expect(spread.max).toBeGreaterThanOrEqual(spread.median);
  return spread;
}

/** Both repeats took part of the time that the command took, and the rate is that of these times. */
function expectTimes(time: unknown, times: number, rate: unknown, unitsPerSecond: number): void {
  const ms = expectSpread(time);
  const perSecond = expectSpread(rate);
  expect((ms.min + ms.max) * times).toBeLessThan(elapsed);
  expect(perSecond.max * ms.min).toBeCloseTo(1000 * unitsPerSecond, 3);
  expect(perSecond.min * ms.max).toBeCloseTo(1000 * unitsPerSecond, 3);
}

const head = (name: string, engine: string): Record<string, unknown> => ({
  bench: name,
  engine,
  instructionSet: expect.stringContaining('thread'),
  threads: expect.any(Number),
  repeats: 2,
});

test('train', async () => {
  const report = await bench(
    'train',
    ...model,
    '--batch',
    '2',
    '--length',
    '8',
    '--steps',
    '1',
    '--engine',
    'reference',
  );
  expect(report).toMatchObject({
    ...head('train', 'reference'),
    model: shape,
    batch: 2,
    length: 8,
    steps: 1,
  });
  expect(report.parameters).toBe(9732);
  expectTimes(report.stepMs, 1, report.tokensPerSecond, 16);
});

test('decode', async () => {
  const report = await bench('decode', ...model, '--context', '3', '--tokens', '4', '--engine', 'reference');
  expect(report).toMatchObject({ ...head('decode', 'reference'), model: shape, context: 3, tokens: 4 });
  expectTimes(report.msPerToken, 4, report.tokensPerSecond, 1);
  // mLSTM: C and n of two heads of 32, m in a cache line, three positions of 64; sLSTM: y, c, n, m and three positions of 16.
  expect(report.stateBytes).toBe(4 * (2 * (32 * 32 + 32) + 16 + 3 * 64 + 4 * 16 + 3 * 16));
});

test('prefill, in more than one piece', async () => {
  const report = await bench('prefill', ...model, '--length', '700', '--engine', 'wasm', '--threads', '1');
  expect(report).toMatchObject({ ...head('prefill', 'wasm'), model: shape, length: 700, threads: 1 });
  expectSpread(report.tokensPerSecond);
});

test('gemm', async () => {
  const report = await bench('gemm', '--m', '5', '--n', '6', '--k', '7', '--engine', 'reference');
  expect(report).toMatchObject({ ...head('gemm', 'reference'), m: 5, n: 6, k: 7 });
  expectSpread(report.gflops);
});

test('length: training and decoding, each length of as many tokens a step', async () => {
  const sizes = ['--lengths', '16,4', '--steps', '1', '--tokens', '3'];
  const report = await bench('length', ...model, ...sizes, '--engine', 'wasm', '--threads', '1');
  expect(report).toMatchObject({ ...head('length', 'wasm'), model: shape, tokensPerStep: 16 });
  const rows = report.lengths as Record<string, unknown>[];
  expect(rows.map(({ length, batch }) => [length, batch])).toEqual([
    [4, 4],
    [16, 1],
  ]);
  for (const row of rows) {
    expectSpread(row.trainTokensPerSecond);
    expectSpread(row.decodeMsPerToken);
    expect(row.residentBytes).toBeGreaterThan(row.stateBytes as number);
  }
  expect(rows[0]).toMatchObject({ trainRelative: 1, decodeRelative: 1 });
});

test.each(['train', 'decode', 'prefill'])('profile %s: the parts make the whole', async (program) => {
  const sizes = ['--batch', '2', '--length', '8'];
  const report = await bench('profile', program, ...model, ...sizes, '--engine', 'wasm', '--threads', '1');
  expect(report).toMatchObject({ ...head('profile', 'wasm'), model: shape });
  expectSpread(report.runMs);
  for (const parts of [report.kernels, report.shapes] as Record<string, number>[][]) {
    expect(parts.reduce((sum, part) => sum + part.calls, 0)).toBe(report.calls);
    expect(parts.reduce((sum, part) => sum + part.ms, 0)).toBeCloseTo(report.profiledMs as number, 6);
    expect(parts.reduce((sum, part) => sum + part.share, 0)).toBeCloseTo(1, 6);
  }
  const names = (report.kernels as { kernel: string }[]).map(({ kernel }) => kernel);
  expect(names).toContain('gemm');
  expect(names.includes('adamw')).toBe(program === 'train');
});

test('peers: each is measured or told how to install', async () => {
  const sizes = ['--batch', '2', '--length', '8', '--steps', '1', '--tokens', '2'];
  const report = await bench('peers', ...model, ...sizes, '--engine', 'wasm', '--python', '/no/such/python');
  expect(report).toMatchObject({ ...head('peers', 'wasm'), model: shape });
  const missing = report.missing as { figure: string; install: string }[];
  const figures = [...(report.comparisons as { figure: string }[]), ...missing].map(({ figure }) => figure);
  expect(figures.sort()).toEqual([
    'GEMM 1024³',
    'GEMM 512³',
    'gru training',
    'lstm on numbers, 32 × 128',
    'lstm on numbers, 32 × 32',
    'lstm training',
    'transformer training',
    'xLSTM Large 6 × 512 decoding',
    'xLSTM Large 6 × 512 prefill of 1024',
    'xLSTM Large 6 × 512 training',
    'xLSTM decoding',
    'xLSTM training',
    'xLSTM[1:1] on numbers, 32 × 128',
  ]);
  expect(missing.find(({ figure }) => figure === 'xLSTM training')?.install).toContain('pip install');
});

test.each(['xlstm-large', 'transformer', 'lstm'])('a model of another architecture: %s', async (name) => {
  const other = ['--architecture', name, '--blocks', '1', '--dim', '16', '--heads', '2', '--vocab', '11'];
  const report = await bench('decode', ...other, '--engine', 'wasm', '--tokens', '2');
  expect(report).toMatchObject({ model: { architecture: name, dim: 16 } });
  printed = '';
  expect(await runCli(['bench', 'decode', ...other, '--slstm-at', '0'])).not.toBe(0);
});

test('tables for people', async () => {
  const sizes = ['--batch', '2', '--length', '8', '--engine', 'wasm', '--threads', '1', '--repeats', '1'];
  expect(await runCli(['bench', 'profile', 'train', ...model, ...sizes])).toBe(0);
  expect(printed).toMatch(/kernel +calls +ms +share +GFLOP\/s/);
  expect(printed).toMatch(/mlstmBackward +1 +[\d.]+ +[\d.]+ %/);
});
