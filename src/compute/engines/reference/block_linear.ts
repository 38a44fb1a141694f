import type { Operands } from './operands.ts';

export function blockLinear(args: Operands<'blockLinear'>): void {
  const { groups, inSize, outSize, x, w, y, residual } = args;
  for (let row = 0; row < args.rows; row++) {
    for (let g = 0; g < groups; g++) {
      const block = g * inSize * outSize;
      for (let o = 0; o < outSize; o++) {
        const column = g * outSize + o;
        let sum = residual ? residual[row * args.ldResidual + column] : 0;
        for (let i = 0; i < inSize; i++) {
          const weight = w[block + (args.transW ? i * outSize + o : o * inSize + i)];
          sum += weight * x[row * args.ldx + g * inSize + i];
        }
        y[row * args.ldy + column] = sum;
      }
    }
  }
}

export function blockLinearGradient(args: Operands<'blockLinearGradient'>): void {
  const { groups, inSize, outSize, x, dy, dw } = args;
  for (let g = 0; g < groups; g++) {
    for (let o = 0; o < outSize; o++) {
      for (let i = 0; i < inSize; i++) {
        let sum = 0;
        for (let row = 0; row < args.rows; row++)
          sum += dy[row * args.lddy + g * outSize + o] * x[row * args.ldx + g * inSize + i];
        dw[(g * outSize + o) * inSize + i] = sum;
      }
    }
  }
}
