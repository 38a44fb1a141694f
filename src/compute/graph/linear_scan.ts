import { defineOp, oneCall, type Tensor } from './op.ts';
import { createNode, requireShape } from './tensor.ts';

const linearScanOp = defineOp({
  name: 'linearScan',
  ...oneCall('linearScanForward'),
  constants: ['reset'],
  inPlace: { lastState: 'state' },
  gradient({ inputs, outputs: { y, lastState }, attributes }, d) {
    const { a, b } = inputs;
    const shapes = { da: a.shape, db: b.shape, dstate: lastState.shape };
    return createNode(linearScanBackwardOp, { ...inputs, y, ...d }, shapes, attributes);
  },
});

const linearScanBackwardOp = defineOp({ name: 'linearScanBackward', ...oneCall('linearScanBackward') });

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
  const [batch, length, dim] = a.shape;
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
  requireShape(
    !reset || reset.shape.join() === [batch, length].join(),
    'linearScan',
    `reset [${batch}, ${length}]`,
    reset,
  );
  const shapes = { y: a.shape, lastState: [batch, dim] };
  const { y, lastState } = createNode(linearScanOp, { a, b, reset, state }, shapes, { batch, length, dim });
  return { y, lastState };
}
