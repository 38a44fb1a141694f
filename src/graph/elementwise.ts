import type { ScalarFunction } from '../program/expression.ts';
import { type Shape, sizeOf } from '../program/region.ts';
import { sumTo } from './reduce.ts';
import { createNode, type Node, type Op, requireShape, type Tensor } from './tensor.ts';

/**
 * Elementwise operations. The planner fuses chains of them into one `map` kernel call, so a gradient may be written
 * as plainly as here: what it computes again costs no memory traffic.
 *
 * Broadcasting: an operand has the result's shape, or is one row of it ([cols]), one column ([..., 1]) or one number.
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

export const elementwiseOp: Op<ElementwiseAttributes> = {
  name: 'elementwise',
  backward(node, [dy]) {
    const gradient = gradients[node.attributes.fn];
    if (!dy || !gradient) return node.inputs.map(() => undefined);
    const inputs = node.inputs as readonly Tensor[];
    return gradient(dy, inputs, node.outputs[0]).map((g, i) => g && sumTo(g, inputs[i].shape));
  },
  emit: (node, to) => to.elementwise(node),
};

export const isElementwise = (node: Node): node is Node<ElementwiseAttributes> =>
  node.op === (elementwiseOp as Op);

export type Operand = Tensor | number;

const number = (value: number): Tensor => createNode(elementwiseOp, [], { fn: 'constant', value }, [[1]])[0];
const asTensor = (x: Operand): Tensor => (typeof x === 'number' ? number(x) : x);

/** Whether x is the same shape as y, one row, one column or one number of it. */
export function broadcasts(x: Tensor, y: Tensor): boolean {
  const n = sizeOf(x.shape);
  if (n === 1) return true;
  if (n === sizeOf(y.shape)) return x.cols === y.cols;
  return (x.cols === y.cols && x.rows === 1) || (x.cols === 1 && x.rows === y.rows);
}

function apply(fn: ScalarFunction, operands: readonly Operand[], value = 0): Tensor {
  const inputs = operands.map(asTensor);
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
  return createNode(elementwiseOp, inputs, { fn, value }, [widest.shape])[0];
}

/** x repeated to a shape that it broadcasts to. */
export const broadcastTo = (x: Tensor, shape: Shape): Tensor =>
  createNode(elementwiseOp, [x], { fn: 'copy', value: 0 }, [shape])[0];

export const copy = (x: Tensor): Tensor => apply('copy', [x]);
export const add = (a: Operand, b: Operand): Tensor => apply('add', [a, b]);
export const subtract = (a: Operand, b: Operand): Tensor => apply('subtract', [a, b]);
export const multiply = (a: Operand, b: Operand): Tensor => apply('multiply', [a, b]);
export const divide = (a: Operand, b: Operand): Tensor => apply('divide', [a, b]);
export const maximum = (a: Operand, b: Operand): Tensor => apply('maximum', [a, b]);
export const minimum = (a: Operand, b: Operand): Tensor => apply('minimum', [a, b]);
/** a > b ? 1 : 0; no gradient flows through it. */
export const greater = (a: Operand, b: Operand): Tensor => apply('greater', [a, b]);
/** condition ≠ 0 ? a : b */
export const select = (condition: Operand, a: Operand, b: Operand): Tensor =>
  apply('select', [condition, a, b]);
/** a · b + c */
export const multiplyAdd = (a: Operand, b: Operand, c: Operand): Tensor => apply('multiplyAdd', [a, b, c]);
export const negate = (x: Operand): Tensor => apply('negate', [x]);
export const absolute = (x: Operand): Tensor => apply('absolute', [x]);
export const sign = (x: Operand): Tensor => apply('sign', [x]);
export const square = (x: Operand): Tensor => apply('square', [x]);
export const squareRoot = (x: Operand): Tensor => apply('squareRoot', [x]);
export const reciprocal = (x: Operand): Tensor => apply('reciprocal', [x]);
export const exp = (x: Operand): Tensor => apply('exp', [x]);
export const log = (x: Operand): Tensor => apply('log', [x]);
export const tanh = (x: Operand): Tensor => apply('tanh', [x]);
export const sigmoid = (x: Operand): Tensor => apply('sigmoid', [x]);
export const logSigmoid = (x: Operand): Tensor => apply('logSigmoid', [x]);
export const erf = (x: Operand): Tensor => apply('erf', [x]);

export const relu = (x: Tensor): Tensor => maximum(x, 0);
/** SiLU, also called swish: x · σ(x) */
export const silu = (x: Tensor): Tensor => multiply(x, sigmoid(x));
/** GELU with the exact error function: x · ½ (1 + erf(x / √2)) */
export const gelu = (x: Tensor): Tensor => multiply(x, multiplyAdd(0.5, erf(multiply(x, Math.SQRT1_2)), 0.5));
/** cap · tanh(x / cap) */
export const softCap = (x: Tensor, cap: number): Tensor => multiply(cap, tanh(multiply(x, 1 / cap)));

/**
 * Each element is 0 with probability `rate` and x / (1 − rate) otherwise, decided by a hash of the seed (one number, an
 * integer below 2^24), the salt (which tells the dropouts of a model apart) and the element's place.
 */
export function dropout(x: Tensor, rate: number, seed: Tensor, salt: number): Tensor {
  const shaped = { fn: 'uniform', value: salt } as const;
  const [uniform] = createNode(elementwiseOp, [seed], shaped, [x.shape]);
  return multiply(x, multiply(greater(uniform, rate), 1 / (1 - rate)));
}
