import { defineOp, oneCall, type Tensor } from './op.ts';
import { requireOption } from './options.ts';
import { createNode, requireShape } from './tensor.ts';

/** What the convolution makes of a piece of a sequence, and what it leaves for the next one. */
export interface ConvResult {
  /** The result, of the shape of x: [B, T, D]. */
  readonly y: Tensor;
  /** The last taps − 1 inputs [B, taps−1, D], zero where they belong to an earlier document. */
  readonly lastState: Tensor;
}

const convOp = defineOp({
  name: 'causalConv',
  ...oneCall('convForward'),
  constants: ['reset'],
  absorbs: ['x'],
  gradient({ inputs, outputs, attributes }, d, sofar) {
    const { x, weight } = inputs;
    return createNode(
      convBackwardOp,
      { ...inputs, ...d, residual: sofar.x },
      { dx: x.shape, dweight: weight.shape, dbias: [x.cols], dstate: outputs.lastState.shape },
      attributes,
    );
  },
});

const convBackwardOp = defineOp({ name: 'causalConvBackward', ...oneCall('convBackward') });

/**
 * Causal depthwise convolution, f being SiLU or nothing:
 *
 * ```text
 * y[b,t,d] = f(bias[d] + Σ_j weight[d,0,j] · x[b, t − (taps−1) + j, d])
 * ```
 *
 * x [B, T, D], weight [D, 1, taps] with two taps at least, bias [D], reset [B, T] (1 where a document starts: nothing
 * before it counts), state [B, taps−1, D] (the inputs before x; zeros where it is left out).
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
  requireShape(!bias || bias.shape.join() === String(dim), 'causalConv', `a bias [${dim}]`, bias);
  requireOption(
    activation === undefined || activation === 'silu',
    'causalConv',
    'activation',
    '"silu" or none',
    activation,
  );
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
  const { y, lastState } = createNode(
    convOp,
    { x, weight, bias, reset, state },
    { y: x.shape, lastState: [batch, taps - 1, dim] },
    { batch, length, dim, taps, silu: Number(activation === 'silu') },
  );
  return { y, lastState };
}
