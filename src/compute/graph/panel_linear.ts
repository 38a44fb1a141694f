import { PANEL_ROWS } from '../program/constants.ts';
import { panelRowWords } from '../program/panels.ts';
import type { Region, Shape } from '../program/region.ts';
import { attributes, defineOp } from './op.ts';
import { createNode, packedLeaf, requireShape, type Tensor } from './tensor.ts';

/**
 * A matrix [out, in] in bfloat16, which products of bfloat16 read as it lies: `linear` takes it as it takes a tensor, and rounds what
 * it multiplies with it. It has no gradient, nor has anything before it.
 */
export class PanelMatrix {
  /** [out, in] */
  readonly shape: readonly [rows: number, cols: number];
  /** [out, words of a row] */
  readonly words: Tensor;

  /** Declares the words as `name`, if the region lacks them. `out` is a multiple of PANEL_ROWS. */
  constructor(region: Region, name: string, shape: readonly [rows: number, cols: number]) {
    this.shape = shape;
    this.words = packedLeaf(region, name, panelShape(shape));
  }
}

/** The shape of the words of a matrix [out, in]. */
export const panelShape = ([rows, cols]: Shape): [rows: number, words: number] => [rows, panelRowWords(cols)];

/** Whether a matrix [out, in] can lie in panels. */
export const fitsPanels = ([rows]: Shape): boolean => rows % PANEL_ROWS === 0;

const panelLinearOp = defineOp({
  name: 'panelLinear',
  inputs: ['x', 'w', 'bias?', 'residual?'],
  outputs: ['y'],
  ...attributes<{ readonly rows: number; readonly columns: number }>(),
  strided: ['y'],
  emit(node, to) {
    const { rows, columns } = node.attributes;
    to.call('panelLinear', node, { m: node.inputs.x.rows, rows, columns });
  },
});

/** `linear` of a matrix in panels, whose shapes it checks. */
export function panelLinear(x: Tensor, weight: PanelMatrix, bias?: Tensor, residual?: Tensor): Tensor {
  const [rows, columns] = weight.shape;
  requireShape(x.cols === columns, 'linear', `x [..., ${columns}]`, x);
  return createNode(
    panelLinearOp,
    { x, w: weight.words, bias, residual },
    { y: [...x.shape.slice(0, -1), rows] },
    { rows, columns },
  ).y;
}
