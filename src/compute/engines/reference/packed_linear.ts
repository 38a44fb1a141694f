import { packedFormats } from '../../program/constants.ts';
import { packedRowWords, unpackRow } from '../../program/packing.ts';
import type { Operands } from './operands.ts';

export function packedLinear(args: Operands<'packedLinear'>): void {
  const { m, rows, columns, x, ldx, w, y, ldy, bias, residual, ldResidual } = args;
  const format = packedFormats[args.format];
  const stride = packedRowWords(format, columns);
  const width = args.transposed ? columns : rows;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < width; j++) {
      y[i * ldy + j] = (bias?.[j] ?? 0) + (residual?.[i * ldResidual + j] ?? 0);
    }
  }
  for (let row = 0; row < rows; row++) {
    const weights = unpackRow(format, w, columns, row * stride);
    for (let i = 0; i < m; i++) {
      if (args.transposed) {
        for (let c = 0; c < columns; c++) y[i * ldy + c] += x[i * ldx + row] * weights[c];
        continue;
      }
      let sum = 0;
      for (let c = 0; c < columns; c++) sum += x[i * ldx + c] * weights[c];
      y[i * ldy + row] += sum;
    }
  }
}
