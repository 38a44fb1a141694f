import { multiply } from './elementwise.ts';
import { columns } from './emit.ts';
import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';

/** Tokens between two states that the backward pass starts from. */
const CHUNK = 16;

type Inputs = [x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, reset?: Tensor, state?: Tensor];

const sizes = (x: Tensor, a: Tensor) => ({
  batch: x.shape[0],
  length: x.shape[1],
  dim: x.cols,
  states: a.rows,
  chunk: CHUNK,
});

const selectiveScanOp: Op = {
  name: 'selectiveScan',
  stridedOutputs: [0],
  inPlace: { 1: 6 },
  backward(node, [dy, dlastState]) {
    if (!dy && !dlastState) return [];
    const [x, delta, a, b, c, reset, state] = node.inputs as Inputs;
    const [y, lastState, chunkStates] = node.outputs;
    const [dx, ddelta, da, db, dc, dstate] = createNode(
      selectiveScanBackwardOp,
      [x, delta, a, b, c, reset, chunkStates, dy ?? multiply(y, 0), dlastState],
      undefined,
      [x.shape, delta.shape, a.shape, b.shape, c.shape, lastState.shape],
    );
    return [dx, ddelta, da, db, dc, undefined, state && dstate];
  },
  emit(node, to) {
    const [x, delta, a, b, c, reset, state] = node.inputs as Inputs;
    const [y, lastState, chunkStates] = node.outputs;
    to.call('selectiveScanForward', {
      ...sizes(x, a),
      ...columns(to, { x, delta, b, c, y }),
      a: to.contiguous(a),
      reset: to.contiguous(reset),
      state: to.contiguous(state),
      lastState: to.wantedContiguous(lastState),
      chunkStates: to.wantedContiguous(chunkStates),
    });
  },
};

const selectiveScanBackwardOp: Op = {
  name: 'selectiveScanBackward',
  stridedOutputs: [0, 1, 3, 4],
  emit(node, to) {
    const [x, delta, a, b, c, reset, chunkStates, dy, dlastState] = node.inputs as [
      x: Tensor,
      delta: Tensor,
      a: Tensor,
      b: Tensor,
      c: Tensor,
      reset: Tensor | undefined,
      chunkStates: Tensor,
      dy: Tensor,
      dlastState?: Tensor,
    ];
    const [dx, ddelta, da, db, dc, dstate] = node.outputs;
    to.call('selectiveScanBackward', {
      ...sizes(x, a),
      ...columns(to, { x, delta, b, c, dy, dx, ddelta, db, dc }),
      a: to.contiguous(a),
      reset: to.contiguous(reset),
      chunkStates: to.contiguous(chunkStates),
      dlastState: to.contiguous(dlastState),
      da: to.contiguous(da),
      dstate: to.wantedContiguous(dstate),
    });
  },
};

/**
 * Selective scan (Gu and Dao 2023): h_t[s, d] = exp(δ_t[d] a[s, d]) h_{t−1}[s, d] + δ_t[d] b_t[s] x_t[d],
 * y_t[d] = Σ_s c_t[s] h_t[s, d]. x, delta [B, T, D]; a [S, D]; b, c [B, T, S]; state [B, S, D]; reset [B, T] is 1 where a
 * token starts a document: h is 0 before it.
 */
export function selectiveScan(
  { x, delta, a, b, c }: Readonly<Record<'x' | 'delta' | 'a' | 'b' | 'c', Tensor>>,
  reset?: Tensor,
  state?: Tensor,
): { y: Tensor; lastState: Tensor } {
  const [batch, length, dim] = x.shape;
  const states = a.rows;
  requireShape(
    x.shape.length === 3 && delta.shape.join() === x.shape.join(),
    'selectiveScan',
    'x and delta [B, T, D]',
    x,
    delta,
  );
  requireShape(a.shape.join() === [states, dim].join(), 'selectiveScan', `a [S, ${dim}]`, a);
  for (const t of [b, c]) {
    requireShape(t.rows === x.rows && t.cols === states, 'selectiveScan', `b and c [B, T, ${states}]`, t);
  }
  const shape = [batch, states, dim];
  requireShape(!state || state.shape.join() === shape.join(), 'selectiveScan', `a state [${shape}]`, state);
  const [y, lastState] = createNode(selectiveScanOp, [x, delta, a, b, c, reset, state], undefined, [
    x.shape,
    shape,
    [batch, Math.ceil(length / CHUNK), states, dim],
  ]);
  return { y, lastState };
}
