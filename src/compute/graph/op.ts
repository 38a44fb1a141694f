import { strideOf } from '../program/kernels/kernel.ts';
import { type KernelName, type KernelTable, kernels } from '../program/kernels.ts';
import type { EngineLimits } from '../program/limits.ts';
import { type Region, type Shape, shapeText } from '../program/region.ts';
import type { Buffer } from './memory.ts';

/**
 * The inputs or outputs of an operation by name, in order. An optional one ends with `?`: an input that may be absent, an
 * output on which nothing may depend. 'list': any number of them, without names.
 */
export type Names = readonly string[] | 'list';

type Always<N extends string> = N extends `${string}?` ? never : N;
type Maybe<N extends string> = N extends `${infer Name}?` ? Name : never;
type NameOf<D extends Names> = D extends readonly string[] ? Always<D[number]> | Maybe<D[number]> : never;

/** A value for each. */
export type Each<D extends Names, T> = D extends readonly string[]
  ? { readonly [N in NameOf<D>]: T }
  : readonly T[];

/** The tensors that are given for names; one that is absent has to be said. */
export type Given<D extends Names> = D extends readonly string[]
  ? { readonly [N in Always<D[number]>]: Tensor } & {
      readonly [N in Maybe<D[number]>]: Tensor | undefined;
    }
  : readonly Tensor[];

/** Gradients of the inputs: that of x is called dx. There are none of `Constants`. */
type InputGradients<D extends Names, Constants extends string> = D extends readonly string[]
  ? { readonly [N in Exclude<NameOf<D>, Constants> as `d${N}`]: Tensor | undefined }
  : readonly (Tensor | undefined)[];

/** Gradients of the outputs; of an optional output there may be none. */
type OutputGradients<D extends Names, Constants extends string> = D extends readonly string[]
  ? { readonly [N in Exclude<Always<D[number]>, Constants> as `d${N}`]: Tensor } & {
      readonly [N in Exclude<Maybe<D[number]>, Constants> as `d${N}`]: Tensor | undefined;
    }
  : readonly (Tensor | undefined)[];

/**
 * compute: kernels write outputs of its own. elementwise: computes too, but `fuse` makes map calls of it. view: outputs
 * name memory of the first input. leaf: memory of a region. join: its inputs are to be written side by side into its
 * output. assign: its `value` is to be written to where its `target` lies.
 */
export type Kind = 'compute' | 'elementwise' | 'view' | 'leaf' | 'join' | 'assign';

/** One operation: how it becomes kernel calls and, beside it, its gradient. The shape rule is where nodes are made. */
interface Definition<I extends Names, O extends Names, A, Constants extends string> {
  readonly name: string;
  /** Default: compute. */
  readonly kind?: Kind;
  readonly inputs: I;
  readonly outputs: O;
  /** `attributes<A>()`, unless `oneCall` says what they are. */
  readonly attributes?: A;
  /** Inputs and outputs through which no gradient flows. */
  readonly constants?: readonly Constants[];
  /** Inputs for which `gradient` returns the sum with `sofar`: their kernel adds it on the way. */
  readonly absorbs?: readonly NameOf<I>[];
  /** Outputs that the kernel can write as a slice of the columns of a wider matrix. */
  readonly strided?: readonly NameOf<O>[];
  /** The input whose memory an output may take. */
  readonly inPlace?: { readonly [N in NameOf<O>]?: NameOf<I> };
  /** The operation overwrites memory that others may read: it runs after everything that was built before it. */
  readonly overwrites?: true;
  /**
   * The gradients of the inputs, as an expression over other operations, given those of the outputs `d`. `sofar` holds
   * what other uses of an input have contributed already, for the inputs in `absorbs`.
   */
  gradient?(
    node: NodeOf<I, O, A>,
    d: OutputGradients<O, Constants>,
    sofar: { readonly [N in NameOf<I>]?: Tensor },
  ): InputGradients<I, Constants>;
  /** Elementwise operations have none. */
  emit?(node: NodeOf<I, O, NoInfer<A>>, to: Emitter): void;
  /**
   * Arrays that the kernel leaves for its backward pass, sized when the graph is planned: an engine's limits may decide.
   * They are no tensors: no operation but the one that is `backwardOf` this one reads them.
   */
  residuals?(node: NodeOf<I, O, A>, planning: Planning): Readonly<Record<string, Shape>>;
  /** The operation whose backward pass this is: each node has a `forward`, whose residuals its kernel reads. */
  readonly backwardOf?: string;
  /**
   * The same outputs by other operations, where the engine's kernels do not take a node of these sizes. The backward
   * pass, which then is that of the parts, has to take the gradients of all outputs, dy of y, and as `residual` what is
   * absorbed, and to make those of the inputs, dx of x.
   */
  readonly parts?: {
    replace(node: NodeOf<I, O, A>, limits: EngineLimits): boolean;
    build(inputs: Given<I>): Each<O, Tensor>;
  };
}

