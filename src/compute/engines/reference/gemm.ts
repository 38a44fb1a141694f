import { nearestBfloat16 } from '../../program/packing.ts';
import type { Operands } from './operands.ts';

export const gemm = (args: Operands<'gemm'>): void => multiply(args, (value) => value);

export const gemmBf16 = (args: Operands<'gemmBf16'>): void => multiply(args, nearestBfloat16);

function multiply(args: Operands<'gemm'>, rounded: (value: number) => number): void {
  const { m, n, k } = args;
  for (let batch = 0; batch < args.batch; batch++) {
    const a = args.a.subarray(batch * args.strideA);
    const b = args.b.subarray(batch * args.strideB);
    const c = args.c.subarray(batch * args.strideC);
    const bias = args.bias?.subarray(batch * args.strideBias);
    const residual = args.residual?.subarray(batch * args.strideResidual);
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        let sum = 0;
        for (let i = 0; i < k; i++) {
          const left = args.transA ? a[i * args.lda + row] : a[row * args.lda + i];
          const right = args.transB ? b[column * args.ldb + i] : b[i * args.ldb + column];
          sum += rounded(left) * rounded(right);
        }
        if (bias) sum += bias[column];
        if (residual) sum += residual[row * args.ldResidual + column];
        c[row * args.ldc + column] = sum;
      }
    }
  }
}
