import { alignUp } from '../program/region.ts';
import { multiply } from './elementwise.ts';
import { columns } from './emit.ts';
import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';

interface DeltaScanAttributes {
  readonly heads: number;
  /** Tokens between two states that the backward pass starts from. */
  readonly chunk: number;
}

/** Elements of the states of one chunk: a quarter of a thread's workspace holds them. */
const CHUNK_ELEMENTS = 1 << 18;

type Inputs = [q: Tensor, k: Tensor, v: Tensor, alpha: Tensor, beta: Tensor, reset?: Tensor, state?: Tensor];

const sizes = (q: Tensor, v: Tensor, { heads, chunk }: DeltaScanAttributes) => ({
  batch: q.shape[0],
  length: q.shape[1],
  heads,
  keyDim: q.cols / heads,
  valueDim: v.cols / heads,
  chunk,
});

const deltaScanOp: Op<DeltaScanAttributes> = {
  name: 'deltaScan',
  stridedOutputs: [0],
  inPlace: { 1: 6 },
  backward(node, [dh, dlastState]) {
    if (!dh && !dlastState) return [];
    const [q, k, v, alpha, beta, reset, state] = node.inputs as Inputs;
    const [h, lastState, chunkStates] = node.outputs;
    const [dq, dk, dv, dalpha, dbeta, dstate] = createNode(
      deltaScanBackwardOp,
      [q, k, v, alpha, beta, reset, chunkStates, dh ?? multiply(h, 0), dlastState],
      node.attributes,
      [q.shape, k.shape, v.shape, alpha.shape, beta.shape, lastState.shape],
    );
    return [dq, dk, dv, dalpha, dbeta, undefined, state && dstate];
  },
  emit(node, to) {
    const [q, k, v, alpha, beta, reset, state] = node.inputs as Inputs;
    const [h, lastState, chunkStates] = node.outputs;
    to.call('deltaScanForward', {
      ...sizes(q, v, node.attributes),
      ...columns(to, { q, k, v, alpha, beta, h }),
      reset: to.contiguous(reset),
      state: to.contiguous(state),
      lastState: to.wantedContiguous(lastState),
      chunkStates: to.wantedContiguous(chunkStates),
    });
  },
};

const deltaScanBackwardOp: Op<DeltaScanAttributes> = {
  name: 'deltaScanBackward',
  stridedOutputs: [0, 1, 2, 3, 4],
  emit(node, to) {
    const [q, k, v, alpha, beta, reset, chunkStates, dh, dlastState] = node.inputs as [
      q: Tensor,
      k: Tensor,
      v: Tensor,
      alpha: Tensor,
      beta: Tensor,
      reset: Tensor | undefined,
      chunkStates: Tensor,
      dh: Tensor,
      dlastState?: Tensor,
    ];
    const [dq, dk, dv, dalpha, dbeta, dstate] = node.outputs;
    to.call('deltaScanBackward', {
      ...sizes(q, v, node.attributes),
      ...columns(to, { q, k, v, alpha, beta, dh, dq, dk, dv, dalpha, dbeta }),
      reset: to.contiguous(reset),
      chunkStates: to.contiguous(chunkStates),
      dlastState: to.contiguous(dlastState),
      dstate: to.wantedContiguous(dstate),
    });
  },
};

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
  const stateElements = keyDim * alignUp(valueDim);
  requireShape(stateElements <= CHUNK_ELEMENTS, 'deltaScan', 'DK · DV of at most 2^18', q, v);
  for (const gate of [alpha, beta]) {
    requireShape(gate.rows === q.rows && gate.cols === heads, 'deltaScan', `gates [B, T, ${heads}]`, gate);
  }
  const shape = [batch, heads, keyDim, valueDim];
  requireShape(!state || state.shape.join() === shape.join(), 'deltaScan', `a state [${shape}]`, state);
  const chunk = Math.min(16, Math.floor(CHUNK_ELEMENTS / stateElements));
  const [h, lastState] = createNode(deltaScanOp, [q, k, v, alpha, beta, reset, state], { heads, chunk }, [
    v.shape,
    shape,
    [batch, heads, Math.ceil(length / chunk), keyDim, valueDim],
  ]);
  return { h, lastState };
}
