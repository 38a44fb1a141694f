import { f32, type Kernel } from './kernel.ts';

/** The loss, sums and the optimizer. */
export const trainingKernels = {
  /**
   * loss[r] = logNormalizer[r] − logits[r, targets[r]], logNormalizer = log Σ exp(logits[r]).
   * A negative target is ignored: its loss is 0. What else is no whole number from 0 to vocab − 1 gives NaN.
   */
  crossEntropyForward: {
    operands: {
      rows: 'int',
      vocab: 'int',
      logits: 'in',
      ldLogits: 'int',
      targets: 'in',
      loss: 'out',
      logNormalizer: 'out',
    },
    flops: (a) => 14 * a.rows * a.vocab,
    bytes: (a) => f32(a.rows * a.vocab),
  },
  /**
   * dlogits[r, v] = (exp(logits − logNormalizer) − [v = target]) · dloss[r]; a row of zeros where ignored, of NaN where the
   * loss is NaN for the target's sake.
   */
  crossEntropyBackward: {
    operands: {
      rows: 'int',
      vocab: 'int',
      logits: 'in',
      ldLogits: 'int',
      targets: 'in',
      logNormalizer: 'in',
      dloss: 'in',
      dlogits: 'out',
      lddlogits: 'int',
    },
    flops: (a) => 14 * a.rows * a.vocab,
    bytes: (a) => f32(2 * a.rows * a.vocab),
  },

  /**
   * axis 0: y[cols] = Σ over rows; axis 1: y[rows] = Σ over columns, of x or, where a factor is given, of x · factor.
   * With axis 1 and few long rows the columns are split into partial sums.
   */
  reduce: {
    operands: {
      rows: 'int',
      cols: 'int',
      axis: 'int',
      x: 'in',
      ldx: 'int',
      factor: 'in?',
      ldFactor: 'int',
      y: 'out',
      scratch: 'scratch',
    },
    flops: (a) => 2 * a.rows * a.cols,
    bytes: (a) => f32(a.rows * a.cols * (a.factor ? 2 : 1) + (a.axis === 0 ? a.cols : a.rows)),
    scratch: (a, { partitions }) => partitions * (a.axis === 0 ? a.cols : a.rows),
  },

  /**
   * AdamW over `count` consecutive elements. schedule [4] = learning rate, gradient factor (clipping),
   * 1 − β1^t, 1 − β2^t. With g = gradient · factor: m ← β1 m + (1−β1) g; v ← β2 v + (1−β2) g²;
   * p ← p − lr · (m / (1−β1^t) / (√(v / (1−β2^t)) + epsilon) + weightDecay · p).
   */
  adamw: {
    operands: {
      count: 'int',
      beta1: 'float',
      beta2: 'float',
      epsilon: 'float',
      weightDecay: 'float',
      schedule: 'in',
      gradients: 'in',
      parameters: 'out',
      firstMoment: 'out',
      secondMoment: 'out',
    },
    flops: (a) => 14 * a.count,
    bytes: (a) => f32(7 * a.count),
  },
} as const satisfies Record<string, Kernel>;
