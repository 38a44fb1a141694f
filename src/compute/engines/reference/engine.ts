import { invariant, XlstmError } from '../../../errors.ts';
import { bytesOf, type Numbers } from '../../program/dtypes.ts';
import { type KernelName, kernels } from '../../program/kernels.ts';
import { cpuLimits } from '../../program/limits.ts';
import type { Instruction, Program, Word } from '../../program/program.ts';
import type { Region } from '../../program/region.ts';
import type { Engine, Executable, Memory } from '../engine.ts';
import { boundMemories, CheckedMemory, freedProgram, type HostStorage, hostStorage } from '../memory.ts';
import { closedError, Stream } from '../stream.ts';
import { attentionBackward, attentionForward } from './attention.ts';
import { blockLinear, blockLinearGradient } from './block_linear.ts';
import { convBackward, convForward } from './conv.ts';
import { deltaScanBackward, deltaScanForward } from './delta_scan.ts';
import { embeddingBackward, embeddingForward } from './embedding.ts';
import { gatedNormBackward, gatedNormForward } from './gated_norm.ts';
import { gemm, gemmBf16 } from './gemm.ts';
import { linearScanBackward, linearScanForward } from './linear_scan.ts';
import { crossEntropyBackward, crossEntropyForward } from './loss.ts';
import { map } from './map.ts';
import { mlstmBackward, mlstmForward, mlstmStep } from './mlstm.ts';
import { mlstmBackwardBf16, mlstmForwardBf16 } from './mlstm_chunks.ts';
import { mlstmProjectionsBackward, mlstmProjectionsForward } from './mlstm_projections.ts';
import { normBackward, normForward } from './norm.ts';
import type { Operands } from './operands.ts';
import { adamw } from './optimizer.ts';
import { packedLinear } from './packed_linear.ts';
import { panelLinear } from './panel_linear.ts';
import { recurrentBackward, recurrentForward } from './recurrent.ts';
import { reduce } from './reduce.ts';
import { rotate } from './rotate.ts';
import { selectiveScanBackward, selectiveScanForward } from './selective_scan.ts';

/** Every kernel of the table as a plain function, for direct use by tests of other engines. */
export const referenceKernels: { readonly [Name in KernelName]: (a: Operands<Name>) => void } = {
  map,
  gemm,
  gemmBf16,
  packedLinear,
  panelLinear,
  blockLinear,
  blockLinearGradient,
  normForward,
  normBackward,
  embeddingForward,
  embeddingBackward,
  convForward,
  convBackward,
  gatedNormForward,
  gatedNormBackward,
  crossEntropyForward,
  crossEntropyBackward,
  reduce,
  adamw,
  mlstmProjectionsForward,
  mlstmProjectionsBackward,
  mlstmForward,
  mlstmBackward,
  mlstmForwardBf16,
  mlstmBackwardBf16,
  mlstmStep,
  recurrentForward,
  recurrentBackward,
  rotate,
  attentionForward,
  attentionBackward,
  linearScanForward,
  linearScanBackward,
  selectiveScanForward,
  selectiveScanBackward,
  deltaScanForward,
  deltaScanBackward,
};

/** A float64 stands for each element of the float32 layout: `SLOT` bytes of an address are one place further. */
const SLOT = bytesOf('f32');

function zeros(bytes: number, what: string): Float64Array<ArrayBuffer> {
  try {
    return new Float64Array(bytes / SLOT);
  } catch {
    throw new XlstmError(
      'engine',
      `no memory for ${what}: ${((8 / SLOT) * bytes).toLocaleString('en-US')} bytes were refused`,
      'use a smaller batch, context or model',
    );
  }
}

const allocated = (bytes: number, what: string): HostStorage => {
  let values = zeros(bytes, what);
  const release = (): void => {
    values = new Float64Array(0); // garbage collection takes the rest
  };
  return hostStorage(bytes, () => values, release);
};

/** Runs Programs in float64 with plain loops: the oracle with which every other engine is compared. */
export class ReferenceEngine implements Engine {
  readonly name = 'reference';
  readonly threads = 1;
  readonly limits = cpuLimits;
  readonly description = 'plain TypeScript loops in float64, 1 thread';
  /** Never pending: everything takes place where it is called. */
  readonly #stream = new Stream();
  #work = new Float64Array(0);

  allocate(region: Region): CheckedMemory<HostStorage> {
    this.#stream.check();
    return new CheckedMemory(region, allocated(region.bytes, region.name), this.#stream);
  }

  bind(program: Program, memories: readonly Memory[]): Executable {
    const bound = boundMemories<HostStorage>(program, memories, this.#stream);
    this.#reserveWork(program);
    const io = this.allocate(program.io);
    for (const { name, values } of program.constants) io.write(name, values);
    bound.set(program.io, io);
    let freed = false;
    const execution = (after?: (index: number) => void): void => {
      this.#stream.check();
      if (freed) throw freedProgram(program);
      for (const memory of bound.values()) memory.check();
      // Nothing survives in the workspace from one run to the next. NaN makes a Program that reads what it has not
      // written show it.
      const work = this.#work.fill(NaN, 0, program.work.elements);
      const memoryOf = (region: Region): Numbers =>
        region === program.work ? work : bound.get(region)!.storage.values();
      program.instructions.forEach((instruction, index) => {
        execute(instruction, memoryOf);
        after?.(index);
      });
    };
    const profile = async (): Promise<Float64Array> => {
      const seconds = new Float64Array(program.instructions.length);
      let start = performance.now();
      execution((index) => {
        const end = performance.now();
        seconds[index] = (end - start) / 1000;
        start = end;
      });
      return seconds;
    };
    const free = (): void => {
      freed = true;
      io.free();
    };
    return { program, io, run: () => execution(), profile, free, [Symbol.dispose]: free };
  }

  close(): Promise<void> {
    return this.#stream.end(closedError(this.name));
  }

  #reserveWork({ work, name }: Program): void {
    if (this.#work.length < work.elements) this.#work = zeros(work.bytes, `the workspace of program ${name}`);
  }
}

/** Calls a kernel with its operands by name, addresses resolved to the memory from there on. */
function execute({ kernel, words }: Instruction, memoryOf: (region: Region) => Numbers): void {
  const resolve = (word: Word): number | Numbers =>
    typeof word === 'number' ? word : memoryOf(word.region).subarray(word.offset / SLOT);
  const { operands, tail } = kernels[kernel];
  const args: Record<string, unknown> = {};
  const names = Object.keys(operands);
  names.forEach((name, index) => {
    const isNumber = operands[name] === 'int' || operands[name] === 'float';
    const value = resolve(words[index]);
    const optional = operands[name].endsWith('?') || operands[name] === 'scratch';
    const absent = optional && value === 0;
    invariant(
      absent || isNumber === (typeof value === 'number'),
      `${kernel}: operand ${name} (${operands[name]}) is ${typeof value === 'number' ? value : 'an address'}`,
    );
    args[name] = absent ? undefined : value;
  });
  if (tail) args.tail = words.slice(names.length).map(resolve);
  // The table row, from which the argument type is derived, has just been checked operand by operand.
  (referenceKernels[kernel] as (a: unknown) => void)(args);
}

export const createReferenceEngine = (): Engine => new ReferenceEngine();
