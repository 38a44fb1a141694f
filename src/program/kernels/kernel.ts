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
 * `in` operands may not overlap `out` operands unless a kernel's comment allows it.
 */
export type OperandKind = 'in' | 'out' | 'in?' | 'out?' | 'scratch' | 'int' | 'float';

export interface Kernel {
  readonly operands: Readonly<Record<string, OperandKind>>;
  /** The kernel takes further words after its operands; their number follows from the word count. */
  readonly tail?: true;
  /** Floating-point operations of one call. */
  readonly flops: (a: Readonly<Record<string, number>>) => number;
  /** Elements of workspace that one call needs. */
  readonly scratch?: (a: Readonly<Record<string, number>>) => number;
}

/**
 * The number of partial sums in kernels that reduce over rows. Work is split by a partition that does not depend on the
 * thread count, and every reduction has a fixed order, so results do not depend on it either.
 */
export const PARTITIONS = 16;

/** Elements of one partial sum of the gradient of `groups` blocks, whose columns an engine may round up to its vectors. */
export const blockSums = (groups: number, inSize: number, outSize: number): number =>
  (groups * inSize + 15) * outSize;
