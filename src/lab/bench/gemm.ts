import type { Engine } from '../../compute/engines/engine.ts';
import { matmul } from '../../compute/graph/matmul.ts';
import { type Precision, plan } from '../../compute/graph/plan.ts';
import { leaf } from '../../compute/graph/tensor.ts';
import { assign } from '../../compute/graph/views.ts';
import type { EngineLimits } from '../../compute/program/limits.ts';
import { Program } from '../../compute/program/program.ts';
import { Region, sizeOf } from '../../compute/program/region.ts';
import { measure, type Spread, secondsOf, spread } from './statistics.ts';
import { type ReportHead, reportHead } from './subject.ts';

export interface GemmOptions {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly repeats: number;
  /** Of the operands. */
  readonly precision: Precision;
}

export interface GemmReport extends ReportHead, GemmOptions {
  readonly gflops: Spread;
  readonly usPerCall: Spread;
}

/** Seconds that one measurement should take, so that what surrounds a run is not seen. */
const LEAST_SECONDS = 0.03;

/** A Program that makes the calls of another many times. */
const repeated = ({ name, instructions, work, io, constants }: Program, times: number): Program =>
  new Program(name, new Array(times).fill(instructions).flat(), work, io, constants);

/** Whole numbers of at most 15: no product of them is inexact or denormal. */
function smallNumbers(count: number): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = (7 * i) % 16;
  return values;
}

/** Seconds per run of a Program, over many runs in one. */
async function secondsPerRun(engine: Engine, program: Program, repeats: number): Promise<number[]> {
  const prepare = (times: number): (() => Promise<void>) => {
    const { io, run } = engine.bind(repeated(program, times), []);
    for (const { name, shape } of program.io.entries) io.write(name, smallNumbers(sizeOf(shape)));
    return async () => run();
  };
  const once = prepare(1);
  await once();
  const times = Math.max(1, Math.ceil(LEAST_SECONDS / (await secondsOf(once))));
  const seconds = await measure(prepare(times), repeats);
  return seconds.map((s) => s / times);
}

function gemmProgram(limits: EngineLimits, m: number, n: number, k: number, precision: Precision): Program {
  const io = new Region('io');
  const product = matmul(leaf(io, 'a', [m, k]), leaf(io, 'b', [k, n]));
  return plan(`gemm ${m} × ${n} × ${k}`, {
    io,
    roots: [assign(leaf(io, 'c', [m, n]), product)],
    limits,
    precision,
  });
}

export async function benchGemm(engine: Engine, options: GemmOptions): Promise<GemmReport> {
  const { m, n, k, repeats, precision } = options;
  const program = gemmProgram(engine.limits, m, n, k, precision);
  const seconds = await secondsPerRun(engine, program, repeats);
  return {
    ...reportHead('gemm', engine, repeats),
    m,
    n,
    k,
    precision,
    gflops: spread(seconds.map((s) => program.flops / s / 1e9)),
    usPerCall: spread(seconds.map((s) => 1e6 * s)),
  };
}

/** What the engine's threads reach together, as bounds for other kernels. */
export interface Peaks {
  /** The matrix product of 512 × 512 × 512. */
  readonly gflops: number;
  /** Copying from memory to memory, bytes read and bytes written. */
  readonly gigabytesPerSecond: number;
}

const COPY_ROWS = 4096;
const COPY_COLUMNS = 2048;

/** The best of the repetitions, since a peak is what nothing else has disturbed. */
export async function measurePeaks(engine: Engine, repeats: number): Promise<Peaks> {
  const gemm = gemmProgram(engine.limits, 512, 512, 512, 'f32');
  const io = new Region('io');
  const shape = [COPY_ROWS, COPY_COLUMNS];
  const from = leaf(io, 'from', shape);
  const copy = plan('copy', { io, roots: [assign(leaf(io, 'to', shape), from)], limits: engine.limits });
  const bytes = 2 * 4 * COPY_ROWS * COPY_COLUMNS;
  return {
    gflops: gemm.flops / Math.min(...(await secondsPerRun(engine, gemm, repeats))) / 1e9,
    gigabytesPerSecond: bytes / Math.min(...(await secondsPerRun(engine, copy, repeats))) / 1e9,
  };
}
