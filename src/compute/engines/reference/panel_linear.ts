import { nearestBfloat16 } from '../../program/packing.ts';
import { panelNumber } from '../../program/panels.ts';
import type { Operands } from './operands.ts';

export function panelLinear(args: Operands<'panelLinear'>): void {
  const { m, rows, columns, x, ldx, w, y, ldy, bias, residual, ldResidual } = args;
  for (let row = 0; row < rows; row++) {
    const weights = Float64Array.from({ length: columns }, (_, c) => panelNumber(w, columns, row, c));
    for (let i = 0; i < m; i++) {
      let sum = (bias?.[row] ?? 0) + (residual?.[i * ldResidual + row] ?? 0);
      for (let c = 0; c < columns; c++) sum += nearestBfloat16(x[i * ldx + c]) * weights[c];
      y[i * ldy + row] = sum;
    }
  }
}
