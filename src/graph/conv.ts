import { multiply } from './elementwise.ts';
import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';

/** What the convolution needs of the past, and what it leaves for the next piece of the sequence. */
export interface ConvResult {
  readonly y: Tensor;
  /** The last taps − 1 inputs [B, taps−1, D], zero where they belong to an earlier document. */
  readonly lastState: Tensor;
}

interface ConvAttributes {
  readonly silu: boolean;
}

const convOp: Op<ConvAttributes> = {
  name: 'causalConv',
  stridedOutputs: [0],
  absorbs: [0],
  backward(node, [dy, dlastState], [sofar]) {
    const [x, weight, bias, reset, state] = node.inputs as [Tensor, Tensor, Tensor?, Tensor?, Tensor?];
    if (!dy && !dlastState) return [sofar];
    const [dx, dweight, dbias, dstate] = createNode(
      convBackwardOp,
      [x, weight, bias, reset, state, dy ?? multiply(node.outputs[0], 0), dlastState, sofar],
      node.attributes,
      [x.shape, weight.shape, [x.cols], node.outputs[1].shape],
    );
    return [dx, dweight, bias && dbias, undefined, state && dstate];
  },
  emit(node, to) {
    const [x, weight, bias, reset, state] = node.inputs as [Tensor, Tensor, Tensor?, Tensor?, Tensor?];
    const [batch, length, dim] = x.shape;
    const from = to.matrix(x);
    const y = to.matrix(node.outputs[0]);
    to.call('convForward', {
      batch,
      length,
      dim,
      taps: weight.cols,
      silu: Number(node.attributes.silu),
      x: from.at,
      ldx: from.ld,
      weight: to.contiguous(weight),
      bias: to.contiguous(bias),
      reset: to.contiguous(reset),
      state: to.contiguous(state),
      y: y.at,
      ldy: y.ld,
      lastState: to.wantedContiguous(node.outputs[1]),
    });
  },
};

const convBackwardOp: Op<ConvAttributes> = {
  name: 'causalConvBackward',
  stridedOutputs: [0],
  emit(node, to) {
    const [x, weight, bias, reset, state, gradient, dlastState, sofar] = node.inputs as [
      Tensor,
      Tensor,
      Tensor | undefined,
      Tensor | undefined,
      Tensor | undefined,
      Tensor,
      Tensor?,
      Tensor?,
    ];
    const [batch, length, dim] = x.shape;
    const [dxOut, dweight, dbias, dstate] = node.outputs;
    const from = to.matrix(x);
    const dy = to.matrix(gradient);
    const residual = to.matrix(sofar);
    const dx = to.matrix(dxOut);
    to.call('convBackward', {
      batch,
      length,
      dim,
      taps: weight.cols,
      silu: Number(node.attributes.silu),
      x: from.at,
      ldx: from.ld,
      weight: to.contiguous(weight),
      bias: to.contiguous(bias),
      reset: to.contiguous(reset),
      state: to.contiguous(state),
      dy: dy.at,
      lddy: dy.ld,
      residual: residual.at,
      ldResidual: residual.ld,
      dlastState: to.contiguous(dlastState),
      dx: dx.at,
      lddx: dx.ld,
      dweight: to.contiguous(dweight),
      dbias: to.wantedContiguous(dbias),
      dstate: to.wantedContiguous(dstate),
    });
  },
};

/**
 * Causal depthwise convolution: y[b,t,d] = f(bias[d] + Σ_j weight[d,0,j] · x[b, t − (taps−1) + j, d]), f = SiLU or none.
 * x [B, T, D], weight [D, 1, taps], bias [D], reset [B, T] (1 where a document starts), state [B, taps−1, D].
 */
export function causalConv(
  x: Tensor,
  weight: Tensor,
  bias?: Tensor,
  reset?: Tensor,
  state?: Tensor,
  activation?: 'silu',
): ConvResult {
  const [batch, length, dim] = x.shape;
  const taps = weight.cols;
  requireShape(
    x.shape.length === 3 && weight.shape.join() === [dim, 1, taps].join(),
    'causalConv',
    'x [B, T, D] and weight [D, 1, taps]',
    x,
    weight,
  );
  requireShape(taps > 1, 'causalConv', 'at least two taps', weight);
  requireShape(
    !state || state.shape.join() === [batch, taps - 1, dim].join(),
    'causalConv',
    `a state [${batch}, ${taps - 1}, ${dim}]`,
    state,
  );
  requireShape(
    !reset || reset.shape.join() === [batch, length].join(),
    'causalConv',
    `reset [${batch}, ${length}]`,
    reset,
  );
  const [y, lastState] = createNode(
    convOp,
    [x, weight, bias, reset, state],
    { silu: activation === 'silu' },
    [x.shape, [batch, taps - 1, dim]],
  );
  return { y, lastState };
}
