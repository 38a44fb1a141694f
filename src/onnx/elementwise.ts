import type { ElementwiseAttributes } from '../compute/graph/elementwise.ts';
import type { KernelNumbers, Tensor } from '../compute/graph/op.ts';
import { type Shape, sizeOf } from '../compute/program/region.ts';
import type { ScalarFunction } from '../compute/program/scalar_functions.ts';
import { type Emitter, type Emitting, emitter, listEmitter } from './emitter.ts';
import type { OnnxGraph } from './graph.ts';

type Scalar = (graph: OnnxGraph, a: string, b: string, c: string) => string;

const named =
  (type: string, arity: 1 | 2 = 2): Scalar =>
  (graph, a, b) =>
    graph.node(type, arity === 1 ? [a] : [a, b]);

/** `copy` and what takes no array have lines of their own below. */
const scalars: Readonly<Record<Exclude<ScalarFunction, 'copy' | 'constant' | 'uniform'>, Scalar>> = {
  add: named('Add'),
  subtract: named('Sub'),
  multiply: named('Mul'),
  divide: named('Div'),
  maximum: named('Max'),
  minimum: named('Min'),
  greater: (graph, a, b) => graph.cast(graph.node('Greater', [a, b]), 'float'),
  select: (graph, a, b, c) => graph.node('Where', [graph.cast(a, 'bool'), b, c]),
  multiplyAdd: (graph, a, b, c) => graph.add(graph.multiply(a, b), c),
  negate: named('Neg', 1),
  absolute: named('Abs', 1),
  sign: named('Sign', 1),
  square: (graph, a) => graph.multiply(a, a),
  squareRoot: named('Sqrt', 1),
  reciprocal: named('Reciprocal', 1),
  exp: named('Exp', 1),
  log: named('Log', 1),
  tanh: named('Tanh', 1),
  sigmoid: named('Sigmoid', 1),
  logSigmoid: (graph, a) => graph.logSigmoid(a),
  erf: named('Erf', 1),
};

/** x in the shape in which ONNX repeats it to `shape`: the same, a row, a column or one number. */
function repeatable(x: Tensor, shape: Shape, to: Emitting): string {
  const cols = shape.at(-1) ?? 1;
  if (sizeOf(x.shape) === sizeOf(shape)) return to.shaped(x, shape);
  if (sizeOf(x.shape) === 1) return to.shaped(x, [1]);
  return to.shaped(x, x.cols === cols && x.rows === 1 ? [cols] : [...shape.slice(0, -1), 1]);
}

export const elementwiseEmitters: Readonly<Record<string, Emitter>> = {
  elementwise: listEmitter<ElementwiseAttributes>(({ inputs, outputs: { y }, attributes }, to) => {
    const { fn, value } = attributes;
    const { graph } = to;
    if (fn === 'constant') return { y: graph.floats([value], [1]) };
    if (fn === 'uniform') return to.refuse('it draws random numbers');
    const operands = inputs.map((x) => repeatable(x, y.shape, to));
    if (fn === 'copy') return { y: graph.node('Expand', [operands[0], graph.ints(y.shape)]) };
    const [a, b, c] = operands;
    return { y: scalars[fn](graph, a, b, c) };
  }),

  reduce: emitter<KernelNumbers<'reduce'>>(({ inputs: { x, factor }, outputs, attributes }, to) => {
    const { rows, cols, axis } = attributes;
    const { graph } = to;
    const terms = to.shaped(x, [rows, cols]);
    const all = factor ? graph.multiply(terms, to.shaped(factor, [rows, cols])) : terms;
    return { y: graph.reshape(graph.sum(all, axis), outputs.y.shape) };
  }),

  reshape: emitter(({ inputs, outputs }, to) => ({ y: to.shaped(inputs.x, outputs.y.shape) })),

  stopGradient: emitter(({ inputs }, to) => ({ y: to.of(inputs.x) })),

  split: (node, to) => {
    const { x } = node.inputs as { readonly x: Tensor };
    const sizes = (node.outputs as readonly Tensor[]).map((part) => part.cols);
    return to.graph.split(to.of(x), sizes, x.shape.length - 1);
  },

  concat: listEmitter(({ inputs, outputs: { y } }, to) => {
    const lead = y.shape.slice(0, -1);
    const parts = inputs.map((part) => to.shaped(part, [...lead, part.cols]));
    return { y: to.graph.concat(parts, lead.length) };
  }),

  constant: emitter<{ readonly values: readonly number[] }>(({ outputs: { y }, attributes }, to) => ({
    y: to.graph.floats(attributes.values, y.shape),
  })),

  lastToken: emitter(({ inputs: { x }, outputs: { y } }, to) => ({
    y: to.graph.reshape(
      to.graph.node('Gather', [to.of(x), to.graph.ints([x.shape[1] - 1])], { axis: 1 }),
      y.shape,
    ),
  })),
};
