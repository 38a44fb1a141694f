import { describe, expect, it } from 'vitest';
import { blockLinear, blockLinearGradient } from './block_linear.ts';
import { gemm } from './gemm.ts';
import { expectGradients } from './testing/gradient_check.ts';
import { dot, randomValues } from './testing/values.ts';

const plain = { bias: undefined, strideBias: 0, residual: undefined, ldResidual: 0, strideResidual: 0 };

describe('gemm', () => {
  // [1 2 3; 4 5 6] · [1 0; 2 1; 0 3] = [5 11; 14 23]
  const layouts = [
    { transA: 0, lda: 3, a: [1, 2, 3, 4, 5, 6], transB: 0, ldb: 2, b: [1, 0, 2, 1, 0, 3] },
    { transA: 1, lda: 2, a: [1, 4, 2, 5, 3, 6], transB: 0, ldb: 2, b: [1, 0, 2, 1, 0, 3] },
    { transA: 0, lda: 3, a: [1, 2, 3, 4, 5, 6], transB: 1, ldb: 3, b: [1, 2, 0, 0, 1, 3] },
    { transA: 1, lda: 2, a: [1, 4, 2, 5, 3, 6], transB: 1, ldb: 3, b: [1, 2, 0, 0, 1, 3] },
  ];

  it.each(layouts)('multiplies: transA $transA, transB $transB', ({ a, b, ...layout }) => {
    const c = new Float64Array(6).fill(-1);
    gemm({
      ...plain,
      ...layout,
      batch: 1,
      m: 2,
      n: 2,
      k: 3,
      a: Float64Array.from(a),
      strideA: 0,
      b: Float64Array.from(b),
      strideB: 0,
      c,
      ldc: 3,
      strideC: 0,
    });
    expect([...c]).toEqual([5, 11, -1, 14, 23, -1]);
  });

  it('adds bias and residual per batch member, the residual in place', () => {
    const c = Float64Array.of(1, 2, 3, 4);
    gemm({
      batch: 2,
      m: 1,
      n: 2,
      k: 1,
      a: Float64Array.of(2, 3),
      lda: 1,
      strideA: 1,
      transA: 0,
      b: Float64Array.of(5, 7),
      ldb: 2,
      strideB: 0,
      transB: 0,
      c,
      ldc: 2,
      strideC: 2,
      bias: Float64Array.of(100, 200, 300, 400),
      strideBias: 2,
      residual: c,
      ldResidual: 2,
      strideResidual: 2,
    });
    expect([...c]).toEqual([111, 216, 318, 425]);
  });
});

describe('blockLinear', () => {
  const sizes = { rows: 3, groups: 2, inSize: 2, outSize: 3 };

  it('multiplies each group by its own block and adds the residual', () => {
    const y = new Float64Array(4);
    blockLinear({
      rows: 1,
      groups: 2,
      inSize: 2,
      outSize: 2,
      transW: 0,
      x: Float64Array.of(1, 2, 3, 4),
      ldx: 4,
      w: Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8),
      y,
      ldy: 4,
      residual: Float64Array.of(100, 200, 300, 400),
      ldResidual: 4,
    });
    expect([...y]).toEqual([105, 211, 339, 453]);
  });

  it('agrees with differences', () => {
    const { rows, groups, inSize, outSize } = sizes;
    const ldx = groups * inSize + 1;
    const ldy = groups * outSize + 2;
    const x = randomValues(rows * ldx, 1);
    const w = randomValues(groups * outSize * inSize, 2);
    const dy = randomValues(rows * ldy, 3);
    const dx = new Float64Array(x.length);
    const dw = new Float64Array(w.length);
    // Towards x the blocks have the sizes swapped, and w is read as [groups, I, O] of the swapped sizes.
    blockLinear({
      ...{ rows, groups, inSize: outSize, outSize: inSize, transW: 1 },
      ...{ x: dy, ldx: ldy, w, y: dx, ldy: ldx, residual: undefined, ldResidual: 0 },
    });
    blockLinearGradient({ ...sizes, x, ldx, dy, lddy: ldy, dw, scratch: undefined });
    const loss = (): number => {
      const y = new Float64Array(dy.length);
      blockLinear({ ...sizes, transW: 0, x, ldx, w, y, ldy, residual: undefined, ldResidual: 0 });
      return dot(dy, y);
    };
    expectGradients(loss, { x: { values: x, gradient: dx }, w: { values: w, gradient: dw } });
  });
});
