import { XlstmError } from '../../errors.ts';
import { type Region, type Shape, sizeOf } from '../program/region.ts';
import { attributes, defineOp, type Tensor } from './op.ts';
import { requireOption } from './options.ts';
import { createNode, leafOf, requireShape, requireSizes } from './tensor.ts';

/** Operations that move no numbers where the planner can help it: they say where an array lies. */

const reshapeOp = defineOp({
  name: 'reshape',
  kind: 'view',
  inputs: ['x'],
  outputs: ['y'],
  gradient: ({ inputs }, { dy }) => ({ dx: reshape(dy, inputs.x.shape) }),
  emit: ({ inputs, outputs }, to) => to.alias(outputs.y, inputs.x),
});

/** The same elements, row by row, in another shape of as many. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  requireShape(sizeOf(x.shape) === sizeOf(shape), 'reshape', `${sizeOf(shape)} elements for [${shape}]`, x);
  return createNode(reshapeOp, { x }, { y: shape }).y;
}

const splitOp = defineOp({
  name: 'split',
  kind: 'view',
  inputs: ['x'],
  outputs: 'list',
  gradient: ({ outputs }, gradients) => ({
    dx: concat(outputs.map((part, i) => gradients[i] ?? zeros(part.shape))),
  }),
  emit({ inputs, outputs }, to) {
    let column = 0;
    for (const part of outputs) {
      to.alias(part, inputs.x, column);
      column += part.cols;
    }
  },
});

/** Slices of the last dimension, of the given widths, which make up the whole of it. */
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
    { x },
    widths.map((width) => [...lead, width]),
  );
}

const concatOp = defineOp({
  name: 'concat',
  kind: 'join',
  inputs: 'list',
  outputs: ['y'],
  gradient({ inputs }, { dy }) {
    const widths = inputs.map((part) => part.cols);
    return split(dy, widths);
  },
  emit({ inputs, outputs }, to) {
    let column = 0;
    for (const part of inputs) {
      to.place(part, outputs.y, column);
      column += part.cols;
    }
  },
});

/** Joins arrays, which have as many rows, along the last dimension; the result has the other dimensions of the first. */
export function concat(parts: readonly Tensor[]): Tensor {
  requireOption(parts.length > 0, 'concat', 'the number of parts', 'one part at least', parts.length);
  const lead = parts[0].shape.slice(0, -1);
  for (const part of parts)
    requireShape(part.rows === parts[0].rows, 'concat', `${parts[0].rows} rows in each part`, part);
  const width = parts.reduce((sum, part) => sum + part.cols, 0);
  return createNode(concatOp, parts, { y: [...lead, width] }).y;
}

const lastTokenOp = defineOp({
  name: 'lastToken',
  kind: 'view',
  inputs: ['x'],
  outputs: ['y'],
  emit({ inputs: { x }, outputs: { y } }, to) {
    const length = x.shape[1];
    to.aliasRows(y, x, length - 1, length);
  },
});

/** The last position of each sequence: [B, T, D] to [B, 1, D]. For generation: it has no gradient. */
export function lastToken(x: Tensor): Tensor {
  requireShape(x.shape.length === 3, 'lastToken', 'x [B, T, D]', x);
  return createNode(lastTokenOp, { x }, { y: [x.shape[0], 1, x.cols] }).y;
}

const stopOp = defineOp({
  name: 'stopGradient',
  kind: 'view',
  inputs: ['x'],
  outputs: ['y'],
  constants: ['x'],
  emit: ({ inputs, outputs }, to) => to.alias(outputs.y, inputs.x),
});

/** The same values, through which no gradient flows. */
export const stopGradient = (x: Tensor): Tensor => createNode(stopOp, { x }, { y: x.shape }).y;

const fillOp = defineOp({
  name: 'constant',
  kind: 'leaf',
  inputs: [],
  outputs: ['y'],
  ...attributes<{ readonly values: readonly number[] }>(),
  emit: ({ outputs, attributes }, to) => to.constant(outputs.y, attributes.values),
});

/** Numbers that are part of the Program, row by row; [count] where no shape is given. NaN throws a usage error. */
export function constant(values: readonly number[], shape: Shape = [values.length]): Tensor {
  if (values.length !== sizeOf(shape))
    throw new XlstmError('shape', `constant: ${values.length} values for shape [${shape}]`);
  const wrong = values.findIndex((value) => typeof value !== 'number' || Number.isNaN(value));
  requireOption(wrong < 0, 'constant', `value ${wrong}`, 'a number', values[wrong]);
  return createNode(fillOp, {}, { y: shape }, { values }).y;
}

/** An array of zeros that is part of the Program. */
export function zeros(shape: Shape): Tensor {
  requireSizes('zeros', shape);
  return constant(new Array<number>(sizeOf(shape)).fill(0), shape);
}

const assignOp = defineOp({
  name: 'assign',
  kind: 'assign',
  inputs: ['target', 'value'],
  outputs: ['y'],
  overwrites: true,
  emit({ inputs: { target, value }, outputs }, to) {
    to.place(value, target, 0);
    to.alias(outputs.y, target);
  },
});

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
  return createNode(assignOp, { target, value }, { y: target.shape }).y;
}

const wholeOp = defineOp({
  name: 'region',
  kind: 'leaf',
  inputs: 'list',
  outputs: ['y'],
  ...attributes<{ readonly region: Region; readonly offset: number }>(),
  emit: ({ outputs, attributes: { region, offset } }, to) => to.regionAlias(outputs.y, region, offset),
});

/**
 * `elements` consecutive elements of a region as one array, after the given assignments have been made. Gradients and
 * optimizer moments are handled so: one flat pass over everything.
 */
export function flatten(region: Region, offset: number, elements: number, after: readonly Tensor[]): Tensor {
  requireOption(
    Number.isSafeInteger(offset) &&
      Number.isSafeInteger(elements) &&
      offset >= 0 &&
      elements >= 1 &&
      offset + elements <= region.elements,
    'flatten',
    'the range',
    `elements within the ${region.elements} of ${region.name}`,
    `${elements} elements from ${offset} on`,
  );
  return createNode(wholeOp, after, { y: [elements] }, { region, offset }).y;
}
