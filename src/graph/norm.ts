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

export type NormAttributes = Required<NormOptions>;

/** Operands that the kernels with a norm in them have in common. */
export const normSizes = (x: Tensor, { groups, kind, weightOffset }: NormAttributes) => ({
  rows: x.rows,
  groups,
  size: x.cols / groups,
  rms: Number(kind === 'rms'),
  weightOffset,
});

const normOp: Op<NormAttributes> = {
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
    const [x, weight, bias] = node.inputs as [Tensor, Tensor?, Tensor?];
    const from = to.matrix(x);
    const y = to.matrix(node.outputs[0]);
    to.call('normForward', {
      ...normSizes(x, node.attributes),
      eps: node.attributes.eps,
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

const normBackwardOp: Op<NormAttributes> = {
  name: 'normBackward',
  stridedOutputs: [0],
  emit(node, to) {
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
      ...normSizes(x, node.attributes),
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

/** The attributes of a norm of x; throws where shapes do not go together. */
export function normAttributes(
  op: string,
  x: Tensor,
  parameters: readonly (Tensor | undefined)[],
  options: NormOptions,
): NormAttributes {
  const attributes = { groups: 1, ...options };
  requireShape(
    x.cols % attributes.groups === 0,
    op,
    `a last dimension divisible by ${attributes.groups} groups`,
    x,
  );
  for (const p of parameters)
    requireShape(!p || p.shape.join() === String(x.cols), op, `weight and bias [${x.cols}]`, p);
  return attributes;
}

/** Layer norm or RMS norm over the last dimension or over each of its groups; weight and bias [cols]. */
export function norm(
  x: Tensor,
  weight: Tensor | undefined,
  bias: Tensor | undefined,
  options: NormOptions,
): Tensor {
  const attributes = normAttributes('norm', x, [weight, bias], options);
  return createNode(normOp, [x, weight, bias], attributes, [x.shape, [x.rows, attributes.groups, 2]])[0];
}
