import type { Engine, Executable } from '../engine/engine.ts';
import type { LanguageModel } from '../nn/layer.ts';
import type { Model } from '../nn/model.ts';
import { type Instruction, instructionFlops } from '../program/program.ts';
import { companionsOf, gradientProgram } from '../training/programs.ts';
import { measurePeaks, type Peaks } from './gemm.ts';
import { DecodingSubject } from './generate.ts';
import { measure, median, type Spread, spread } from './statistics.ts';
import {
  createModel,
  type ModelReport,
  type ModelShape,
  type ReportHead,
  randomBatch,
  reportHead,
} from './subject.ts';
import { instructionBytes, instructionShape } from './traffic.ts';
import { TRAINING } from './train.ts';

export const profiledPrograms = ['train', 'decode', 'prefill'] as const;
export type ProfiledProgram = (typeof profiledPrograms)[number];

export interface ProfileOptions {
  readonly program: ProfiledProgram;
  readonly batch: number;
  readonly length: number;
  readonly repeats: number;
}

/** The calls of one kernel, or those among them with the same sizes. */
export interface KernelTime {
  readonly kernel: string;
  readonly shape?: string;
  readonly calls: number;
  readonly ms: number;
  /** Of the time of all instructions. */
  readonly share: number;
  readonly gflops: number;
  /** Each operand counted once; caches can make it more than memory gives. */
  readonly gigabytesPerSecond?: number;
  /** What bounds it: its operations at the peak of the matrix product, or its bytes at that of a copy. */
  readonly bound: 'compute' | 'memory';
  /** Time of the bound over the time that it took. */
  readonly ofBound: number;
}

export interface ProfileReport extends ReportHead, ModelReport {
  readonly program: string;
  readonly calls: number;
  /** A run as a whole. */
  readonly runMs: Spread;
  /** The sum over instructions that are run one by one. */
  readonly profiledMs: number;
  readonly gflops: number;
  readonly peaks: Peaks;
  readonly kernels: readonly KernelTime[];
  readonly shapes: readonly KernelTime[];
}

const PEAK_REPEATS = 9;

export async function benchProfile(
  engine: Engine,
  shape: ModelShape,
  options: ProfileOptions,
): Promise<ProfileReport> {
  const { repeats } = options;
  const model = createModel(engine, shape);
  const executable = bindProgram(model, options);
  const { program } = executable;
  const peaks = await measurePeaks(engine, PEAK_REPEATS);
  const runs = await measure(() => executable.run(), repeats);
  const profiles: Float64Array[] = [];
  for (let i = 0; i < repeats; i++) profiles.push(await executable.profile());
  const seconds = program.instructions.map((_, i) => median(profiles.map((profile) => profile[i])));
  const profiled = seconds.reduce((sum, s) => sum + s, 0);
  const calls = program.instructions.map((instruction, i) => ({ instruction, seconds: seconds[i] }));
  return {
    ...reportHead('profile', engine, repeats),
    model: shape,
    parameters: model.parameters.count,
    program: program.name,
    calls: calls.length,
    runMs: spread(runs.map((s) => 1000 * s)),
    profiledMs: 1000 * profiled,
    gflops: program.flops / median(runs) / 1e9,
    peaks,
    kernels: grouped(calls, ({ kernel }) => kernel, profiled, peaks).map(
      ({ shape: _, ...time }): KernelTime => time,
    ),
    shapes: grouped(calls, (i) => `${i.kernel} ${instructionShape(i)}`, profiled, peaks),
  };
}

function bindProgram(model: Model<LanguageModel>, { program, batch, length }: ProfileOptions): Executable {
  if (program !== 'train') return new DecodingSubject(model).executable(program === 'decode' ? 1 : length);
  const { engine, network, parameters, memories } = model;
  const companions = companionsOf(parameters);
  const regions = companions.flatMap((c) => [c.gradients, c.firstMoment, c.secondMoment]);
  const step = gradientProgram(network, companions, undefined, { batch, length }, 'step', TRAINING);
  const executable = engine.bind(step, [...memories, ...regions.map((region) => engine.allocate(region))]);
  const { tokens, targets, reset } = randomBatch(network.vocabSize, batch, length);
  const inputs = { tokens, targets, reset, lossWeight: [1 / tokens.length], dropoutSeed: [TRAINING.seed] };
  const schedule = {
    learningRate: [1e-3],
    correction1: [1 - TRAINING.beta1],
    correction2: [1 - TRAINING.beta2],
  };
  for (const [name, values] of Object.entries({ ...inputs, ...schedule })) executable.io.write(name, values);
  return executable;
}

interface Call {
  readonly instruction: Instruction;
  readonly seconds: number;
}

/** Sums over the calls with the same key, the longest first. */
function grouped(
  calls: readonly Call[],
  key: (instruction: Instruction) => string,
  total: number,
  peaks: Peaks,
): KernelTime[] {
  const groups = new Map<string, Call[]>();
  for (const call of calls) {
    const name = key(call.instruction);
    groups.set(name, [...(groups.get(name) ?? []), call]);
  }
  return [...groups.values()].map((group) => kernelTime(group, total, peaks)).sort((a, b) => b.ms - a.ms);
}

function kernelTime(calls: readonly Call[], total: number, peaks: Peaks): KernelTime {
  const [{ instruction }] = calls;
  const seconds = calls.reduce((sum, call) => sum + call.seconds, 0);
  const flops = calls.reduce((sum, call) => sum + instructionFlops(call.instruction), 0);
  const moved = calls.map((call) => instructionBytes(call.instruction));
  const bytes = moved.includes(undefined) ? undefined : (moved as number[]).reduce((sum, n) => sum + n, 0);
  const computing = flops / (peaks.gflops * 1e9);
  const moving = (bytes ?? 0) / (peaks.gigabytesPerSecond * 1e9);
  return {
    kernel: instruction.kernel,
    shape: instructionShape(instruction),
    calls: calls.length,
    ms: 1000 * seconds,
    share: seconds / total,
    gflops: flops / seconds / 1e9,
    ...(bytes === undefined ? {} : { gigabytesPerSecond: bytes / seconds / 1e9 }),
    bound: moving > computing ? 'memory' : 'compute',
    ofBound: Math.max(moving, computing) / seconds,
  };
}
