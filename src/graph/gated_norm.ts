import { type NormAttributes, type NormOptions, normAttributes, normSizes } from './norm.ts';
import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';

export interface GatedNormInputs {
  /** The shape of x. */
  readonly gate: Tensor;
  /** [cols]; given together with addend. */
  readonly skip?: Tensor;
  /** The shape of x; given together with skip. */
  readonly addend?: Tensor;
}

type Inputs = [x: Tensor, gate: Tensor, weight?: Tensor, bias?: Tensor, skip?: Tensor, addend?: Tensor];

const gatedNormOp: Op<NormAttributes> = {
  name: 'gatedNorm',
  stridedOutputs: [0],
  absorbs: [0],
  backward(node, [dy], [sofar]) {
    if (!dy) return [sofar];
    const [x, gate, weight, bias, skip, addend] = node.inputs as Inputs;
    const [dx, dgate, daddend, dweight, dbias, dskip] = createNode(
      gatedNormBackwardOp,
      [x, gate, weight, bias, skip, addend, node.outputs[1], dy, sofar],
      node.attributes,
      [x.shape, x.shape, x.shape, [x.cols], [x.cols], [x.cols]],
    );
    return [dx, dgate, weight && dweight, bias && dbias, skip && dskip, addend && daddend];
  },
  emit(node, to) {
    const [x, gate, weight, bias, skip, addend] = node.inputs as Inputs;
    const from = to.matrix(x);
    const gates = to.matrix(gate);
    const added = to.matrix(addend);
    const y = to.matrix(node.outputs[0]);
    to.call('gatedNormForward', {
      ...normSizes(x, node.attributes),
      eps: node.attributes.eps,
      x: from.at,
      ldx: from.ld,
      weight: to.contiguous(weight),
      bias: to.contiguous(bias),
      skip: to.contiguous(skip),
      addend: added.at,
      ldAddend: added.ld,
      gate: gates.at,
      ldGate: gates.ld,
      y: y.at,
      ldy: y.ld,
      stats: to.contiguous(node.outputs[1]),
    });
  },
};

const gatedNormBackwardOp: Op<NormAttributes> = {
  name: 'gatedNormBackward',
  stridedOutputs: [0, 1, 2],
  emit(node, to) {
    const [x, gate, weight, bias, skip, addend, stats, gradient, sofar] = node.inputs as [
      x: Tensor,
      gate: Tensor,
      weight: Tensor | undefined,
      bias: Tensor | undefined,
      skip: Tensor | undefined,
      addend: Tensor | undefined,
      stats: Tensor,
      gradient: Tensor,
      sofar?: Tensor,
    ];
    const from = to.matrix(x);
    const gates = to.matrix(gate);
    const added = to.matrix(addend);
    const dy = to.matrix(gradient);
    const residual = to.matrix(sofar);
    const dx = to.matrix(node.outputs[0]);
    const dgate = to.matrix(node.outputs[1]);
    const daddend = to.wanted(node.outputs[2]);
    to.call('gatedNormBackward', {
      ...normSizes(x, node.attributes),
      x: from.at,
      ldx: from.ld,
      weight: to.contiguous(weight),
      bias: to.contiguous(bias),
      stats: to.contiguous(stats),
      skip: to.contiguous(skip),
      addend: added.at,
      ldAddend: added.ld,
      gate: gates.at,
      ldGate: gates.ld,
      dy: dy.at,
      lddy: dy.ld,
      residual: residual.at,
      ldResidual: residual.ld,
      dx: dx.at,
      lddx: dx.ld,
      dgate: dgate.at,
      lddgate: dgate.ld,
      daddend: daddend.at,
      lddaddend: daddend.ld,
      dweight: to.wantedContiguous(node.outputs[3]),
      dbias: to.wantedContiguous(node.outputs[4]),
      dskip: to.wantedContiguous(node.outputs[5]),
    });
  },
};

/**
 * (norm(x) + skip ∘ addend) ∘ SiLU(gate), as one pass over memory forward and one backward; norm, weight and bias as in
 * `norm`. x, gate and addend have one shape, [..., cols]; skip is [cols].
 */
export function gatedNorm(
  x: Tensor,
  weight: Tensor | undefined,
  bias: Tensor | undefined,
  options: NormOptions,
  { gate, skip, addend }: GatedNormInputs,
): Tensor {
  const attributes = normAttributes('gatedNorm', x, [weight, bias], options);
  const shape = x.shape.join();
  requireShape(gate.shape.join() === shape, 'gatedNorm', `a gate [${x.shape}]`, gate);
  requireShape(
    skip && addend ? skip.shape.join() === String(x.cols) && addend.shape.join() === shape : !skip && !addend,
    'gatedNorm',
    `skip [${x.cols}] and addend [${x.shape}], or neither`,
    skip,
    addend,
  );
  const shapes = [x.shape, [x.rows, attributes.groups, 2]];
  return createNode(gatedNormOp, [x, gate, weight, bias, skip, addend], attributes, shapes)[0];
}
