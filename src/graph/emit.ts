import type { KernelName, KernelTable } from '../program/kernels.ts';
import type { Region } from '../program/region.ts';
import type { ElementwiseAttributes } from './elementwise.ts';
import type { Buffer } from './memory.ts';
import type { Node, Tensor } from './tensor.ts';

/** Where an array begins, before the workspace is laid out. 0: absent. */
export type Place = { readonly base: Buffer | Region; readonly offset: number; readonly label: string } | 0;

/** A matrix of rows; `ld` is the distance between them. */
export interface Matrix {
  readonly at: Place;
  readonly ld: number;
}

type OperandsOf<K extends KernelName> = KernelTable[K]['operands'];
type KeysOf<O, Kind> = { [P in keyof O]: O[P] extends Kind ? P : never }[keyof O];

/** The operands of a kernel by name. Workspace is added by the planner. */
export type Operands<K extends KernelName> = { [P in KeysOf<OperandsOf<K>, 'in' | 'out'>]: Place } & {
  [P in KeysOf<OperandsOf<K>, 'in?' | 'out?'>]?: Place;
} & { [P in KeysOf<OperandsOf<K>, 'int' | 'float'>]: number };

/** What an operation's `emit` may ask of the planner. */
export interface Emitter {
  /** Where an input lies, or where an output is to be written. Absent for undefined. */
  matrix(t: Tensor | undefined): Matrix;
  /** As `matrix` for an output that may be left out: absent if nothing reads it. */
  wanted(t: Tensor): Matrix;
  /** As `matrix(t).at`, with rows that follow each other without a gap; a strided input is copied first. */
  contiguous(t: Tensor | undefined): Place;
  /** As `contiguous` for an output that may be left out. */
  wantedContiguous(t: Tensor): Place;
  call<K extends KernelName>(kernel: K, operands: Operands<K>): void;
  /** `out` is `source` from a column on, without a copy where the memory allows it. */
  alias(out: Tensor, source: Tensor, column?: number): void;
  /** `out` are rows of `source`: `first` and then every `step`th. */
  aliasRows(out: Tensor, source: Tensor, first: number, step: number): void;
  /** `out` lies in a region. */
  regionAlias(out: Tensor, region: Region, offset: number): void;
  /** Sees to it that `input` lies in the columns of `target` from `column` on. */
  place(input: Tensor, target: Tensor, column: number): void;
  constant(out: Tensor, values: readonly number[]): void;
  elementwise(node: Node<ElementwiseAttributes>): void;
}

/** Operands x and ldx for every named matrix. */
export function columns<N extends string>(
  to: Emitter,
  tensors: Record<N, Tensor>,
): Record<N, Place> & Record<`ld${N}`, number> {
  const operands: Record<string, Place | number> = {};
  for (const [name, t] of Object.entries<Tensor>(tensors)) {
    const { at, ld } = to.matrix(t);
    operands[name] = at;
    operands[`ld${name}`] = ld;
  }
  return operands as Record<N, Place> & Record<`ld${N}`, number>;
}
