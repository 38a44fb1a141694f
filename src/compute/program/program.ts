import { bytesOf } from './dtypes.ts';
import { type KernelName, kernelNames, kernels } from './kernels.ts';
import { type Region, shapeText, sizeOf } from './region.ts';

/** A place in a region: what an instruction's address operands are until an engine binds the region to memory. */
export interface Address {
  readonly region: Region;
  /** Bytes from the start of the region. */
  readonly offset: number;
  /** What the instruction reads or writes lies within so many bytes from there on. */
  readonly bytes: number;
  /** For print(): what lies there. */
  readonly label: string;
}

export type Word = number | Address;

export interface Instruction {
  readonly kernel: KernelName;
  /** In the order of the kernel's table row, then the tail. */
  readonly words: readonly Word[];
}

/**
 * A flat list of kernel calls over regions of memory. It is data: an engine binds the regions to addresses and runs
 * the list in one call. Its memory is known before it runs: `bytes` is what its own workspace takes.
 */
export class Program {
  /** For people: errors and `print` show it. */
  readonly name: string;
  /** The kernel calls in the order in which they run. */
  readonly instructions: readonly Instruction[];
  /** Activations and scratch: dead between two runs, so that all Programs of an engine can share one memory. */
  readonly work: Region;
  /** Inputs, outputs and constants: this Program's own, kept between runs. */
  readonly io: Region;
  /** Every region that the instructions address, `work` and `io` among them. */
  readonly regions: readonly Region[];
  /** Values to write into `io` once, when the Program is bound. */
  readonly constants: readonly {
    /** The entry of `io`. */
    readonly name: string;
    /** As many as it has elements. */
    readonly values: readonly number[];
  }[];

  constructor(
    name: string,
    instructions: readonly Instruction[],
    work: Region,
    io: Region,
    constants: readonly { name: string; values: readonly number[] }[],
  ) {
    this.name = name;
    this.instructions = instructions;
    this.work = work;
    this.io = io;
    this.constants = constants;
    const regions = new Set<Region>([work, io]);
    for (const { words } of instructions) {
      for (const word of words) if (typeof word !== 'number') regions.add(word.region);
    }
    this.regions = [...regions];
  }

  /** Bytes of workspace, inputs and outputs; parameters and state are counted where they are owned. */
  get bytes(): number {
    return this.work.bytes + this.io.bytes;
  }

  /** Floating-point operations of one run. */
  get flops(): number {
    return this.instructions.reduce((sum, i) => sum + instructionFlops(i), 0);
  }

  /** The words an engine runs, once `addressOf` says where each region lies (in the engine's own unit). */
  link(addressOf: (address: Address) => number): Float64Array {
    const count = this.instructions.reduce((sum, i) => sum + linkedWords(i), 0);
    const linked = new Float64Array(count);
    let at = 0;
    for (const instruction of this.instructions) {
      const { kernel, words } = instruction;
      linked[at++] = kernelNames.indexOf(kernel);
      linked[at++] = linkedWords(instruction);
      for (const word of words) linked[at++] = typeof word === 'number' ? word : addressOf(word);
    }
    return linked;
  }

  /** One line per kernel call: kernel, sizes, addresses; then the regions and their bytes. */
  print(): string {
    const lines = [`program ${this.name}: ${this.instructions.length} calls, ${formatFlops(this.flops)}`];
    this.instructions.forEach(({ kernel, words }, index) => {
      const names = Object.keys(kernels[kernel].operands);
      const operands = words
        .map((word, i) => [names[i] ?? '', word] as const)
        .filter(([, word]) => word !== 0)
        .map(([name, word]) => {
          const text =
            typeof word === 'number' ? String(word) : `${word.region.name}+${word.offset}(${word.label})`;
          return name ? `${name}=${text}` : text;
        });
      lines.push(`${String(index).padStart(4)}  ${kernel.padEnd(20)} ${operands.join(' ')}`);
    });
    for (const region of this.regions) {
      lines.push(`region ${region.name}: ${region.bytes.toLocaleString('en-US')} bytes`);
      if (region === this.work) continue;
      for (const e of region.entries) {
        lines.push(
          `  ${String(e.offset).padStart(10)}  ${shapeText(e.shape).padEnd(18)} ${bytesOf(e.dtype, sizeOf(e.shape))} bytes  ${e.name}`,
        );
      }
    }
    return lines.join('\n');
  }
}

/** Words that an instruction takes in a linked Program: opcode, count and operands. */
export const linkedWords = ({ words }: Instruction): number => 2 + words.length;

/** The numeric operands of an instruction by name (addresses count as 1 where present). */
export function instructionOperands({ kernel, words }: Instruction): Record<string, number> {
  return Object.fromEntries(
    Object.keys(kernels[kernel].operands).map((name, i) => {
      const word = words[i];
      return [name, typeof word === 'number' ? word : 1];
    }),
  );
}

export const instructionFlops = (instruction: Instruction): number =>
  kernels[instruction.kernel].flops(instructionOperands(instruction));

/** Bytes that an instruction moves at least. */
export const instructionBytes = (instruction: Instruction): number => {
  const { kernel, words } = instruction;
  const tail = words.slice(Object.keys(kernels[kernel].operands).length);
  return kernels[kernel].bytes(
    instructionOperands(instruction),
    tail.map((word) => (typeof word === 'number' ? word : 1)),
  );
};

const formatFlops = (flops: number): string =>
  flops >= 1e9 ? `${(flops / 1e9).toFixed(2)} GFLOP` : `${(flops / 1e6).toFixed(3)} MFLOP`;
