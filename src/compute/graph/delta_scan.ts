import { wholeVectors } from '../program/kernels/kernel.ts';
import { chunkOfScan, type EngineLimits } from '../program/limits.ts';
import { attributes, defineOp, type KernelNumbers, type Tensor } from './op.ts';
import { requireCount } from './options.ts';
import { createNode, requireShape } from './tensor.ts';

type DeltaScanAttributes = Omit<KernelNumbers<'deltaScanForward'>, 'chunk'>;

/** Tokens between two states that the backward pass starts from. */
const chunkOf = ({ keyDim, valueDim }: DeltaScanAttributes, limits: EngineLimits): number =>
  chunkOfScan(keyDim * wholeVectors(valueDim), limits);

const deltaScanOp = defineOp({
  name: 'deltaScan',
  inputs: ['q', 'k', 'v', 'alpha', 'beta', 'reset?', 'state?'],
  outputs: ['h', 'lastState?'],
  ...attributes<DeltaScanAttributes>(),
  constants: ['reset'],
  strided: ['h'],
  inPlace: { lastState: 'state' },
  residuals({ attributes }, { limits }) {
    const { batch, length, heads, keyDim, valueDim } = attributes;
    return {
      chunkStates: [batch, heads, Math.ceil(length / chunkOf(attributes, limits)), keyDim, valueDim],
    };
  },
  gradient(node, d) {
    const { q, k, v, alpha, beta } = node.inputs;
    return createNode(
      deltaScanBackwardOp,
      { ...node.inputs, ...d },
      {
        dq: q.shape,
        dk: k.shape,
        dv: v.shape,
        dalpha: alpha.shape,
        dbeta: beta.shape,
        dstate: node.outputs.lastState.shape,
      },
      node.attributes,
      node,
    );
  },
  emit(node, to) {
    const { attributes } = node;
    const chunk = chunkOf(attributes, to.limits);
    to.call('deltaScanForward', node, { ...attributes, chunk }, ['chunkStates']);
  },
});

const deltaScanBackwardOp = defineOp({
  name: 'deltaScanBackward',
  backwardOf: 'deltaScan',
  inputs: ['q', 'k', 'v', 'alpha', 'beta', 'reset?', 'dh', 'dlastState?'],
  outputs: ['dq', 'dk', 'dv', 'dalpha', 'dbeta', 'dstate'],
  ...attributes<DeltaScanAttributes>(),
  strided: ['dq', 'dk', 'dv', 'dalpha', 'dbeta'],
  emit(node, to) {
    const { attributes } = node;
    const chunk = chunkOf(attributes, to.limits);
    to.call('deltaScanBackward', node, { ...attributes, chunk }, ['chunkStates']);
  },
});

/**
 * Gated delta rule (Yang et al. 2024): S_t = α_t (I − β_t k_t k_tᵀ) S_{t−1} + β_t k_t v_tᵀ, h_t = S_tᵀ q_t for each head.
 * q, k [B, T, H·DK], v [B, T, H·DV], alpha, beta [B, T, H], state [B, H, DK, DV]; reset [B, T] is 1 where a token starts
 * a document: S is 0 before it.
 */
export function deltaScan(
  { q, k, v, alpha, beta }: Readonly<Record<'q' | 'k' | 'v' | 'alpha' | 'beta', Tensor>>,
  heads: number,
  reset?: Tensor,
  state?: Tensor,
): { h: Tensor; lastState: Tensor } {
  requireCount('deltaScan', 'heads', heads);
  const [batch, length] = q.shape;
  const [keyDim, valueDim] = [q.cols / heads, v.cols / heads];
  requireShape(
    q.shape.length === 3 && q.shape.join() === k.shape.join() && Number.isInteger(keyDim),
    'deltaScan',
    `q and k [B, T, H·DK], H = ${heads}`,
    q,
    k,
  );
  requireShape(v.rows === q.rows && Number.isInteger(valueDim), 'deltaScan', 'v [B, T, H·DV]', q, v);
  requireShape(
    !reset || reset.shape.join() === [batch, length].join(),
    'deltaScan',
    `reset [${batch}, ${length}]`,
    reset,
  );
  for (const gate of [alpha, beta]) {
    requireShape(gate.rows === q.rows && gate.cols === heads, 'deltaScan', `gates [B, T, ${heads}]`, gate);
  }
  const shape = [batch, heads, keyDim, valueDim];
  requireShape(!state || state.shape.join() === shape.join(), 'deltaScan', `a state [${shape}]`, state);
  const { h, lastState } = createNode(
    deltaScanOp,
    { q, k, v, alpha, beta, reset, state },
    { h: v.shape, lastState: shape },
    { batch, length, heads, keyDim, valueDim },
  );
  return { h, lastState };
}
