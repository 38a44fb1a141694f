import { CONV_COLUMNS, CONV_STRIP, WIDEST_VECTOR } from '../constants.ts';
import { f32, type Kernel } from './kernel.ts';

/** What both directions of the convolution read. */
const convInputs = {
  batch: 'int',
  length: 'int',
  dim: 'int',
  taps: 'int',
  silu: 'int',
  x: 'in',
  ldx: 'int',
  weight: 'in',
  bias: 'in?',
  reset: 'in?',
  state: 'in?',
} as const satisfies Kernel['operands'];

/** Norms, embedding and convolution. */
export const layersKernels = {
  /**
   * Norm over the last `size` of each of `groups` column groups; the weights span all groups · size columns.
   * rms 0: y = (x − μ) / √(σ² + eps) · (weightOffset + weight) + bias, biased variance.
   * rms 1: y = x / √(mean(x²) + eps) · (weightOffset + weight) + bias.
   * No weight means a factor 1. stats [rows, groups, 2] = (μ or 0, 1/√…), for the backward pass.
   */
  normForward: {
    operands: {
      rows: 'int',
      groups: 'int',
      size: 'int',
      rms: 'int',
      eps: 'float',
      weightOffset: 'float',
      x: 'in',
      ldx: 'int',
      weight: 'in?',
      bias: 'in?',
      y: 'out',
      ldy: 'int',
      stats: 'out',
    },
    flops: (a) => 8 * a.rows * a.groups * a.size,
    bytes: (a) => f32(2 * a.rows * a.groups * a.size),
  },
  normBackward: {
    operands: {
      rows: 'int',
      groups: 'int',
      size: 'int',
      rms: 'int',
      weightOffset: 'float',
      x: 'in',
      ldx: 'int',
      weight: 'in?',
      stats: 'in',
      dy: 'in',
      lddy: 'int',
      residual: 'in?',
      ldResidual: 'int',
      dx: 'out',
      lddx: 'int',
      dweight: 'out?',
      dbias: 'out?',
      scratch: 'scratch',
    },
    flops: (a) => 16 * a.rows * a.groups * a.size,
    bytes: (a) => f32((a.residual ? 4 : 3) * a.rows * a.groups * a.size),
    scratch: (a, { partitions }) => 2 * partitions * a.groups * a.size,
  },

  /**
   * y[r] = table[tokens[r]], table [vocab, dim]; tokens are integers stored as floats. What is no whole number from 0 to
   * vocab − 1 names no row: y[r] is NaN.
   */
  embeddingForward: {
    operands: { rows: 'int', vocab: 'int', dim: 'int', tokens: 'in', table: 'in', y: 'out', ldy: 'int' },
    flops: (a) => a.rows * a.dim,
    bytes: (a) => f32((a.rows + Math.min(a.rows, a.vocab)) * a.dim),
  },
  /**
   * dtable[v] = Σ over rows with tokens[r] = v of dy[r]; rows of tokens that do not occur become 0, and tokens that name
   * no row count for nothing.
   */
  embeddingBackward: {
    operands: { rows: 'int', vocab: 'int', dim: 'int', tokens: 'in', dy: 'in', lddy: 'int', dtable: 'out' },
    flops: (a) => a.rows * a.dim,
    bytes: (a) => f32((a.rows + a.vocab) * a.dim),
  },

  /**
   * Causal depthwise convolution: y[b,t,d] = f(bias[d] + Σ_j w[d,j] · x[b, t − (taps−1) + j, d]), w [dim, taps];
   * f is SiLU (silu 1) or nothing.
   * Before the sequence x continues into state [B, taps−1, dim] (absent: zeros), oldest first. reset [B, T] is 1 where a token starts
   * a document: taps that reach before the newest document start at or before t read 0.
   * lastState [B, taps−1, dim]: what the next call needs, with rows of earlier documents zeroed.
   */
  convForward: {
    operands: {
      ...convInputs,
      y: 'out',
      ldy: 'int',
      lastState: 'out?',
    },
    flops: (a) => a.batch * a.length * a.dim * (2 * a.taps + 4 * a.silu),
    bytes: (a) =>
      f32((2 * a.batch * a.length + a.taps + (a.state + a.lastState) * a.batch * (a.taps - 1)) * a.dim),
    threadScratch: (a) => a.taps * CONV_COLUMNS,
  },
  /** dlastState is the gradient of lastState; dstate that of state. residual is added to dx. */
  convBackward: {
    operands: {
      ...convInputs,
      dy: 'in',
      lddy: 'int',
      residual: 'in?',
      ldResidual: 'int',
      dlastState: 'in?',
      dx: 'out',
      lddx: 'int',
      dweight: 'out',
      dbias: 'out?',
      dstate: 'out?',
      scratch: 'scratch',
    },
    flops: (a) => a.batch * a.length * a.dim * (4 * a.taps + (2 * a.taps + 6) * a.silu),
    bytes: (a) => f32((a.residual ? 4 : 3) * a.batch * a.length * a.dim),
    scratch: (a, { partitions }) => partitions * a.dim * (a.taps + 1),
    threadScratch: (a) =>
      a.taps * CONV_COLUMNS + a.silu * (CONV_STRIP + a.taps - 1) * (CONV_COLUMNS + WIDEST_VECTOR),
  },
} as const satisfies Record<string, Kernel>;
