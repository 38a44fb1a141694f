import { type PackedFormat, packedFormats } from '../program/constants.ts';
import { packedRowWords } from '../program/packing.ts';
import type { Region, Shape } from '../program/region.ts';
import { attributes, defineOp } from './op.ts';
import { createNode, packedLeaf, requireShape, type Tensor } from './tensor.ts';

/** A matrix [out, in] of small numbers in a region: `linear` takes it as it takes a tensor. It has no gradient. */
export class PackedMatrix {
  /** How its numbers are stored. */
  readonly format: PackedFormat;
  /** [out, in] */
  readonly shape: readonly [rows: number, cols: number];
  /** [out, words of a row] */
  readonly words: Tensor;

  /** Declares the words as `name`, if the region lacks them. */
  constructor(
    region: Region,
    name: string,
    shape: readonly [rows: number, cols: number],
    format: PackedFormat,
  ) {
    this.format = format;
    this.shape = shape;
    this.words = packedLeaf(region, name, packedShape(format, shape));
  }
}

/** The shape of the words of a matrix [out, in]. */
export const packedShape = (format: PackedFormat, [rows, cols]: Shape): [rows: number, words: number] => [
  rows,
  packedRowWords(format, cols),
];

interface PackedAttributes {
  readonly rows: number;
  readonly columns: number;
  readonly format: number;
  readonly transposed: boolean;
}

const packedLinearOp = defineOp({
  name: 'packedLinear',
  inputs: ['x', 'w', 'bias?', 'residual?'],
  outputs: ['y'],
  ...attributes<PackedAttributes>(),
  constants: ['w', 'bias'],
  absorbs: ['x'],
  strided: ['y'],
  // dx = dy · W
  gradient({ inputs: { x, w, residual }, attributes: sizes }, { dy }, sofar) {
    const back = { x: dy, w, bias: undefined, residual: sofar.x };
    return { dx: multiply(back, x.shape, { ...sizes, transposed: true }), dresidual: residual && dy };
  },
  emit(node, to) {
    const { rows, columns, format, transposed } = node.attributes;
    to.call('packedLinear', node, {
      m: node.inputs.x.rows,
      rows,
      columns,
      format,
      transposed: Number(transposed),
    });
  },
});

interface Factors {
  readonly x: Tensor;
  readonly w: Tensor;
  readonly bias: Tensor | undefined;
  readonly residual: Tensor | undefined;
}

const multiply = (factors: Factors, y: Shape, sizes: PackedAttributes): Tensor =>
  createNode(packedLinearOp, factors, { y }, sizes).y;

/** y = x · Wᵀ + bias + residual: `linear` of a packed matrix, whose shapes it checks. */
export function packedLinear(x: Tensor, weight: PackedMatrix, bias?: Tensor, residual?: Tensor): Tensor {
  const [rows, columns] = weight.shape;
  requireShape(x.cols === columns, 'linear', `x [..., ${columns}]`, x);
  const sizes = { rows, columns, format: packedFormats.indexOf(weight.format), transposed: false };
  return multiply({ x, w: weight.words, bias, residual }, [...x.shape.slice(0, -1), rows], sizes);
}
