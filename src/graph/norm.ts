import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';

export interface NormOptions {
  /** Column groups that are normalised each by itself. Default 1. */
  readonly groups?: number;
  /** 'layer': mean and variance; 'rms': root mean square. */
  readonly kind: 'layer' | 'rms';
  readonly eps: number;
  /** Added to the weight: 1 for a residual weight, which starts at zero. */
  readonly weightOffset: 0 | 1;
}

const normOp: Op<Required<NormOptions>> = {
  name: 'norm',
  stridedOutputs: [0],
  // With n = x − μ (rms: x) times s = 1/σ: y = n s w + b;
  // dx = s (g − mean(g) − n s · mean(g n s)), g = dy · w (rms: without mean(g)).
  absorbs: [0],
  backward(node, [dy], [sofar]) {
    if (!dy) return [sofar];
    const [x, weight, bias] = node.inputs as [Tensor, Tensor?, Tensor?];
    const [dx, dweight, dbias] = createNode(
      normBackwardOp,
      [x, weight, node.outputs[1], dy, sofar],
      node.attributes,
      [x.shape, [x.cols], [x.cols]],
    );
    return [dx, weight && dweight, bias && dbias];
  },
  emit(node, to) {
    const { groups, kind, eps, weightOffset } = node.attributes;
    const [x, weight, bias] = node.inputs as [Tensor, Tensor?, Tensor?];
    const from = to.matrix(x);
    const y = to.matrix(node.outputs[0]);
    to.call('normForward', {
      rows: x.rows,
      groups,
      size: x.cols / groups,
      rms: Number(kind === 'rms'),
      eps,
      weightOffset,
      x: from.at,
      ldx: from.ld,
      weight: to.contiguous(weight),
      bias: to.contiguous(bias),
      y: y.at,
      ldy: y.ld,
      stats: to.contiguous(node.outputs[1]),
    });
  },
};

const normBackwardOp: Op<Required<NormOptions>> = {
  name: 'normBackward',
  stridedOutputs: [0],
  emit(node, to) {
    const { groups, kind, weightOffset } = node.attributes;
    const [x, weight, stats, gradient, sofar] = node.inputs as [
      Tensor,
      Tensor | undefined,
      Tensor,
      Tensor,
      Tensor?,
    ];
    const residual = to.matrix(sofar);
    const from = to.matrix(x);
    const dy = to.matrix(gradient);
    const dx = to.matrix(node.outputs[0]);
    to.call('normBackward', {
      rows: x.rows,
      groups,
      size: x.cols / groups,
      rms: Number(kind === 'rms'),
      weightOffset,
      x: from.at,
      ldx: from.ld,
      weight: to.contiguous(weight),
      stats: to.contiguous(stats),
      dy: dy.at,
      lddy: dy.ld,
      residual: residual.at,
      ldResidual: residual.ld,
      dx: dx.at,
      lddx: dx.ld,
      dweight: to.wantedContiguous(node.outputs[1]),
      dbias: to.wantedContiguous(node.outputs[2]),
    });
  },
};

/** Layer norm or RMS norm over the last dimension or over each of its groups; weight and bias [cols]. */
export function norm(
  x: Tensor,
  weight: Tensor | undefined,
  bias: Tensor | undefined,
  options: NormOptions,
): Tensor {
  const attributes = { groups: 1, ...options };
  requireShape(
    x.cols % attributes.groups === 0,
    'norm',
    `a last dimension divisible by ${attributes.groups} groups`,
    x,
  );
  for (const p of [weight, bias])
    requireShape(!p || p.shape.join() === String(x.cols), 'norm', `weight and bias [${x.cols}]`, p);
  return createNode(normOp, [x, weight, bias], attributes, [x.shape, [x.rows, attributes.groups, 2]])[0];
}
