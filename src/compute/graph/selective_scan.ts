import { WIDEST_VECTOR } from '../program/constants.ts';
import { chunkOfScan, type EngineLimits } from '../program/limits.ts';
import { attributes, defineOp, type Tensor } from './op.ts';
import { createNode, requireShape } from './tensor.ts';

type SelectiveScanAttributes = Readonly<Record<'batch' | 'length' | 'dim' | 'states', number>>;

/** Tokens between two states that the backward pass starts from: a thread takes a vector of channels at once. */
const chunkOf = ({ states }: SelectiveScanAttributes, limits: EngineLimits): number =>
  chunkOfScan(states * WIDEST_VECTOR, limits);

const selectiveScanOp = defineOp({
  name: 'selectiveScan',
  inputs: ['x', 'delta', 'a', 'b', 'c', 'reset?', 'state?'],
  outputs: ['y', 'lastState?'],
  ...attributes<SelectiveScanAttributes>(),
  constants: ['reset'],
  strided: ['y'],
  inPlace: { lastState: 'state' },
  residuals({ attributes }, { limits }) {
    const { batch, length, dim, states } = attributes;
    return { chunkStates: [batch, Math.ceil(length / chunkOf(attributes, limits)), states, dim] };
  },
  gradient(node, d) {
    const { x, delta, a, b, c } = node.inputs;
    return createNode(
      selectiveScanBackwardOp,
      { ...node.inputs, ...d },
      {
        dx: x.shape,
        ddelta: delta.shape,
        da: a.shape,
        db: b.shape,
        dc: c.shape,
        dstate: node.outputs.lastState.shape,
      },
      node.attributes,
      node,
    );
  },
  emit(node, to) {
    const { attributes } = node;
    const chunk = chunkOf(attributes, to.limits);
    to.call('selectiveScanForward', node, { ...attributes, chunk }, ['chunkStates']);
  },
});

const selectiveScanBackwardOp = defineOp({
  name: 'selectiveScanBackward',
  backwardOf: 'selectiveScan',
  inputs: ['x', 'delta', 'a', 'b', 'c', 'reset?', 'dy', 'dlastState?'],
  outputs: ['dx', 'ddelta', 'da', 'db', 'dc', 'dstate'],
  ...attributes<SelectiveScanAttributes>(),
  strided: ['dx', 'ddelta', 'db', 'dc'],
  emit(node, to) {
    const { attributes } = node;
    const chunk = chunkOf(attributes, to.limits);
    to.call('selectiveScanBackward', node, { ...attributes, chunk }, ['chunkStates']);
  },
});

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
  requireShape(
    !reset || reset.shape.join() === [batch, length].join(),
    'selectiveScan',
    `reset [${batch}, ${length}]`,
    reset,
  );
  const shape = [batch, states, dim];
  requireShape(!state || state.shape.join() === shape.join(), 'selectiveScan', `a state [${shape}]`, state);
  const { y, lastState } = createNode(
    selectiveScanOp,
    { x, delta, a, b, c, reset, state },
    { y: x.shape, lastState: shape },
    { batch, length, dim, states },
  );
  return { y, lastState };
}
