import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { XlstmError } from '../../errors.ts';
import { relativeError } from '../../lab/verification/compare.ts';
import type { Engine } from '../engines/engine.ts';
import { createReferenceEngine } from '../engines/reference/engine.ts';
import { fastEngines } from '../engines/testing/engines.ts';
import { evaluation } from '../evaluation.ts';
import { THREAD_SCRATCH } from '../program/constants.ts';
import { type KernelName, kernels } from '../program/kernels.ts';
import { Region, type Shape, sizeOf } from '../program/region.ts';
import { attention } from './attention.ts';
import { causalConv } from './conv.ts';
import { deltaScan } from './delta_scan.ts';
import { differentiate } from './differentiate.ts';
import * as e from './elementwise.ts';
import { sum } from './elementwise.ts';
import { gatedNorm } from './gated_norm.ts';
import { headwiseLinear, headwiseOuter } from './matmul.ts';
import { type MlstmOptions, mlstm } from './mlstm.ts';
import { norm } from './norm.ts';
import { adamw } from './optimizer.ts';
import { plan } from './plan.ts';
import { recurrent } from './recurrent.ts';
import { rotate } from './rotate.ts';
import { selectiveScan } from './selective_scan.ts';
import { leaf, type Tensor } from './tensor.ts';
import { concat, flatten } from './views.ts';

const region = new Region('inputs');
const some = (...shape: number[]): Tensor => leaf(region, shape.join('×'), shape);

const cell = { heads: 2, keyScale: 1, queryScale: 1, eps: 1e-6 };
const chunkwise = (options: Partial<MlstmOptions>, length = 6) =>
  mlstm(
    {
      q: some(1, length, 4),
      k: some(1, length, 4),
      v: some(1, length, 4),
      inputGate: some(1, length, 2),
      forgetGate: some(1, length, 2),
    },
    { ...cell, ...options },
  );
const layerNorm = { kind: 'layer', eps: 1e-5, weightOffset: 0 } as const;
const scan = {
  cell: 'slstm',
  heads: 2,
  exponentialForget: false,
  recurrentClip: 0,
  cutRecurrent: false,
} as const;
const rnn = (options: object, bias?: Tensor) =>
  recurrent(some(1, 3, 16), some(2, 8, 2), bias, undefined, {}, { ...scan, ...options });
const adam = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0 };
const update = (options: object, schedule = some(4)) =>
  adamw(schedule, some(8), some(8), [some(8), some(8)], { ...adam, ...options });
const attend = (options: object) =>
  attention(some(1, 4, 8), some(1, 4, 8), some(1, 4, 8), some(1, 4, 1), undefined, {
    heads: 2,
    window: 4,
    ...options,
  });
const delta = (heads: number, reset?: Tensor) => {
  const x = some(1, 4, 8);
  return deltaScan({ q: x, k: x, v: x, alpha: some(1, 4, 2), beta: some(1, 4, 2) }, heads, reset);
};
/** What JavaScript hands over where TypeScript would not. */
const foreign = <T>(value: unknown): T => value as T;