interface NodeOf<I extends Names, O extends Names, A> extends Pick<Node, 'id' | 'op'> {
  readonly inputs: Given<I>;
  readonly outputs: Each<O, Tensor>;
  readonly attributes: A;
}

interface Port {
  readonly name: string;
  readonly optional: boolean;
}

/** An operation as data: what the planner and `differentiate` go by. */
export interface Op {
  readonly name: string;
  readonly kind: Kind;
  readonly inputs: readonly Port[] | 'list';
  readonly outputs: readonly Port[] | 'list';
  readonly constants: readonly string[];
  readonly absorbs: readonly string[];
  readonly strided: readonly string[];
  readonly inPlace: Readonly<Record<string, string>>;
  readonly overwrites: boolean;
  gradient?(node: Node, d: Gradients, sofar: Gradients): Gradients;
  emit?(node: Node, to: Emitter): void;
  residuals?(node: Node, planning: Planning): Readonly<Record<string, Shape>>;
  readonly backwardOf?: string;
  readonly parts?: {
    replace(node: Node, limits: EngineLimits): boolean;
    build(inputs: Arrays): Arrays;
  };
}

export type Gradients = Readonly<Record<string, Tensor | undefined>>;

/** An operation that remembers the types of what it takes and makes. */
export interface TypedOp<I extends Names, O extends Names, A> extends Op {
  /** For the types alone: never set. */
  readonly types?: readonly [I, O, A];
}

export function defineOp<
  const I extends Names,
  const O extends Names,
  A = undefined,
  const Constants extends NameOf<I> | NameOf<O> = never,
>(definition: Definition<I, O, A, Constants>): TypedOp<I, O, A> {
  const op = {
    kind: 'compute',
    constants: [],
    absorbs: [],
    strided: [],
    inPlace: {},
    overwrites: false,
    ...definition,
    inputs: ports(definition.inputs),
    outputs: ports(definition.outputs),
  };
  return op as unknown as TypedOp<I, O, A>;
}

const ports = (names: Names): readonly Port[] | 'list' =>
  names === 'list'
    ? names
    : names.map((name) => ({ name: name.replace('?', ''), optional: name.endsWith('?') }));

/** The type of an operation's attributes: static options that a node carries. */
export const attributes = <A>(): { readonly attributes: A } => ({ attributes: undefined as A });

/** Arrays by name. */
export type Named = Readonly<Record<string, Tensor>>;

/** Arrays by name, or a list of them. */
export type Arrays = Named | readonly Tensor[];

export interface Node {
  /** Creation order, which is an order of execution. */
  readonly id: number;
  readonly op: Op;
  /** Those that are present, in the order of the operation. */
  readonly inputs: Arrays;
  readonly outputs: Arrays;
  readonly attributes: unknown;
  /** Made by `differentiate`: it may compute values of the forward pass again. */
  readonly backward: boolean;
  /** The node whose backward pass this is, where the operation is `backwardOf` another. */
  readonly forward: Node | undefined;
}

/** A symbolic array: its shape and the operation that makes it. It holds no numbers. */
export class Tensor {
  /** Dimensions, the outermost first: [B, T, D]. */
  readonly shape: Shape;
  /** The operation with its inputs. */
  readonly node: Node;
  /** Which output of its node this is. */
  readonly output: string;

  constructor(shape: Shape, node: Node, output: string) {
    this.shape = shape;
    this.node = node;
    this.output = output;
  }

  /** Elements of one row: the last dimension. */
  get cols(): number {
    return this.shape.at(-1) ?? 1;
  }

  /** Product of all dimensions but the last. */
  get rows(): number {
    return this.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  }

  /** The operation, its number and the shape, as `print()` of a Program shows them. */
  toString(): string {
    return `${this.node.op.name}#${this.node.id}${shapeText(this.shape)}`;
  }
}

/** Where an array begins, before the workspace is laid out. 0: absent. */
export type Place =
  | {
      readonly base: Buffer | Region;
      /** In bytes. */
      readonly offset: number;
      /** All of it lies within so many bytes. */
      readonly bytes: number;
      readonly label: string;
    }
  | 0;

/** A matrix of rows; `ld` is the distance between them. */
export interface Matrix {
  readonly at: Place;
  readonly ld: number;
}

