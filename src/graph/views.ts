import { XlstmError } from '../errors.ts';
import { type Region, type Shape, sizeOf } from '../program/region.ts';
import { add } from './elementwise.ts';
import { createNode, leafOf, type Op, requireShape, type Tensor } from './tensor.ts';

/** Operations that move no numbers where the planner can help it: they say where an array lies. */

const reshapeOp: Op = {
  name: 'reshape',
  backward: (node, [dy]) => [dy && reshape(dy, node.inputs[0]!.shape)],
  emit: (node, to) => to.alias(node.outputs[0], node.inputs[0]!),
};

export function reshape(x: Tensor, shape: Shape): Tensor {
  requireShape(sizeOf(x.shape) === sizeOf(shape), 'reshape', `${sizeOf(shape)} elements for [${shape}]`, x);
  return createNode(reshapeOp, [x], undefined, [shape])[0];
}

const splitOp: Op = {
  name: 'split',
  backward: (node, gradients) => {
    const parts = node.outputs.map((output, i) => gradients[i] ?? zeros(output.shape));
    return [concat(parts)];
  },
  emit: (node, to) => {
    let column = 0;
    for (const output of node.outputs) {
      to.alias(output, node.inputs[0]!, column);
      column += output.cols;
    }
  },
};

/** Slices of the last dimension, of the given widths. */
export function split(x: Tensor, widths: readonly number[]): readonly Tensor[] {
  requireShape(
    widths.reduce((a, b) => a + b, 0) === x.cols,
    'split',
    `a last dimension of ${widths.join(' + ')}`,
    x,
  );
  const lead = x.shape.slice(0, -1);
  return createNode(
    splitOp,
    [x],
    undefined,
    widths.map((width) => [...lead, width]),
  );
}

const concatOp: Op = {
  name: 'concat',
  backward: (node, [dy]) =>
    dy
      ? [
          ...split(
            dy,
            node.inputs.map((x) => x!.cols),
          ),
        ]
      : [],
  emit: (node, to) => {
    let column = 0;
    for (const input of node.inputs) {
      to.place(input!, node.outputs[0], column);
      column += input!.cols;
    }
  },
};

/** Joins arrays along the last dimension. */
export function concat(parts: readonly Tensor[]): Tensor {
  const lead = parts[0].shape.slice(0, -1);
  for (const part of parts)
    requireShape(part.rows === parts[0].rows, 'concat', `${parts[0].rows} rows in each part`, part);
  const width = parts.reduce((sum, part) => sum + part.cols, 0);
  return createNode(concatOp, parts, undefined, [[...lead, width]])[0];
}

const lastTokenOp: Op = {
  name: 'lastToken',
  emit: (node, to) => {
    const length = node.inputs[0]!.shape[1];
    to.aliasRows(node.outputs[0], node.inputs[0]!, length - 1, length);
  },
};

/** The last position of each sequence: [B, T, D] to [B, 1, D]. For generation: it has no gradient. */
export function lastToken(x: Tensor): Tensor {
  requireShape(x.shape.length === 3, 'lastToken', 'x [B, T, D]', x);
  return createNode(lastTokenOp, [x], undefined, [[x.shape[0], 1, x.cols]])[0];
}

const stopOp: Op = {
  name: 'stopGradient',
  backward: () => [undefined],
  emit: (node, to) => to.alias(node.outputs[0], node.inputs[0]!),
};

/** The same values, through which no gradient flows. */
export const stopGradient = (x: Tensor): Tensor => createNode(stopOp, [x], undefined, [x.shape])[0];

const fillOp: Op<{ values: readonly number[] }> = {
  name: 'constant',
  emit: (node, to) => to.constant(node.outputs[0], node.attributes.values),
};

/** Numbers that are part of the Program. */
export function constant(values: readonly number[], shape: Shape = [values.length]): Tensor {
  if (values.length !== sizeOf(shape))
    throw new XlstmError('shape', `constant: ${values.length} values for shape [${shape}]`);
  return createNode(fillOp, [], { values }, [shape])[0];
}

export const zeros = (shape: Shape): Tensor => constant(new Array<number>(sizeOf(shape)).fill(0), shape);

const assignOp: Op = {
  name: 'assign',
  overwrites: true,
  emit: (node, to) => {
    to.place(node.inputs[1]!, node.inputs[0]!, 0);
    to.alias(node.outputs[0], node.inputs[0]!);
  },
};

/**
 * Writes `value` to the memory of `target`, a leaf. The result is the leaf's new value. Everything that reads the old
 * value must have been built before.
 */
export function assign(target: Tensor, value: Tensor): Tensor {
  requireShape(leafOf(target) !== undefined, 'assign', 'a leaf as the target', target);
  requireShape(
    sizeOf(target.shape) === sizeOf(value.shape),
    'assign',
    `a value of shape [${target.shape}]`,
    value,
  );
  return createNode(assignOp, [target, value], undefined, [target.shape])[0];
}

/** target ← target + value */
export const accumulate = (target: Tensor, value: Tensor): Tensor => assign(target, add(target, value));

const wholeOp: Op<{ region: Region; offset: number }> = {
  name: 'region',
  emit: (node, to) => to.regionAlias(node.outputs[0], node.attributes.region, node.attributes.offset),
};

/**
 * `elements` consecutive elements of a region as one array, after the given assignments have been made. Gradients and
 * optimizer moments are handled so: one flat pass over everything.
 */
export function flatten(region: Region, offset: number, elements: number, after: readonly Tensor[]): Tensor {
  return createNode(wholeOp, after, { region, offset }, [[elements]])[0];
}