const misuses: [string, () => unknown, RegExp][] = [
  ['dropout', () => e.dropout(some(2, 3), 1, some(1), 0), /dropout: rate is 1$/],
  ['dropout', () => e.dropout(some(2, 3), -0.1, some(1), 0), /dropout: rate is -0.1/],
  ['dropout', () => e.dropout(some(2, 3), Number.NaN, some(1), 0), /dropout: rate is NaN/],
  ['dropout', () => e.dropout(some(2, 3), 0.5, some(1), 0.5), /dropout: salt is 0.5/],
  ['dropout', () => e.dropout(some(2, 3), 0.5, some(2), 0), /dropout: expected a seed of one number/],
  ['softCap', () => e.softCap(some(2), 0), /softCap: cap is 0/],
  ['softCap', () => e.softCap(some(2), Number.POSITIVE_INFINITY), /softCap: cap is Infinity/],
  ['a NaN operand', () => e.multiply(some(2), Number.NaN), /multiply: an operand is NaN/],
  ['broadcastTo', () => e.broadcastTo(some(3), [2, 4]), /broadcastTo: expected a shape/],
  ['mlstm', () => chunkwise({ chunk: 0 }), /mlstm: chunk is 0/],
  ['mlstm', () => chunkwise({ chunk: 2.5 }), /mlstm: chunk is 2.5/],
  ['mlstm', () => chunkwise({ heads: 0 }), /mlstm: heads is 0/],
  ['mlstm', () => chunkwise({ heads: Number.NaN }), /mlstm: heads is NaN/],
  ['mlstm', () => chunkwise({ eps: -1 }), /mlstm: eps is -1/],
  ['mlstm', () => chunkwise({ keyScale: foreign(undefined) }), /mlstm: keyScale is undefined/],
  [
    'norm',
    () => norm(some(2, 4), undefined, undefined, { ...layerNorm, eps: foreign(undefined) }),
    /eps is undef/,
  ],
  ['norm', () => norm(some(2, 4), undefined, undefined, { ...layerNorm, eps: -1 }), /norm: eps is -1/],
  ['norm', () => norm(some(2, 4), undefined, undefined, { ...layerNorm, groups: 0 }), /norm: groups is 0/],
  ['norm', () => norm(some(2, 4), undefined, undefined, { ...layerNorm, kind: foreign('x') }), /kind is "x"/],
  [
    'norm',
    () => norm(some(2, 4), undefined, undefined, { ...layerNorm, weightOffset: foreign(2) }),
    /Offset is 2/,
  ],
  [
    'gatedNorm',
    () => gatedNorm(some(2, 4), undefined, undefined, { ...layerNorm, groups: 1.5 }, { gate: some(2, 4) }),
    /gatedNorm: groups is 1.5/,
  ],
  ['recurrent', () => rnn({ heads: 0 }), /recurrent: heads is 0/],
  ['recurrent', () => rnn({ cell: 'x' }), /recurrent: cell is "x"/],
  ['recurrent', () => rnn({ recurrentClip: Number.NaN }), /recurrentClip is NaN/],
  ['recurrent', () => rnn({}, some(3)), /recurrent: expected a bias \[16\]/],
  ['attention', () => attend({ window: 0 }), /attention: window is 0/],
  ['attention', () => attend({ heads: Number.NaN }), /attention: heads is NaN/],
  ['rotate', () => rotate(some(1, 2, 4), some(2), 0), /rotate: heads is 0/],
  ['deltaScan', () => delta(0), /deltaScan: heads is 0/],
  ['deltaScan', () => delta(2, some(1, 3)), /deltaScan: expected reset/],
  ['headwiseOuter', () => headwiseOuter(some(2, 4), some(2, 4), 3), /headwiseOuter: expected widths/],
  ['causalConv', () => causalConv(some(1, 2, 3), some(3, 1, 4), some(4)), /causalConv: expected a bias/],
  [
    'causalConv',
    () => causalConv(some(1, 2, 3), some(3, 1, 4), undefined, undefined, undefined, foreign('relu')),
    /activation is "relu"/,
  ],
  ['concat', () => concat([]), /concat: the number of parts is 0/],
  ['flatten', () => flatten(new Region('small'), 0, 4, []), /flatten: the range is "4 elements from 0 on"/],
  ['adamw', () => update({ beta1: 1 }), /adamw: beta1 is 1/],
  ['adamw', () => update({ epsilon: undefined }), /adamw: epsilon is undefined/],
  ['adamw', () => update({ weightDecay: Number.NaN }), /adamw: weightDecay is NaN/],
  ['adamw', () => update({}, some(3)), /adamw: expected a schedule/],
];

describe('operations refuse wrong options when they are built', () => {
  it.each(misuses)('%s', (_, build, message) => {
    expect(build).toThrow(XlstmError);
    expect(build).toThrow(message);
    try {
      build();
    } catch (error) {
      expect(['usage', 'shape']).toContain((error as XlstmError).code);
    }
  });
});

type Leaves = Readonly<Record<string, Tensor>>;
interface Case {
  readonly shapes: Readonly<Record<string, Shape>>;
  readonly build: (leaves: Leaves) => Tensor;
  readonly backward: boolean;
}

const conv = (taps: number, activation?: 'silu', backward = false): Case => ({
  shapes: { x: [1, 40, 3], weight: [3, 1, taps] },
  build: ({ x, weight }) => causalConv(x, weight, undefined, undefined, undefined, activation).y,
  backward,
});
const mlstmOf = (chunk: number, length: number, backward: boolean): Case => ({
  shapes: { q: [1, length, 4], gate: [1, length, 1] },
  build: ({ q, gate }) =>
    mlstm({ q, k: q, v: q, inputGate: gate, forgetGate: gate }, { ...cell, heads: 1, chunk }).h,
  backward,
});
const deltaOf = (width: number): Case => ({
  shapes: { q: [1, 3, width], gate: [1, 3, 1] },
  build: ({ q, gate }) => deltaScan({ q, k: q, v: q, alpha: gate, beta: gate }, 1).h,
  backward: true,
});
const recurrentOf = (headDim: number): Case => ({
  shapes: { wx: [1, 1, headDim], r: [1, headDim, headDim] },
  build: ({ wx, r }) => recurrent(wx, r, undefined, undefined, {}, { ...scan, cell: 'rnn', heads: 1 }).y,
  backward: false,
});
const turned = (width: number): Case => ({
  shapes: { x: [1, 1, width], at: [1] },
  build: ({ x, at }) => rotate(x, at, 1),
  backward: false,
});
const selective = (states: number): Case => ({
  shapes: { x: [1, 2, 1], a: [states, 1], b: [1, 2, states] },
  build: ({ x, a, b }) => selectiveScan({ x, delta: x, a, b, c: b }).y,
  backward: false,
});
const blocks = (groups: number): Case => ({
  shapes: { x: [1, groups * 4], w: [groups, 4, 4] },
  build: ({ x, w }) => headwiseLinear(x, w),
  backward: false,
});
/** Every value is read again at the end, so that all of them are kept. */
const chain = (length: number): Case => ({
  shapes: { x: [3, 70] },
  build: ({ x }) => {
    const values: Tensor[] = [x];
    for (let i = 0; i < length; i++) values.push(e.tanh(e.add(values[i], 0.01 * i)));
    return values.reduceRight((a, b) => e.add(e.multiply(a, 0.5), b));
  },
  backward: true,
});

