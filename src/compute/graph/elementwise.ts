import { type Shape, sizeOf } from '../program/region.ts';
import type { ScalarFunction } from '../program/scalar_functions.ts';
import { attributes, defineOp, type Node, oneCall } from './op.ts';
import { requireCount, requireFraction, requireOption, requirePositive } from './options.ts';
import { createNode, requireShape, requireTensor, type Tensor } from './tensor.ts';
import { reshape } from './views.ts';

/**
 * Elementwise operations and sums, which are each other's gradient. The planner fuses chains of them into one `map` kernel
 * call, so a gradient may be written as plainly as here: what it computes again costs no memory traffic.
 */
export interface ElementwiseAttributes {
  readonly fn: ScalarFunction;
  /** The value of `constant`; the salt of `uniform`. */
  readonly value: number;
}

type Gradient = (dy: Tensor, inputs: readonly Tensor[], output: Tensor) => (Tensor | undefined)[];

const gradients: Partial<Record<ScalarFunction, Gradient>> = {
  copy: (dy) => [dy],
  add: (dy) => [dy, dy],
  subtract: (dy) => [dy, negate(dy)],
  multiply: (dy, [a, b]) => [multiply(dy, b), multiply(dy, a)],
  divide: (dy, [a, b]) => [divide(dy, b), negate(divide(multiply(dy, a), square(b)))],
  maximum: (dy, [a, b]) => [multiply(dy, subtract(1, greater(b, a))), multiply(dy, greater(b, a))],
  minimum: (dy, [a, b]) => [multiply(dy, subtract(1, greater(a, b))), multiply(dy, greater(a, b))],
  select: (dy, [condition]) => [undefined, select(condition, dy, 0), select(condition, 0, dy)],
  multiplyAdd: (dy, [a, b]) => [multiply(dy, b), multiply(dy, a), dy],
  negate: (dy) => [negate(dy)],
  absolute: (dy, [a]) => [multiply(dy, sign(a))],
  square: (dy, [a]) => [multiply(dy, multiply(2, a))],
  squareRoot: (dy, _, y) => [divide(multiply(0.5, dy), y)],
  reciprocal: (dy, _, y) => [negate(multiply(dy, square(y)))],
  exp: (dy, _, y) => [multiply(dy, y)],
  log: (dy, [a]) => [divide(dy, a)],
  tanh: (dy, _, y) => [multiply(dy, subtract(1, square(y)))],
  sigmoid: (dy, _, y) => [multiply(dy, multiply(y, subtract(1, y)))],
  logSigmoid: (dy, [a]) => [multiply(dy, sigmoid(negate(a)))],
  erf: (dy, [a]) => [multiply(dy, multiply(2 / Math.sqrt(Math.PI), exp(negate(square(a)))))],
};

const elementwiseOp = defineOp({
  name: 'elementwise',
  kind: 'elementwise',
  inputs: 'list',
  outputs: ['y'],
  ...attributes<ElementwiseAttributes>(),
  gradient({ inputs, outputs, attributes: { fn } }, { dy }) {
    const terms = gradients[fn]?.(dy, inputs, outputs.y) ?? [];
    return terms.map((g, i) => g && sumTo(g, inputs[i].shape));
  },
});

export interface Elementwise extends Node {
  readonly inputs: readonly Tensor[];
  readonly outputs: { readonly y: Tensor };
  readonly attributes: ElementwiseAttributes;
}

export const isElementwise = (node: Node): node is Elementwise => node.op.kind === 'elementwise';

/** A node that holds one number: no memory of its own, an operand of the steps that read it. */
export const isNumber = (node: Node): boolean => isElementwise(node) && node.attributes.fn === 'constant';

/**
 * What an elementwise operation takes. A tensor has the result's shape, or is one row of it ([cols]), one column ([...,
 * 1]) or one number ([1]): it is repeated. A number counts for every element. Throws a shape error for tensors of other
 * shapes, a usage error for NaN.
 */
export type Operand = Tensor | number;

const number = (value: number): Tensor =>
  createNode(elementwiseOp, [], { y: [1] }, { fn: 'constant', value }).y;

function asTensor(x: Operand, fn: ScalarFunction, index: number): Tensor {
  if (typeof x !== 'number') {
    requireTensor(fn, String(index), x);
    return x;
  }
  requireOption(!Number.isNaN(x), fn, 'an operand', 'a number', x);
  return number(x);
}

