import { nearestBfloat16 } from '../../program/packing.ts';
import type { Operands } from './operands.ts';

export function gemm(args: Operands<'gemm'>): void {
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
          sum += left * right;
        }
        if (bias) sum += bias[column];
        if (residual) sum += residual[row * args.ldResidual + column];
        c[row * args.ldc + column] = sum;
      }
    }
  }
}

export function gemmBf16(args: Operands<'gemmBf16'>): void {
  const { batch, m, n, k, a, lda, strideA, transA, b, ldb, strideB, transB } = args;
  const rounded = (values: Float64Array, rows: number, cols: number, ld: number, stride: number) =>
    values.subarray(0, (batch - 1) * stride + (rows - 1) * ld + cols).map(nearestBfloat16);
  gemm({
    ...args,
    a: transA ? rounded(a, k, m, lda, strideA) : rounded(a, m, k, lda, strideA),
    b: transB ? rounded(b, n, k, ldb, strideB) : rounded(b, k, n, ldb, strideB),
  });
}
