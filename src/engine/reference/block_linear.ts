import type { Operands } from './operands.ts';

export function blockLinear(args: Operands<'blockLinear'>): void {
  const { repeat, groups, inSize, outSize, x, w, y, residual } = args;
  for (let row = 0; row < args.rows; row++) {
    const input = (set: number, g: number, i: number): number =>
      x[row * args.ldx + (set * groups + g) * inSize + i];
    const output = (column: number, sum: number): void => {
      y[row * args.ldy + column] = sum + (residual ? residual[row * args.ldResidual + column] : 0);
    };
    for (let g = 0; g < groups; g++) {
      for (let o = 0; o < outSize; o++) {
        let total = 0;
        for (let p = 0; p < repeat; p++) {
          const block = (p * groups + g) * inSize * outSize;
          let sum = 0;
          for (let i = 0; i < inSize; i++) {
            sum += args.transW
              ? w[block + i * outSize + o] * input(p, g, i)
              : w[block + o * inSize + i] * input(0, g, i);
          }
          if (args.transW) total += sum;
          else output((p * groups + g) * outSize + o, sum);
        }
        if (args.transW) output(g * outSize + o, total);
      }
    }
  }
}

export function blockLinearGradient(args: Operands<'blockLinearGradient'>): void {
  const { repeat, groups, inSize, outSize, x, dy, dw } = args;
  for (let block = 0; block < repeat * groups; block++) {
    for (let o = 0; o < outSize; o++) {
      for (let i = 0; i < inSize; i++) {
        let sum = 0;
        for (let row = 0; row < args.rows; row++) {
          sum +=
            dy[row * args.lddy + block * outSize + o] * x[row * args.ldx + (block % groups) * inSize + i];
        }
        dw[(block * outSize + o) * inSize + i] = sum;
      }
    }
  }
}