/** Whether x is the same shape as y, one row, one column or one number of it. */
export function broadcasts(x: Tensor, y: Tensor): boolean {
  const n = sizeOf(x.shape);
  if (n === 1) return true;
  if (n === sizeOf(y.shape)) return x.cols === y.cols;
  return (x.cols === y.cols && x.rows === 1) || (x.cols === 1 && x.rows === y.rows);
}

function apply(fn: ScalarFunction, operands: readonly Operand[], value = 0): Tensor {
  const inputs = operands.map((x, i) => asTensor(x, fn, i));
  let widest = inputs[0];
  for (const x of inputs) {
    const more = sizeOf(x.shape) - sizeOf(widest.shape);
    // One row of a batch of one token is as large as the batch: the result keeps the dimensions of the batch.
    if (more > 0 || (more === 0 && x.shape.length > widest.shape.length)) widest = x;
  }
  for (const x of inputs) {
    requireShape(
      broadcasts(x, widest),
      fn,
      `shapes that broadcast to [${widest.shape}]: the same, a row, a column or one number`,
      ...inputs,
    );
  }
  return createNode(elementwiseOp, inputs, { y: widest.shape }, { fn, value }).y;
}

/** x repeated to a shape that it broadcasts to. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  const { y } = createNode(elementwiseOp, [x], { y: shape }, { fn: 'copy', value: 0 });
  requireShape(broadcasts(x, y), 'broadcastTo', `a shape that broadcasts to [${shape}]`, x);
  return y;
}

export const copy = (x: Tensor): Tensor => apply('copy', [x]);
/** a + b */
export const add = (a: Operand, b: Operand): Tensor => apply('add', [a, b]);
/** a − b */
export const subtract = (a: Operand, b: Operand): Tensor => apply('subtract', [a, b]);
/** a · b, element by element; products of matrices are `matmul`. */
export const multiply = (a: Operand, b: Operand): Tensor => apply('multiply', [a, b]);
/** a / b */
export const divide = (a: Operand, b: Operand): Tensor => apply('divide', [a, b]);
/** The larger of a and b; of equal ones the gradient flows to a. */
export const maximum = (a: Operand, b: Operand): Tensor => apply('maximum', [a, b]);
/** The smaller of a and b; of equal ones the gradient flows to a. */
export const minimum = (a: Operand, b: Operand): Tensor => apply('minimum', [a, b]);
/** 1 where a > b, else 0; no gradient flows through it. */
export const greater = (a: Operand, b: Operand): Tensor => apply('greater', [a, b]);
/** a where the condition is not 0, else b. The condition gets no gradient. */
export const select = (condition: Operand, a: Operand, b: Operand): Tensor =>
  apply('select', [condition, a, b]);
/** a · b + c */
export const multiplyAdd = (a: Operand, b: Operand, c: Operand): Tensor => apply('multiplyAdd', [a, b, c]);
/** −x */
export const negate = (x: Operand): Tensor => apply('negate', [x]);
/** |x|; its gradient at 0 is 0. */
export const absolute = (x: Operand): Tensor => apply('absolute', [x]);
/** −1, 0 or 1; no gradient flows through it. */
export const sign = (x: Operand): Tensor => apply('sign', [x]);
/** x² */
export const square = (x: Operand): Tensor => apply('square', [x]);
/** √x; its gradient at 0 is infinite. */
export const squareRoot = (x: Operand): Tensor => apply('squareRoot', [x]);
/** 1 / x */
export const reciprocal = (x: Operand): Tensor => apply('reciprocal', [x]);
/** e^x */
export const exp = (x: Operand): Tensor => apply('exp', [x]);
/** The natural logarithm. */
export const log = (x: Operand): Tensor => apply('log', [x]);
/** (e^x − e^−x) / (e^x + e^−x) */
export const tanh = (x: Operand): Tensor => apply('tanh', [x]);
/** σ(x) = 1 / (1 + e^−x) */
export const sigmoid = (x: Operand): Tensor => apply('sigmoid', [x]);
/** log σ(x) = −log(1 + e^−x), without overflow for any x. */
export const logSigmoid = (x: Operand): Tensor => apply('logSigmoid', [x]);
/** The error function: 2/√π ∫₀ˣ e^−t² dt. */
export const erf = (x: Operand): Tensor => apply('erf', [x]);

