import { type Shape, sizeOf } from '../program/region.ts';
import { broadcastTo, isElementwise, multiply } from './elementwise.ts';
import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';
import { reshape } from './views.ts';

interface ReduceAttributes {
  /** 0: over rows, giving [cols]; 1: over columns, giving [rows, 1]. */
  readonly axis: 0 | 1;
}

const reduceOp: Op<ReduceAttributes> = {
  name: 'reduce',
  backward: (node, [dy]) => {
    const [x, factor] = node.inputs as [Tensor, Tensor?];
    if (!dy) return [];
    const ones = spread(dy, node.attributes.axis, x);
    return factor ? [multiply(ones, factor), multiply(ones, x)] : [ones];
  },
  emit: (node, to) => {
    const [input, second] = node.inputs as [Tensor, Tensor?];
    const x = to.matrix(input);
    const factor = to.matrix(second);
    to.call('reduce', {
      rows: input.rows,
      cols: input.cols,
      axis: node.attributes.axis,
      x: x.at,
      ldx: x.ld,
      factor: factor.at,
      ldFactor: factor.ld,
      y: to.contiguous(node.outputs[0]),
    });
  },
};

/** dy repeated over the reduced axis. */
const spread = (dy: Tensor, axis: 0 | 1, x: Tensor): Tensor =>
  broadcastTo(axis === 0 ? dy : reshape(dy, [...x.shape.slice(0, -1), 1]), x.shape);

/** Σ x, or Σ x ∘ factor. A product that is only summed is never stored: it is taken apart into its factors. */
function reduce(x: Tensor, axis: 0 | 1): Tensor {
  const shape = axis === 0 ? [x.cols] : [...x.shape.slice(0, -1), 1];
  const { node } = x;
  const whole = node.inputs.every((t) => t?.rows === x.rows && t.cols === x.cols);
  const isProduct = isElementwise(node) && node.attributes.fn === 'multiply' && whole;
  return createNode(reduceOp, isProduct ? node.inputs : [x], { axis }, [shape])[0];
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
  return reshape(createNode(reduceOp, [row, row], { axis: 1 }, [[1, 1]])[0], [1]);
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
