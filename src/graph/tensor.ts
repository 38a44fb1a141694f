import { XlstmError } from '../errors.ts';
import { type Region, type Shape, shapeText } from '../program/region.ts';
import type { Emitter } from './emit.ts';

/**
 * One operation of the graph: how it becomes kernel calls and, beside it, its gradient. The shape rule is in the
 * function that builds the node.
 */
export interface Op<A = unknown> {
  readonly name: string;
  /**
   * Gradients of the inputs, given those of the outputs (undefined where nothing depends on an output). `sofar` holds
   * what other uses of an input have contributed already, for the inputs in `absorbs`.
   */
  backward?(
    node: Node<A>,
    gradients: readonly (Tensor | undefined)[],
    sofar: readonly (Tensor | undefined)[],
  ): (Tensor | undefined)[];
  /** Inputs for which `backward` returns the sum with `sofar`: their kernel adds it on the way. */
  readonly absorbs?: readonly number[];
  emit(node: Node<A>, to: Emitter): void;
  /** Outputs that the kernel can write as a slice of the columns of a wider matrix. */
  readonly stridedOutputs?: readonly number[];
  /** The operation overwrites memory that others may read: it runs after everything that was built before it. */
  readonly overwrites?: true;
  /** inPlace[output] is the input whose memory that output may take. */
  readonly inPlace?: Readonly<Record<number, number>>;
}

export interface Node<A = unknown> {
  /** Creation order, which is an order of execution. */
  readonly id: number;
  readonly op: Op<A>;
  /** undefined: an optional input that is absent. */
  readonly inputs: readonly (Tensor | undefined)[];
  readonly attributes: A;
  readonly outputs: readonly Tensor[];
}

/** A symbolic array: its shape and the operation that makes it. It holds no numbers. */
export class Tensor {
  readonly shape: Shape;
  readonly node: Node;
  /** Which output of its node this is. */
  readonly index: number;

  constructor(shape: Shape, node: Node, index: number) {
    this.shape = shape;
    this.node = node;
    this.index = index;
  }

  /** Elements of one row: the last dimension. */
  get cols(): number {
    return this.shape.at(-1) ?? 1;
  }

  /** Product of all dimensions but the last. */
  get rows(): number {
    return this.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  }

  toString(): string {
    return `${this.node.op.name}#${this.node.id}${shapeText(this.shape)}`;
  }
}

let nextId = 0;

/** The id that the next node gets: nodes from here on are younger. */
export const currentId = (): number => nextId;

export function createNode<A>(
  op: Op<A>,
  inputs: readonly (Tensor | undefined)[],
  attributes: A,
  shapes: readonly Shape[],
): readonly Tensor[] {
  const outputs: Tensor[] = [];
  const node: Node = { id: nextId++, op: op as Op, inputs, attributes, outputs };
  shapes.forEach((shape, index) => {
    for (const n of shape) {
      if (!Number.isInteger(n) || n < 1) {
        throw new XlstmError(
          'shape',
          `${op.name}: every dimension must be a whole number of at least 1, found ${shapeText(shape)}`,
        );
      }
    }
    outputs.push(new Tensor(shape, node, index));
  });
  return outputs;
}

/** Throws unless the condition holds; the text says what the operation expects and what it was given. */
export function requireShape(
  condition: boolean,
  op: string,
  expected: string,
  ...found: (Tensor | undefined)[]
): asserts condition {
  if (condition) return;
  const shapes = found.map((t) => (t ? shapeText(t.shape) : 'absent')).join(', ');
  throw new XlstmError('shape', `${op}: expected ${expected}, found ${shapes}`);
}

interface LeafAttributes {
  readonly region: Region;
  readonly name: string;
}

const leafOp: Op<LeafAttributes> = { name: 'leaf', emit() {} };

/** An array that lies in a region: a parameter, an input, a recurrent state. Declares it if the region lacks it. */
export function leaf(region: Region, name: string, shape: Shape): Tensor {
  const entry = region.has(name) ? region.get(name) : region.add(name, shape);
  if (shapeText(entry.shape) !== shapeText(shape)) {
    throw new XlstmError(
      'shape',
      `${region.name}: "${name}" has shape ${shapeText(entry.shape)}, asked for as ${shapeText(shape)}`,
    );
  }
  return createNode(leafOp, [], { region, name }, [shape])[0];
}

export const leafOf = (t: Tensor): LeafAttributes | undefined =>
  t.node.op === (leafOp as Op) ? (t.node.attributes as LeafAttributes) : undefined;