const tooLarge: [string, Case, RegExp][] = [
  ['5,000 taps', conv(5000), /causalConv of \[1, 40, 3\], \[3, 1, 5000\]: kernel convForward .*taps 5000/],
  ['1,500 taps behind SiLU, backward', conv(1500, 'silu', true), /convBackward/],
  ['a chunk of 720, backward', mlstmOf(720, 720, true), /mlstmBackward.*chunk 720/],
  ['a chunk of 1,000', mlstmOf(1000, 1200, false), /mlstmForward.*chunk 1000/],
  ['a chunk of 2,000', mlstmOf(2000, 2000, false), /mlstmForward.*chunk 2000/],
  ['a head of 400,000 units', recurrentOf(400_000), /recurrentForward/],
  ['angles of 300,000 columns', turned(300_000), /rotate/],
  ['40,000 states', selective(40_000), /selectiveScanForward/],
  ['a delta state of 600 × 600, backward', deltaOf(600), /deltaScanBackward.*chunk 1\b/],
  ['70,000 blocks of 4 × 4', blocks(70_000), /blockLinear/],
];

const accepted: [string, Case][] = [
  ['2,048 taps', conv(2048)],
  ['1,000 taps behind SiLU, backward', conv(1000, 'silu', true)],
  ['a chunk of 650, backward', mlstmOf(650, 650, true)],
  ['a chunk of 900', mlstmOf(900, 900, false)],
  ['angles of 200,000 columns', turned(200_000)],
  ['30,000 states', selective(30_000)],
  ['a delta state of 560 × 560, backward', deltaOf(560)],
  ['50,000 blocks of 4 × 4', blocks(50_000)],
  ['a chain of 300 elementwise operations', chain(300)],
];

function outputsOf({ shapes, build, backward }: Case, leaves: Leaves): Record<string, Tensor> {
  const y = build(leaves);
  if (!backward) return { y };
  const wrt = Object.keys(shapes);
  const gradients = differentiate(
    [sum(y)],
    wrt.map((name) => leaves[name]),
  );
  return { y, ...Object.fromEntries(wrt.map((name, i) => [`d${name}`, gradients[i] as Tensor])) };
}

function planOf(options: Case, engine: Engine): void {
  const io = new Region('io');
  const declared = Object.entries(options.shapes).map(([name, shape]) => [name, leaf(io, name, shape)]);
  const roots = Object.values(outputsOf(options, Object.fromEntries(declared)));
  plan('too large', { io, roots, limits: engine.limits });
}

function computed(engine: Engine, options: Case) {
  const inputs: Record<string, { shape: Shape; values: Float32Array }> = {};
  for (const [name, shape] of Object.entries(options.shapes)) {
    const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) => 0.5 * Math.sin(1 + i * 1.7));
    inputs[name] = { shape, values: name === 'at' ? Float32Array.of(3) : values };
  }
  return evaluation(engine, inputs, (leaves: Leaves) => ({ outputs: outputsOf(options, leaves) })).run();
}

const reference = createReferenceEngine();
const { cases, missing } = await fastEngines();
const engines = [{ name: 'reference', open: async (): Promise<Engine> => createReferenceEngine() }, ...cases];

describe.each(engines)('calls at the limits of $name', { timeout: 120_000 }, ({ name, open }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open(2);
  });
  afterAll(() => engine.close());

  it.each(tooLarge)('refuses %s before anything runs', (_, options, message) => {
    expect(() => planOf(options, engine)).toThrow(message);
    expect(() => planOf(options, engine)).toThrow(/takes a workspace of [\d,]+ elements for each thread/);
  });

  if (name === 'reference') return;
  it.each(accepted)('computes %s', async (_, options) => {
    const right = await computed(reference, options);
    const found = await computed(engine, options);
    for (const [output, values] of Object.entries(right))
      expect(relativeError(found[output], values), output).toBeLessThan(2e-4);
  });
});
if (missing) it.skip(`limits of native: not run, ${missing}`, () => {});

it('rows state what the cases above take', () => {
  const scratch = (kernel: KernelName, sizes: Record<string, number>): number =>
    kernels[kernel].threadScratch?.(sizes) ?? 0;
  expect(scratch('convForward', { taps: 2048 })).toBe(THREAD_SCRATCH);
  expect(scratch('mlstmStep', { keyDim: 64 })).toBe(64);
  // Those of mlstm_projections.test.ts.
  expect(scratch('mlstmProjectionsBackward', { groups: 3084, size: 4 })).toBeLessThanOrEqual(THREAD_SCRATCH);
  expect(scratch('mlstmProjectionsBackward', { groups: 3085, size: 4 })).toBeGreaterThan(THREAD_SCRATCH);
});