type OperandsOf<K extends KernelName> = KernelTable[K]['operands'];
type KeysOf<O, Kinds> = { [P in keyof O]: O[P] extends Kinds ? P : never }[keyof O] & string;
type ArraysOf<K extends KernelName, Kinds> = KeysOf<OperandsOf<K>, Kinds>;
type StridesOf<N extends string> = `ld${N | Capitalize<N>}`;
type AllStrides<K extends KernelName> = StridesOf<ArraysOf<K, 'in' | 'in?' | 'out' | 'out?'>>;
type NumberNames<K extends KernelName> = KeysOf<OperandsOf<K>, 'int' | 'float'>;

/** The arrays that a kernel reads and writes, but for `Residuals`. */
export interface KernelArrays<K extends KernelName, Residuals = never> {
  readonly inputs: { readonly [N in Exclude<ArraysOf<K, 'in'>, Residuals>]: Tensor } & {
    readonly [N in ArraysOf<K, 'in?'>]?: Tensor | undefined;
  };
  readonly outputs: { readonly [N in ArraysOf<K, 'out'>]: Tensor } & {
    readonly [N in ArraysOf<K, 'out?'>]?: Tensor;
  };
}

/** The numbers that a kernel takes. The distances between rows are the planner's, unless they are given. */
export type KernelNumbers<K extends KernelName> = {
  readonly [N in Exclude<NumberNames<K>, AllStrides<K>>]: number;
} & { readonly [N in NumberNames<K> & AllStrides<K>]?: number };

/** What a graph is planned for. */
export interface Planning {
  /** Of the engine. */
  readonly limits: EngineLimits;
  /** Of the products of dense layers, and of those within the mLSTM's chunks. */
  readonly precision: 'f32' | 'bf16';
}

/** What an operation's `emit` may ask of the planner. */
export interface Emitter extends Planning {
  /** Where an input lies, or where an output is to be written. */
  matrix(t: Tensor): Matrix;
  /**
   * A call of a kernel; names are those of its row in the kernel table. An input whose rows have to follow each other
   * without a gap, and do not, is copied first. Optional outputs that nothing reads are left out; so are `residuals`, if
   * the backward pass is not part of the graph. Those of a backward pass are those of the node that is its `forward`.
   */
  call<K extends KernelName, Residuals extends ArraysOf<K, 'in' | 'out?'> = never>(
    kernel: K,
    arrays: KernelArrays<K, Residuals>,
    numbers: KernelNumbers<K>,
    residuals?: readonly Residuals[],
  ): void;
  /** Whether the backward pass of the operation is part of the graph. */
  readonly differentiated: boolean;
  /** `out` is `source` from a column on, without a copy where the memory allows it. */
  alias(out: Tensor, source: Tensor, column?: number): void;
  /** `out` are rows of `source`: `first` and then every `step`th. */
  aliasRows(out: Tensor, source: Tensor, first: number, step: number): void;
  /** `out` lies in a region. */
  regionAlias(out: Tensor, region: Region, offset: number): void;
  /** Sees to it that `input` lies in the columns of `target` from `column` on. */
  place(input: Tensor, target: Tensor, column: number): void;
  constant(out: Tensor, values: readonly number[]): void;
}

type InputNames<K extends KernelName> = readonly (ArraysOf<K, 'in'> | `${ArraysOf<K, 'in?'>}?`)[];
type OutputNames<K extends KernelName> = readonly (ArraysOf<K, 'out'> | `${ArraysOf<K, 'out?'>}?`)[];

/**
 * For `defineOp`: the operation is one call of a kernel. Inputs and outputs are those of the kernel table, attributes the
 * numbers that the kernel takes.
 */
export function oneCall<K extends KernelName>(kernel: K) {
  const { operands } = kernels[kernel];
  const named = (kind: 'in' | 'out'): string[] =>
    Object.keys(operands).filter((name) => operands[name] === kind || operands[name] === `${kind}?`);
  const marked = (name: string): string => (operands[name].endsWith('?') ? `${name}?` : name);
  return {
    ...attributes<KernelNumbers<K>>(),
    inputs: named('in').map(marked) as unknown as InputNames<K>,
    outputs: named('out').map(marked) as unknown as OutputNames<K>,
    strided: named('out').filter((name) => strideOf(operands, name)) as unknown as readonly NameOf<
      OutputNames<K>
    >[],
    emit(node: NodeOf<InputNames<K>, OutputNames<K>, KernelNumbers<K>>, to: Emitter): void {
      to.call(kernel, node as unknown as KernelArrays<K>, node.attributes);
    },
  };
}
