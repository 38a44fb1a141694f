import { type NormOptions, normAttributes } from './norm.ts';
import { defineOp, oneCall, type Tensor } from './op.ts';
import { createNode, requireShape } from './tensor.ts';

/** What a gated norm takes beside x. */
export interface GatedNormInputs {
  /** The shape of x. */
  readonly gate: Tensor;
  /** [cols]; given together with addend. */
  readonly skip?: Tensor;
  /** The shape of x; given together with skip. */
  readonly addend?: Tensor;
}

const gatedNormOp = defineOp({
  name: 'gatedNorm',
  ...oneCall('gatedNormForward'),
  constants: ['stats'],
  absorbs: ['x'],
  gradient({ inputs, outputs: { stats }, attributes }, { dy }, sofar) {
    const { shape, cols } = inputs.x;
    return createNode(
      gatedNormBackwardOp,
      { ...inputs, stats, dy, residual: sofar.x },
      { dx: shape, dgate: shape, daddend: shape, dweight: [cols], dbias: [cols], dskip: [cols] },
      attributes,
    );
  },
});

const gatedNormBackwardOp = defineOp({ name: 'gatedNormBackward', ...oneCall('gatedNormBackward') });

/**
 * (norm(x) + skip ∘ addend) ∘ SiLU(gate), as one pass over memory forward and one backward; norm, weight and bias as in
 * `norm`. x, gate and addend have one shape, [..., cols]; skip is [cols].
 *
 * @param inputs The gate, and what is added before it.
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
  const shapes = { y: x.shape, stats: [x.rows, attributes.groups, 2] };
  return createNode(gatedNormOp, { x, gate, weight, bias, skip, addend }, shapes, attributes).y;
}