/** max(x, 0); its gradient at 0 is 1. */
export const relu = (x: Tensor): Tensor => maximum(x, 0);
/** SiLU, also called swish: x · σ(x) */
export const silu = (x: Tensor): Tensor => multiply(x, sigmoid(x));
/** GELU with the exact error function: x · ½ (1 + erf(x / √2)) */
export const gelu = (x: Tensor): Tensor => multiply(x, multiplyAdd(0.5, erf(multiply(x, Math.SQRT1_2)), 0.5));
/** cap · tanh(x / cap): about x near 0, never beyond ±cap. Throws a usage error unless cap > 0. */
export function softCap(x: Tensor, cap: number): Tensor {
  requirePositive('softCap', 'cap', cap);
  return multiply(cap, tanh(multiply(x, 1 / cap)));
}

/**
 * Each element is 0 with probability `rate` and x / (1 − rate) otherwise, decided by a hash of the seed (one number, an
 * integer below 2^24), the salt (which tells the dropouts of a model apart) and the element's place. Throws a usage error
 * unless 0 ≤ rate < 1 and the salt is a whole number of at least 0.
 */
export function dropout(x: Tensor, rate: number, seed: Tensor, salt: number): Tensor {
  requireFraction('dropout', 'rate', rate);
  requireCount('dropout', 'salt', salt, 0);
  requireShape(sizeOf(seed.shape) === 1, 'dropout', 'a seed of one number', seed);
  const uniform = createNode(elementwiseOp, [seed], { y: x.shape }, { fn: 'uniform', value: salt }).y;
  return multiply(x, multiply(greater(uniform, rate), 1 / (1 - rate)));
}

const reduceOp = defineOp({
  name: 'reduce',
  ...oneCall('reduce'),
  gradient({ inputs: { x, factor }, attributes }, { dy }) {
    const ones = spread(dy, attributes.axis, x);
    return factor
      ? { dx: multiply(ones, factor), dfactor: multiply(ones, x) }
      : { dx: ones, dfactor: undefined };
  },
});

/** dy repeated over the reduced axis. */
const spread = (dy: Tensor, axis: number, x: Tensor): Tensor =>
  broadcastTo(axis === 0 ? dy : reshape(dy, [...x.shape.slice(0, -1), 1]), x.shape);

/** Σ x, or Σ x ∘ factor, over rows (axis 0), giving [cols], or over columns (axis 1), giving [..., 1]. */
function sumOver(axis: 0 | 1, x: Tensor, factor: Tensor | undefined): Tensor {
  const y = axis === 0 ? [x.cols] : [...x.shape.slice(0, -1), 1];
  return createNode(reduceOp, { x, factor }, { y }, { rows: x.rows, cols: x.cols, axis }).y;
}

/** Σ x. A product that is only summed is never stored: it is taken apart into its factors. */
function reduce(x: Tensor, axis: 0 | 1): Tensor {
  const { node } = x;
  if (isElementwise(node) && node.attributes.fn === 'multiply') {
    const [a, b] = node.inputs;
    const whole = (t: Tensor): boolean => t.rows === x.rows && t.cols === x.cols;
    if (whole(a) && whole(b)) return sumOver(axis, a, b);
  }
  return sumOver(axis, x, undefined);
}

const inOneRow = (x: Tensor): Tensor => reshape(x, [1, sizeOf(x.shape)]);

/** Σ over all dimensions but the last: [cols] */
export const sumRows = (x: Tensor): Tensor => reduce(x, 0);
/** Σ over the last dimension: [..., 1] */
export const sumColumns = (x: Tensor): Tensor => reduce(x, 1);
/** Σ over everything: [1] */
export const sum = (x: Tensor): Tensor => reshape(reduce(inOneRow(x), 1), [1]);
/** Σ of squares over everything: [1] */
export function sumSquares(x: Tensor): Tensor {
  const row = inOneRow(x);
  return reshape(sumOver(1, row, row), [1]);
}

/** Undoes a broadcast: sums over the dimensions along which an operand of the given shape was repeated. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sizeOf(x.shape) === sizeOf(shape)) return x.shape.join() === shape.join() ? x : reshape(x, shape);
  const cols = shape.at(-1) ?? 1;
  if (sizeOf(shape) === 1) return reshape(sum(x), shape);
  if (cols === x.cols) return reshape(sumRows(x), shape);
  requireShape(cols === 1, 'sumTo', 'a row, a column or one number', x);
  return reshape(sumColumns(x), shape);
}
