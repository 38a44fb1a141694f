import { WIDEST_VECTOR } from '../constants.ts';
import { bytesOf } from '../dtypes.ts';
import type { EngineLimits } from '../limits.ts';

/**
 * A row of the kernel table.
 *
 * An instruction is a list of numbers (float64 words): [opcode, word count, operands in table order, tail].
 * A word is exact for addresses, sizes and float32 constants alike, so one type serves all.
 *
 * Operand kinds
 *   in, out     address of float elements that the kernel reads or writes; in? and out? may be 0 (absent)
 *   scratch     address of a workspace that lives for this instruction only
 *   int, float  a number
 *
 * Legend of the rows: B batch, T length, N rows = B * T, H heads or groups, D width. All data are row-major. A matrix
 * operand is an address and, named `ld…`, the distance between its rows, so a slice of columns is a view.
 * The gradient of x is named dx; operations take these names from here (`oneCall` in graph/op.ts).
 * `in` operands may not overlap `out` operands unless a kernel's comment allows it.
 */
export type OperandKind = 'in' | 'out' | 'in?' | 'out?' | 'scratch' | 'int' | 'float';

/** The numbers of a call by operand; an address counts as 1, one that is absent as 0. */
export type Sizes = Readonly<Record<string, number>>;

export interface Kernel {
  readonly operands: Readonly<Record<string, OperandKind>>;
  /** The kernel takes further words after its operands; their number follows from the word count. */
  readonly tail?: true;
  /** Floating-point operations of one call. */
  readonly flops: (a: Sizes) => number;
  /**
   * Bytes of memory that one call reads and writes at least: each array once, what is small beside the others left out.
   * `tail`: the words after the operands, an address counts as 1.
   */
  readonly bytes: (a: Sizes, tail: readonly number[]) => number;
  /** Elements of workspace that one call needs. */
  readonly scratch?: (a: Sizes, limits: EngineLimits) => number;
  /**
   * Elements of a thread's private workspace that the C++ kernel uses at most, whatever the width of its vectors. The
   * planner refuses calls that need more than an engine has: the kernels do not check.
   */
  readonly threadScratch?: (a: Sizes) => number;
}

export const f32 = (elements: number): number => bytesOf('f32', elements);

/** Chunks of a sequence, between which a state is saved. */
export const chunksOf = ({ length, chunk }: Sizes): number => Math.ceil(length / chunk);

/** Elements of a key and a value for each token and head. */
export const rowElements = ({ batch, length, heads, keyDim, valueDim }: Sizes): number =>
  batch * length * heads * (keyDim + valueDim);

/** Elements of one partial sum of the gradient of `groups` blocks, whose columns an engine may round up to its vectors. */
export const blockSums = (groups: number, inSize: number, outSize: number): number =>
  (groups * inSize + WIDEST_VECTOR - 1) * outSize;

/** A thread's copy of the weights of 4 × 4 blocks; others are used as they are stored. */
export const preparedBlocks = (groups: number, inSize: number, outSize: number): number =>
  inSize === 4 && outSize === 4 ? blockSums(groups, inSize, outSize) : 0;

/** Rounded up to whole vectors. */
export const wholeVectors = (elements: number): number => Math.ceil(elements / WIDEST_VECTOR) * WIDEST_VECTOR;

/** The operand that holds the distance between the rows of an array, if the kernel takes one: ldx for x. */
export const strideOf = (operands: Kernel['operands'], array: string): string | undefined =>
  [`ld${array}`, `ld${array[0].toUpperCase()}${array.slice(1)}`].find((name) => name in operands);
