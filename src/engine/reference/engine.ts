import { invariant, XlstmError } from '../../errors.ts';
import { type KernelName, kernels } from '../../program/kernels.ts';
import type { Instruction, Program, Word } from '../../program/program.ts';
import { type Region, sizeOf } from '../../program/region.ts';
import type { Engine, Executable, Memory } from '../engine.ts';
import { attentionBackward, attentionForward } from './attention.ts';
import { blockLinear, blockLinearGradient } from './block_linear.ts';
import { convBackward, convForward } from './conv.ts';
import { deltaScanBackward, deltaScanForward } from './delta_scan.ts';
import { embeddingBackward, embeddingForward } from './embedding.ts';
import { gatedNormBackward, gatedNormForward } from './gated_norm.ts';
import { gemm } from './gemm.ts';
import { linearScanBackward, linearScanForward } from './linear_scan.ts';
import { crossEntropyBackward, crossEntropyForward } from './loss.ts';
import { map } from './map.ts';
import { mlstmBackward, mlstmForward, mlstmStep } from './mlstm.ts';
import { mlstmProjectionsBackward, mlstmProjectionsForward } from './mlstm_projections.ts';
import { normBackward, normForward } from './norm.ts';
import type { Operands } from './operands.ts';
import { adamw } from './optimizer.ts';
import { recurrentBackward, recurrentForward } from './recurrent.ts';
import { reduce } from './reduce.ts';
import { rotate } from './rotate.ts';
import { selectiveScanBackward, selectiveScanForward } from './selective_scan.ts';

/** Every kernel of the table as a plain function, for direct use by tests of other engines. */
export const referenceKernels: { readonly [Name in KernelName]: (a: Operands<Name>) => void } = {
  map,
  gemm,
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

class ReferenceMemory implements Memory {
  readonly region: Region;
  readonly values: Float64Array;

  constructor(region: Region) {
    this.region = region;
    this.values = new Float64Array(region.elements);
  }

  write(name: string, values: ArrayLike<number>, at = 0): void {
    const { offset, shape } = this.region.get(name);
    const size = sizeOf(shape);
    if (at < 0 || at + values.length > size) {
      throw new XlstmError(
        'internal',
        `${this.region.name}: "${name}" has ${size} elements; cannot write ${values.length} from element ${at} on`,
      );
    }
    this.values.set(values, offset + at);
  }

  async read(name: string): Promise<Float64Array> {
    const { offset, shape } = this.region.get(name);
    return this.values.slice(offset, offset + sizeOf(shape));
  }

  async readAll(): Promise<Float64Array> {
    return this.values.slice();
  }

  writeAll(values: ArrayLike<number>): void {
    if (values.length !== this.values.length) {
      throw new XlstmError(
        'internal',
        `${this.region.name} has ${this.values.length} elements; cannot write ${values.length}`,
      );
    }
    this.values.set(values);
  }

  clear(): void {
    this.values.fill(0);
  }
}

/** Runs Programs in float64 with plain loops: the oracle with which every other engine is compared. */
export class ReferenceEngine implements Engine {
  readonly name = 'reference';
  readonly threads = 1;
  readonly description = 'plain TypeScript loops in float64, 1 thread';
  #work = new Float64Array(0);

  allocate(region: Region): Memory {
    return new ReferenceMemory(region);
  }

  bind(program: Program, memories: readonly Memory[]): Executable {
    const io = new ReferenceMemory(program.io);
    for (const { name, values } of program.constants) io.write(name, values);
    const bound = new Map<Region, ReferenceMemory>([[program.io, io]]);
    for (const memory of memories) {
      invariant(
        memory instanceof ReferenceMemory,
        `program ${program.name}: the memory of region ${memory.region.name} belongs to another engine`,
      );
      bound.set(memory.region, memory);
    }
    for (const region of program.regions) {
      if (region === program.work) continue;
      const memory = bound.get(region);
      invariant(memory !== undefined, `program ${program.name}: region ${region.name} is bound to no memory`);
      invariant(
        memory.values.length >= region.elements,
        `program ${program.name}: region ${region.name} has grown to ${region.elements} elements since it got memory for ${memory.values.length}`,
      );
    }
    const run = (after?: (index: number) => void): void => {
      const work = this.#workspace(program.work.elements);
      const memoryOf = (region: Region): Float64Array =>
        region === program.work ? work : bound.get(region)!.values;
      program.instructions.forEach((instruction, index) => {
        execute(instruction, memoryOf);
        after?.(index);
      });
    };
    const profile = async (): Promise<Float64Array> => {
      const seconds = new Float64Array(program.instructions.length);
      let start = performance.now();
      run((index) => {
        const end = performance.now();
        seconds[index] = (end - start) / 1000;
        start = end;
      });
      return seconds;
    };
    return { program, io, run: () => run(), profile };
  }

  async close(): Promise<void> {}

  /**
   * Nothing survives in the workspace from one run to the next. NaN makes a Program that reads what it has not
   * written show it.
   */
  #workspace(elements: number): Float64Array {
    if (this.#work.length < elements) this.#work = new Float64Array(elements);
    return this.#work.fill(NaN, 0, elements);
  }
}

/** Calls a kernel with its operands by name, addresses resolved to the memory from there on. */
function execute({ kernel, words }: Instruction, memoryOf: (region: Region) => Float64Array): void {
  const resolve = (word: Word): number | Float64Array =>
    typeof word === 'number' ? word : memoryOf(word.region).subarray(word.offset);
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
