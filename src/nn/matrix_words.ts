import { packedShape } from '../compute/graph/packed_linear.ts';
import { panelShape } from '../compute/graph/panel_linear.ts';
import { PANEL_ROWS } from '../compute/program/constants.ts';
import { isFinitePacked, packRows } from '../compute/program/packing.ts';
import { isFinitePanels, packPanels } from '../compute/program/panels.ts';
import type { Parameter } from './parameters.ts';

/** How the words of a parameter lie in memory, which holds those in place of its numbers. */
export interface MatrixWords {
  /** Of the words of all rows. */
  readonly shape: readonly [rows: number, words: number];
  /** Rows that are packed together: other pieces of it begin at a multiple. */
  readonly rowsTogether: number;
  /** The words of rows, given their numbers. */
  pack(values: ArrayLike<number>): Int32Array<ArrayBuffer>;
  /** Whether words of whole rows stand for finite numbers. */
  areFinite(words: Int32Array): boolean;
}

/** Undefined for a parameter that is float32. */
export function matrixWords({ shape, format, inPanels }: Parameter): MatrixWords | undefined {
  const [, columns] = shape;
  if (inPanels) {
    return {
      shape: panelShape(shape),
      rowsTogether: PANEL_ROWS,
      pack: (values) => packPanels(values, columns),
      areFinite: isFinitePanels,
    };
  }
  if (format === undefined) return undefined;
  return {
    shape: packedShape(format, shape),
    rowsTogether: 1,
    pack: (values) => packRows(format, values, columns),
    areFinite: (words) => isFinitePacked(format, words, columns),
  };
}
