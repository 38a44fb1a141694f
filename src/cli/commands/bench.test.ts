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
const shape = { blocks: 2, dim: 16, heads: 2, slstmAt: [1], vocab: 11 };

async function bench(...args: string[]): Promise<Record<string, unknown>> {
  expect(await runCli(['bench', ...args, '--repeats', '2', '--json'])).toBe(0);
  return JSON.parse(printed);
}

function expectSpread(value: unknown): void {
  const { median, min, max } = value as Record<string, number>;
  expect(min).toBeGreaterThan(0);
  expect(median).toBeGreaterThanOrEqual(min);
  expect(max).toBeGreaterThanOrEqual(median);
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
  expectSpread(report.tokensPerSecond);
  expectSpread(report.stepMs);
  const ms = (report.stepMs as { median: number }).median;
  const rate = (report.tokensPerSecond as { median: number }).median;
  expect((rate * ms) / 1000 / 16).toBeGreaterThan(0.3);
  expect((rate * ms) / 1000 / 16).toBeLessThan(3);
});

test('decode', async () => {
  const report = await bench('decode', ...model, '--context', '3', '--tokens', '4', '--engine', 'reference');
  expect(report).toMatchObject({ ...head('decode', 'reference'), model: shape, context: 3, tokens: 4 });
  expectSpread(report.tokensPerSecond);
  expectSpread(report.msPerToken);
  expect(report.stateBytes).toBeGreaterThan(0);
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
    'LSTM training, 2 × 32',
    'xLSTM decoding',
    'xLSTM training',
  ]);
  expect(missing.find(({ figure }) => figure === 'xLSTM training')?.install).toContain('pip install');
});

test('tables for people', async () => {
  const sizes = ['--batch', '2', '--length', '8', '--engine', 'wasm', '--threads', '1', '--repeats', '1'];
  expect(await runCli(['bench', 'profile', 'train', ...model, ...sizes])).toBe(0);
  expect(printed).toMatch(/kernel +calls +ms +share +GFLOP\/s/);
  expect(printed).toMatch(/mlstmBackward +1 +[\d.]+ +[\d.]+ %/);
});
