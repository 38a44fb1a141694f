import { blockSums, type Kernel, PARTITIONS } from './kernel.ts';

/** Elementwise programs and matrix products. */
export const basicKernels = {
  /**
   * A little program over elements, in one pass: see expression.ts. Registers are numbered inputs first, then
   * outputs, then temporaries. Tail: inputs × [address, rowStride, columnStride (0 or 1)],
   * outputs × [address, rowStride], steps × [function, destination, a, b, c]. A row stride of 0 repeats one row,
   * a column stride of 0 repeats one element along the row.
   * An output may be the same memory as an input if the step that writes it is the last that reads the input.
   */
  map: {
    operands: { rows: 'int', cols: 'int', inputs: 'int', outputs: 'int', temporaries: 'int', steps: 'int' },
    tail: true,
    flops: (a) => a.rows * a.cols * a.steps * 2,
  },

  /**
   * For each of `batch`: C[m, n] = op(A)[m, k] · op(B)[k, n] + bias[n] + residual[m, n].
   * A is stored [m, k] (transA: [k, m]), B is stored [k, n] (transB: [n, k]). strideX is the distance between
   * batch members. residual may be C itself (accumulate), with ldResidual = ldc and strideResidual = strideC.
   */
  gemm: {
    operands: {
      batch: 'int',
      m: 'int',
      n: 'int',
      k: 'int',
      a: 'in',
      lda: 'int',
      strideA: 'int',
      transA: 'int',
      b: 'in',
      ldb: 'int',
      strideB: 'int',
      transB: 'int',
      c: 'out',
      ldc: 'int',
      strideC: 'int',
      bias: 'in?',
      strideBias: 'int',
      residual: 'in?',
      ldResidual: 'int',
      strideResidual: 'int',
    },
    flops: (a) => 2 * a.batch * a.m * a.n * a.k,
  },

  /**
   * Many small dense blocks on the diagonal: y[r, g·O + o] = Σ_i w[g, o, i] · x[r, g·I + i] + residual[r, …],
   * w [groups, O, I]. transW: w is stored [groups, I, O] (the gradient with respect to x).
   */
  blockLinear: {
    operands: {
      rows: 'int',
      groups: 'int',
      inSize: 'int',
      outSize: 'int',
      transW: 'int',
      x: 'in',
      ldx: 'int',
      w: 'in',
      y: 'out',
      ldy: 'int',
      residual: 'in?',
      ldResidual: 'int',
    },
    flops: (a) => 2 * a.rows * a.groups * a.inSize * a.outSize,
  },
  /** dw[g, o, i] = Σ_r dy[r, g·O + o] · x[r, g·I + i]; partial sums over PARTITIONS row ranges in scratch. */
  blockLinearGradient: {
    operands: {
      rows: 'int',
      groups: 'int',
      inSize: 'int',
      outSize: 'int',
      x: 'in',
      ldx: 'int',
      dy: 'in',
      lddy: 'int',
      dw: 'out',
      scratch: 'scratch',
    },
    flops: (a) => 2 * a.rows * a.groups * a.inSize * a.outSize,
    scratch: (a) => PARTITIONS * blockSums(a.groups, a.inSize, a.outSize),
  },
} as const satisfies Record<string, Kernel>;
