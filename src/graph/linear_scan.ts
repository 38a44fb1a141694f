import { multiply } from './elementwise.ts';
import { columns } from './emit.ts';
import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';

type Inputs = [a: Tensor, b: Tensor, reset?: Tensor, state?: Tensor];

const linearScanOp: Op = {
  name: 'linearScan',
  stridedOutputs: [0],
  inPlace: { 1: 3 },
  backward(node, [dy, dlastState]) {
    if (!dy && !dlastState) return [];
    const [a, b, reset, state] = node.inputs as Inputs;
    const [y, lastState] = node.outputs;
    const [da, db, dstate] = createNode(
      linearScanBackwardOp,
      [a, reset, state, y, dy ?? multiply(y, 0), dlastState],
      undefined,
      [a.shape, b.shape, lastState.shape],
    );
    return [da, db, undefined, state && dstate];
  },
  emit(node, to) {
    const [a, b, reset, state] = node.inputs as Inputs;
    const [y, lastState] = node.outputs;
    const [batch, length, dim] = a.shape;
    to.call('linearScanForward', {
      batch,
      length,
      dim,
      ...columns(to, { a, b, y }),
      reset: to.contiguous(reset),
      state: to.contiguous(state),
      lastState: to.wantedContiguous(lastState),
    });
  },
};

const linearScanBackwardOp: Op = {
  name: 'linearScanBackward',
  stridedOutputs: [0, 1],
  emit(node, to) {
    const [a, reset, state, y, dy, dlastState] = node.inputs as [
      a: Tensor,
      reset: Tensor | undefined,
      state: Tensor | undefined,
      y: Tensor,
      dy: Tensor,
      dlastState?: Tensor,
    ];
    const [da, db, dstate] = node.outputs;
    const [batch, length, dim] = a.shape;
    to.call('linearScanBackward', {
      batch,
      length,
      dim,
      ...columns(to, { a, y, dy, da, db }),
      reset: to.contiguous(reset),
      state: to.contiguous(state),
      dlastState: to.contiguous(dlastState),
      dstate: to.wantedContiguous(dstate),
    });
  },
};

/**
 * y_t = a_t ∘ y_{t−1} + b_t over a, b [B, T, D]; state [B, D] is y before the sequence. reset [B, T] is 1 where a token
 * starts a document: y is 0 before it.
 */
export function linearScan(
  a: Tensor,
  b: Tensor,
  reset?: Tensor,
  state?: Tensor,
): { y: Tensor; lastState: Tensor } {
  const [batch, , dim] = a.shape;
  requireShape(
    a.shape.length === 3 && b.shape.join() === a.shape.join(),
    'linearScan',
    'a and b [B, T, D]',
    a,
    b,
  );
  requireShape(
    !state || state.shape.join() === [batch, dim].join(),
    'linearScan',
    `a state [${batch}, ${dim}]`,
    state,
  );
  const [y, lastState] = createNode(linearScanOp, [a, b, reset, state], undefined, [a.shape, [batch, dim]]);
  return { y, lastState };
}
