import { XlstmError } from '../../errors.ts';
import type { PackedMatrix } from './packed_linear.ts';
import type { PanelMatrix } from './panel_linear.ts';
import { requireShape, type Tensor } from './tensor.ts';

/** What low-rank matrices add to rows of a matrix [out, in]: scale · B A. */
export interface LowRank {
  /** A, [rank, in] */
  readonly down: Tensor;
  /** B, [out, rank] */
  readonly up: Tensor;
}

/** Rows of a matrix, and what is added to them, if anything is. */
export interface AdaptedRows {
  /** How many they are. */
  readonly rows: number;
  /** Left out: nothing. */
  readonly added?: LowRank | undefined;
}

/** A matrix [out, in] with low-rank ones beside it (Hu et al. 2021): `linear` takes it as it takes a tensor. */
export class AdaptedMatrix {
  /** [out, in] */
  readonly shape: readonly [rows: number, cols: number];
  /** The matrix itself. */
  readonly base: Tensor | PackedMatrix | PanelMatrix;
  /** Its rows from the first to the last. */
  readonly parts: readonly AdaptedRows[];
  /** Of every product B A. */
  readonly scale: number;

  /** Throws a shape error for low-rank matrices that do not fit, and where the parts are not all of the matrix. */
  constructor(base: Tensor | PackedMatrix | PanelMatrix, parts: readonly AdaptedRows[], scale: number) {
    const [out, cols] = base.shape;
    for (const { rows, added } of parts) {
      if (!added) continue;
      const { down, up } = added;
      const fits = down.cols === cols && up.rows === rows && up.cols === down.rows;
      requireShape(fits, 'AdaptedMatrix', `A [rank, ${cols}] and B [${rows}, rank]`, down, up);
    }
    const total = parts.reduce((sum, { rows }) => sum + rows, 0);
    if (total !== out) {
      throw new XlstmError('shape', `AdaptedMatrix: expected parts of ${out} rows in all, found ${total}`);
    }
    this.shape = [out, cols];
    this.base = base;
    this.parts = parts;
    this.scale = scale;
  }
}
