import type { Engine, Executable } from '../../compute/engines/engine.ts';
import { kernels } from '../../compute/program/kernels.ts';
import {
  type Instruction,
  instructionBytes,
  instructionFlops,
  instructionOperands,
} from '../../compute/program/program.ts';
import type { LanguageModel } from '../../nn/layer.ts';
import type { Model } from '../../nn/model.ts';
import { measurePeaks, type Peaks } from './gemm.ts';
import { DecodingSubject } from './generate.ts';
import { measure, median, type Spread, spread } from './statistics.ts';
import {
  type Matrices,
  type ModelReport,
  type ModelShape,
  measuredModel,
  type ReportHead,
  reportHead,
} from './subject.ts';
import { TrainingSubject } from './train.ts';

export const profiledPrograms = ['train', 'decode', 'prefill'] as const;
export type ProfiledProgram = (typeof profiledPrograms)[number];

export interface ProfileOptions extends Matrices {
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
  readonly gigabytesPerSecond: number;
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
  // What is trained is float32, whatever its products are computed in.
  const model = measuredModel(
    engine,
    shape,
    options.program === 'train' ? { ...options, precision: 'f32' } : options,
  );
  const executable = await bindProgram(model, options);
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

/** The Program, bound, with inputs. */
async function bindProgram(
  model: Model<LanguageModel>,
  { program, batch, length, precision }: ProfileOptions,
): Promise<Executable> {
  if (program !== 'train') return new DecodingSubject(model).executable(program === 'decode' ? 1 : length);
  const subject = new TrainingSubject(model, batch, length, precision);
  await subject.steps(1);
  return subject.trainer.executable;
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
  const bytes = calls.reduce((sum, call) => sum + instructionBytes(call.instruction), 0);
  const computing = flops / (peaks.gflops * 1e9);
  const moving = bytes / (peaks.gigabytesPerSecond * 1e9);
  return {
    kernel: instruction.kernel,
    shape: instructionShape(instruction),
    calls: calls.length,
    ms: 1000 * seconds,
    share: seconds / total,
    gflops: flops / seconds / 1e9,
    gigabytesPerSecond: bytes / seconds / 1e9,
    bound: moving > computing ? 'memory' : 'compute',
    ofBound: Math.max(moving, computing) / seconds,
  };
}

/** The sizes of a call: the numbers that stand before its first address. */
function instructionShape(instruction: Instruction): string {
  const a = instructionOperands(instruction);
  if (instruction.kernel === 'gemm' || instruction.kernel === 'gemmBf16') {
    const batch = a.batch > 1 ? `${a.batch} × ` : '';
    return `${batch}[${a.m}, ${a.k}]${a.transA ? 'ᵀ' : ''} · [${a.k}, ${a.n}]${a.transB ? 'ᵀ' : ''}`;
  }
  const operands = Object.entries(kernels[instruction.kernel].operands);
  const end = operands.findIndex(([, kind]) => kind !== 'int');
  return operands
    .slice(0, end < 0 ? undefined : end)
    .filter(([name]) => a[name] !== 0)
    .map(([name]) => `${name} ${a[name]}`)
    .join(', ');
}
