import {
  GEMM_SCRATCH,
  PACKED_FEW_ROWS,
  PACKED_PIECE_COLUMNS,
  PACKED_PIECE_ROWS,
  packedFormats,
} from '../constants.ts';
import { packedRowWords } from '../packing.ts';
import { panelRowWords } from '../panels.ts';
import { blockSums, f32, type Kernel, preparedBlocks, type Sizes } from './kernel.ts';

/** Plan, operands and code of a map, and a block of elements for every register (kernels/map.cc, planMap). */
function mapScratch({ inputs, outputs, temporaries, steps }: Sizes): number {
  const registers = inputs + outputs + temporaries;
  let block = 1024;
  while (block > 128 && block * registers > 4096) block /= 2;
  const plan = 32 * (inputs + outputs) + 8 * registers + 32 * steps + 3 * 64;
  return Math.ceil(plan / 4) + registers * (block + 16);
}

/** Inputs in the tail: [address, rowStride, columnStride]; a stride of 0 repeats one row or one element. */
function mapElements({ rows, cols, inputs, outputs }: Sizes, tail: readonly number[]): number {
  let elements = outputs * rows * cols;
  for (let i = 0; i < inputs; i++)
    elements += (tail[3 * i + 1] === 0 ? 1 : rows) * (tail[3 * i + 2] === 0 ? 1 : cols);
  return elements;
}

/** Rows of the matrix product, whatever its operands are rounded to. */
const product = {
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
  bytes: (a) => f32(a.batch * (a.m * a.k + a.k * a.n + a.m * a.n * (a.residual ? 2 : 1))),
  threadScratch: () => GEMM_SCRATCH,
} as const satisfies Kernel;

/** Elementwise programs and matrix products. */
export const basicKernels = {
  /**
   * A little program over elements, in one pass: see scalar_functions.ts. Registers are numbered inputs first, then
   * outputs, then temporaries. Tail: inputs × [address, rowStride, columnStride (0 or 1)],
   * outputs × [address, rowStride], steps × [function, destination, a, b, c]. A row stride of 0 repeats one row,
   * a column stride of 0 repeats one element along the row.
   * An output may be the same memory as an input if the step that writes it is the last that reads the input.
   */
  map: {
    operands: { rows: 'int', cols: 'int', inputs: 'int', outputs: 'int', temporaries: 'int', steps: 'int' },
    tail: true,
    flops: (a) => a.rows * a.cols * a.steps * 2,
    bytes: (a, tail) => f32(mapElements(a, tail)),
    threadScratch: mapScratch,
  },

  /**
   * For each of `batch`: C[m, n] = op(A)[m, k] · op(B)[k, n] + bias[n] + residual[m, n].
   * A is stored [m, k] (transA: [k, m]), B is stored [k, n] (transB: [n, k]). strideX is the distance between
   * batch members. residual may be C itself (accumulate), with ldResidual = ldc and strideResidual = strideC.
   */
  gemm: product,
  /**
   * The same of operands of the products, A and B, that are rounded to the nearest bfloat16 (ties to the even one) as
   * float32 numbers; bias and residual are not. Sums have the precision of the engine. Dot products of bfloat16 take
   * denormal numbers, below 1.2e-38, for 0. Not every engine has this kernel: see `lacks` of EngineLimits.
   */
  gemmBf16: product,

  /**
   * y[m, rows] = x[m, columns] · Wᵀ + bias + residual of a packed matrix W [rows, columns], whose `format` is a place in
   * packedFormats. transposed: y[m, columns] = x[m, rows] · W + residual (the gradient with respect to x).
   */
  packedLinear: {
    operands: {
      m: 'int',
      rows: 'int',
      columns: 'int',
      format: 'int',
      transposed: 'int',
      x: 'in',
      ldx: 'int',
      w: 'in',
      y: 'out',
      ldy: 'int',
      bias: 'in?',
      residual: 'in?',
      ldResidual: 'int',
    },
    flops: (a) => 2 * a.m * a.rows * a.columns,
    bytes: (a) =>
      f32(a.m * (a.rows + a.columns) + a.rows * packedRowWords(packedFormats[a.format] ?? 'bf16', a.columns)),
    threadScratch: (a) =>
      a.transposed || a.m > PACKED_FEW_ROWS
        ? GEMM_SCRATCH + PACKED_PIECE_ROWS * PACKED_PIECE_COLUMNS
        : a.m * (a.columns + 128) * (1 + 1 / 32),
  },

  /**
   * y[m, rows] = x[m, columns] · Wᵀ + bias + residual of a matrix W [rows, columns] in panels (panels.ts), as gemmBf16 computes it: x is
   * rounded to bfloat16 too. rows are a multiple of PANEL_ROWS. Engines without gemmBf16 lack it.
   */
  panelLinear: {
    operands: {
      m: 'int',
      rows: 'int',
      columns: 'int',
      x: 'in',
      ldx: 'int',
      w: 'in',
      y: 'out',
      ldy: 'int',
      bias: 'in?',
      residual: 'in?',
      ldResidual: 'int',
    },
    flops: (a) => 2 * a.m * a.rows * a.columns,
    bytes: (a) => f32(a.m * (a.rows * (a.residual ? 2 : 1) + a.columns) + a.rows * panelRowWords(a.columns)),
    threadScratch: () => GEMM_SCRATCH,
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
    bytes: (a) =>
      f32(a.groups * (a.rows * (a.inSize + a.outSize * (a.residual ? 2 : 1)) + a.inSize * a.outSize)),
    threadScratch: (a) => preparedBlocks(a.groups, a.inSize, a.outSize) + GEMM_SCRATCH,
  },
  /** dw[g, o, i] = Σ_r dy[r, g·O + o] · x[r, g·I + i]; partial sums over the partitions of the rows in scratch. */
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
    bytes: (a) => f32(a.groups * (a.rows * (a.inSize + a.outSize) + a.inSize * a.outSize)),
    scratch: (a, { partitions }) => partitions * blockSums(a.groups, a.inSize, a.outSize),
    threadScratch: () => GEMM_SCRATCH,
  },
} as const satisfies Record<string, Kernel>;
