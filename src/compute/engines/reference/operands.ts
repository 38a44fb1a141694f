import type { OperandKind } from '../../program/kernels/kernel.ts';
import type { KernelName, KernelTable } from '../../program/kernels.ts';

/** What a kernel sees of an operand: an address is the memory from there on. A workspace may have no elements. */
type OperandValue<Kind extends OperandKind> = Kind extends 'in' | 'out'
  ? Float64Array
  : Kind extends 'in?' | 'out?' | 'scratch'
    ? Float64Array | undefined
    : number;

type TailWords<Row> = Row extends { readonly tail: true } ? { readonly tail: readonly TailWord[] } : unknown;

export type TailWord = number | Float64Array;

/** The arguments of a kernel by the names of its table row. */
export type Operands<Name extends KernelName> = {
  readonly [Operand in keyof KernelTable[Name]['operands']]: OperandValue<
    KernelTable[Name]['operands'][Operand] & OperandKind
  >;
} & TailWords<KernelTable[Name]>;

/** The id that a number in memory is, or −1 where it is no whole number from 0 to `ids` − 1. */
export const idNamed = (value: number, ids: number): number =>
  Number.isInteger(value) && value >= 0 && value < ids ? value : -1;
