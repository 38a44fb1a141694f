import { type Shape, sizeOf } from '../program/region.ts';
import { broadcastTo, multiply } from './elementwise.ts';
import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';
import { reshape } from './views.ts';

interface ReduceAttributes {
  /** 0: over rows, giving [cols]; 1: over columns, giving [rows, 1]. */
  readonly axis: 0 | 1;
  readonly squares: boolean;
}

const reduceOp: Op<ReduceAttributes> = {
  name: 'reduce',
  backward: (node, [dy]) => {
    const x = node.inputs[0]!;
    if (!dy) return [undefined];
    const ones = spread(dy, node.attributes.axis, x);
    return [node.attributes.squares ? multiply(multiply(2, x), ones) : ones];
  },
  emit: (node, to) => {
    const x = node.inputs[0]!;
    const source = to.matrix(x);
    to.call('reduce', {
      rows: x.rows,
      cols: x.cols,
      axis: node.attributes.axis,
      squares: Number(node.attributes.squares),
      x: source.at,
      ldx: source.ld,
      y: to.contiguous(node.outputs[0]),
    });
  },
};

/** dy repeated over the reduced axis. */
const spread = (dy: Tensor, axis: 0 | 1, x: Tensor): Tensor =>
  broadcastTo(axis === 0 ? dy : reshape(dy, [...x.shape.slice(0, -1), 1]), x.shape);

const reduce = (x: Tensor, axis: 0 | 1, squares: boolean): Tensor =>
  createNode(reduceOp, [x], { axis, squares }, [axis === 0 ? [x.cols] : [...x.shape.slice(0, -1), 1]])[0];

/** Σ over all dimensions but the last: [cols] */
export const sumRows = (x: Tensor): Tensor => reduce(x, 0, false);
/** Σ over the last dimension: [..., 1] */
export const sumColumns = (x: Tensor): Tensor => reduce(x, 1, false);
/** Σ over everything: [1] */
export const sum = (x: Tensor): Tensor => reshape(reduce(reshape(x, [1, sizeOf(x.shape)]), 1, false), [1]);
/** Σ of squares over everything: [1] */
export const sumSquares = (x: Tensor): Tensor =>
  reshape(reduce(reshape(x, [1, sizeOf(x.shape)]), 1, true), [1]);

/** Undoes a broadcast: sums over the dimensions along which an operand of the given shape was repeated. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sizeOf(x.shape) === sizeOf(shape)) return x.shape.join() === shape.join() ? x : reshape(x, shape);
  const cols = shape.at(-1) ?? 1;
  if (sizeOf(shape) === 1) return reshape(sum(x), shape);
  if (cols === x.cols) return reshape(sumRows(x), shape);
  requireShape(cols === 1, 'sumTo', 'a row, a column or one number', x);
  return reshape(sumColumns(x), shape);
}
