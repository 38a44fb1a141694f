import { type Shape, sizeOf } from '../compute/program/region.ts';
import type { Message } from '../protobuf.ts';
import {
  type Attributes,
  type ElementType,
  elementTypes,
  graphProto,
  nodeProto,
  type Port,
  tensorProto,
} from './messages.ts';

/** What a model has one of: names, and numbers that the body of a loop reads like the graph around it. */
class Shared {
  readonly initializers: Message[] = [];
  readonly known = new Map<string, string>();
  #names = 0;

  name(): string {
    return `t${this.#names++}`;
  }
}

/** An ONNX graph in the making. Values are known by their names; every function adds nodes and gives the result's name. */
export class OnnxGraph {
  readonly #shared: Shared;
  readonly #nodes: Message[] = [];

  constructor(around?: OnnxGraph) {
    this.#shared = around ? around.#shared : new Shared();
  }

  /** A node with one result. */
  node(type: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.nodes(type, inputs, 1, attributes)[0];
  }

  nodes(type: string, inputs: readonly string[], outputs: number, attributes: Attributes = {}): string[] {
    const names = Array.from({ length: outputs }, () => this.#shared.name());
    this.#nodes.push(nodeProto(type, inputs, names, attributes));
    return names;
  }

  /** Gives a value a name that people know, as what comes out of a graph needs. */
  rename(value: string, name: string): void {
    this.#nodes.push(nodeProto('Identity', [value], [name], {}));
  }

  /** Numbers of the file under a name. */
  initializer(name: string, shape: Shape, values: ArrayLike<number>): string {
    this.#shared.initializers.push(tensorProto(name, 'float', shape, values));
    return name;
  }

  floats(values: readonly number[], shape: Shape): string {
    return this.#constant('float', values, shape);
  }

  number(value: number): string {
    return this.floats([value], []);
  }

  ints(values: readonly number[]): string {
    return this.#constant('int64', values, [values.length]);
  }

  zeros(shape: Shape): string {
    return this.node('ConstantOfShape', [this.ints(shape)]);
  }

  reshape(x: string, shape: Shape): string {
    return this.node('Reshape', [x, this.ints(shape)]);
  }

  cast(x: string, to: ElementType): string {
    return this.node('Cast', [x], { to: elementTypes[to] });
  }

  add(a: string, b: string): string {
    return this.node('Add', [a, b]);
  }

  subtract(a: string, b: string): string {
    return this.node('Sub', [a, b]);
  }

  multiply(a: string, b: string): string {
    return this.node('Mul', [a, b]);
  }

  divide(a: string, b: string): string {
    return this.node('Div', [a, b]);
  }

  matmul(a: string, b: string): string {
    return this.node('MatMul', [a, b]);
  }

  exp(x: string): string {
    return this.node('Exp', [x]);
  }

  sigmoid(x: string): string {
    return this.node('Sigmoid', [x]);
  }

  tanh(x: string): string {
    return this.node('Tanh', [x]);
  }

  /** −log(1 + e^−x) */
  logSigmoid(x: string): string {
    return this.node('Neg', [this.node('Softplus', [this.node('Neg', [x])])]);
  }

  silu(x: string): string {
    return this.multiply(x, this.sigmoid(x));
  }

  /** Σ over one axis, which stays with a size of 1. */
  sum(x: string, axis: number): string {
    return this.node('ReduceSum', [x, this.ints([axis])], { keepdims: 1 });
  }

  /** The mean over one axis, which stays with a size of 1. */
  mean(x: string, axis: number): string {
    return this.node('ReduceMean', [x], { axes: [axis], keepdims: 1 });
  }

  /** Pieces of the given sizes along an axis. */
  split(x: string, sizes: readonly number[], axis: number): string[] {
    if (sizes.length === 1) return [x];
    return this.nodes('Split', [x, this.ints(sizes)], sizes.length, { axis });
  }

  concat(parts: readonly string[], axis: number): string {
    return parts.length === 1 ? parts[0] : this.node('Concat', parts, { axis });
  }

  /** The graph as a message. The one around all others has the numbers of all. */
  finish(name: string, inputs: readonly Port[], outputs: readonly Port[], isBody = false): Message {
    const initializers = isBody ? [] : this.#shared.initializers;
    return graphProto({ name, nodes: this.#nodes, initializers, inputs, outputs });
  }

  #constant(type: 'float' | 'int64', values: readonly number[], shape: Shape): string {
    const key =
      sizeOf(shape) <= 16 ? `${type} ${shape} ${values.map((v) => (Object.is(v, -0) ? '-0' : v))}` : '';
    const known = this.#shared.known.get(key);
    if (key && known !== undefined) return known;
    const name = this.#shared.name();
    this.#shared.initializers.push(tensorProto(name, type, shape, values));
    if (key) this.#shared.known.set(key, name);
    return name;
  }
}
