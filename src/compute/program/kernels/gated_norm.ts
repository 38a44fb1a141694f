import { f32, type Kernel } from './kernel.ts';

/** A norm, what is added to it, and its gate, in one pass each way. */
export const gatedNormKernels = {
  /**
   * y = (n + skip ∘ addend) ∘ SiLU(gate), n = norm(x) and stats as in normForward; skip spans all groups · size columns.
   * skip and addend are both given or both absent.
   */
  gatedNormForward: {
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
      skip: 'in?',
      addend: 'in?',
      ldAddend: 'int',
      gate: 'in',
      ldGate: 'int',
      y: 'out',
      ldy: 'int',
      stats: 'out',
    },
    flops: (a) => (a.skip ? 28 : 26) * a.rows * a.groups * a.size,
    bytes: (a) => f32((a.addend ? 4 : 3) * a.rows * a.groups * a.size),
  },
  /**
   * With s = σ(gate), u = n + skip ∘ addend and du = dy ∘ gate ∘ s: dgate = dy ∘ u ∘ s ∘ (1 + gate ∘ (1 − s)),
   * daddend = du ∘ skip, dskip = Σ over rows of du ∘ addend; dx, dweight and dbias as in normBackward from du.
   * Partial sums over the partitions of the rows in scratch.
   */
  gatedNormBackward: {
    operands: {
      rows: 'int',
      groups: 'int',
      size: 'int',
      rms: 'int',
      weightOffset: 'float',
      x: 'in',
      ldx: 'int',
      weight: 'in?',
      bias: 'in?',
      stats: 'in',
      skip: 'in?',
      addend: 'in?',
      ldAddend: 'int',
      gate: 'in',
      ldGate: 'int',
      dy: 'in',
      lddy: 'int',
      residual: 'in?',
      ldResidual: 'int',
      dx: 'out',
      lddx: 'int',
      dgate: 'out',
      lddgate: 'int',
      daddend: 'out?',
      lddaddend: 'int',
      dweight: 'out?',
      dbias: 'out?',
      dskip: 'out?',
      scratch: 'scratch',
    },
    flops: (a) => (a.skip ? 46 : 41) * a.rows * a.groups * a.size,
    bytes: (a) => f32((5 + a.addend + a.daddend + a.residual) * a.rows * a.groups * a.size),
    scratch: (a, { partitions }) => 3 * partitions * a.groups * a.size,
  },
} as const satisfies Record<string, Kernel>;
