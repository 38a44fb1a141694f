import { defineOp, type KernelNumbers, oneCall, type Tensor } from './op.ts';
import { requireCount, requireNotNegative, requireOption } from './options.ts';
import { createNode, requireShape } from './tensor.ts';

/** Which norm. Throws a usage error for a value that is none of its kind. */
export interface NormOptions {
  /** Column groups, of equal width, that are normalised each by itself: the heads of a layer. Default: 1. */
  readonly groups?: number;
  /** 'layer': mean and variance; 'rms': root mean square. */
  readonly kind: 'layer' | 'rms';
  /** Added to the variance or the mean square, under the root; not below 0. */
  readonly eps: number;
  /** Added to the weight: 1 for a residual weight, which starts at zero. */
  readonly weightOffset: 0 | 1;
}

// With n = x − μ (rms: x) times s = 1/σ: y = n s w + b;
// dx = s (g − mean(g) − n s · mean(g n s)), g = dy · w (rms: without mean(g)).
const normOp = defineOp({
  name: 'norm',
  ...oneCall('normForward'),
  constants: ['stats'],
  absorbs: ['x'],
  gradient: ({ inputs: { x, weight }, outputs: { stats }, attributes }, { dy }, sofar) =>
    createNode(
      normBackwardOp,
      { x, weight, stats, dy, residual: sofar.x },
      { dx: x.shape, dweight: [x.cols], dbias: [x.cols] },
      attributes,
    ),
});

const normBackwardOp = defineOp({ name: 'normBackward', ...oneCall('normBackward') });

/** What a kernel with a norm of x in it is told; throws where shapes do not go together. */
export function normAttributes(
  op: string,
  x: Tensor,
  parameters: readonly (Tensor | undefined)[],
  { groups = 1, kind, eps, weightOffset }: NormOptions,
): KernelNumbers<'normForward'> {
  requireCount(op, 'groups', groups);
  requireNotNegative(op, 'eps', eps);
  requireOption(kind === 'layer' || kind === 'rms', op, 'kind', '"layer" or "rms"', kind);
  requireOption(weightOffset === 0 || weightOffset === 1, op, 'weightOffset', '0 or 1', weightOffset);
  requireShape(x.cols % groups === 0, op, `a last dimension divisible by ${groups} groups`, x);
  for (const p of parameters)
    requireShape(!p || p.shape.join() === String(x.cols), op, `weight and bias [${x.cols}]`, p);
  return { rows: x.rows, groups, size: x.cols / groups, rms: Number(kind === 'rms'), eps, weightOffset };
}

/**
 * Layer norm (Ba et al. 2016) or RMS norm (Zhang and Sennrich 2019) over the last dimension or over each of its groups;
 * weight and bias [cols], 1 and 0 where there is none, μ, σ² and the mean square those of a group:
 *
 * ```text
 * layer: (weightOffset + weight) ∘ (x − μ) / √(σ² + eps) + bias
 * rms:   (weightOffset + weight) ∘ x / √(mean(x²) + eps) + bias
 * ```
 */
export function norm(
  x: Tensor,
  weight: Tensor | undefined,
  bias: Tensor | undefined,
  options: NormOptions,
): Tensor {
  const attributes = normAttributes('norm', x, [weight, bias], options);
  const shapes = { y: x.shape, stats: [x.rows, attributes.groups, 2] };
  return createNode(normOp, { x, weight, bias }, shapes, attributes).y;
}
