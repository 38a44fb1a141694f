import { invariant } from '../errors.ts';
import { columns } from './emit.ts';
import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';

/** Keys and values of the tokens before a sequence, each [B, H, window, DH]: a ring, see the kernel table. */
export interface AttentionState {
  readonly keys: Tensor;
  readonly values: Tensor;
}

export interface AttentionOptions {
  readonly heads: number;
  /** Tokens that a token sees at most, itself included. */
  readonly window: number;
}

type Inputs = [q: Tensor, k: Tensor, v: Tensor, counts: Tensor, keys?: Tensor, values?: Tensor];

const sizes = (q: Tensor, { heads, window }: AttentionOptions) => ({
  batch: q.shape[0],
  length: q.shape[1],
  heads,
  headDim: q.cols / heads,
  window,
  scale: 1 / Math.sqrt(q.cols / heads),
});

const attentionOp: Op<AttentionOptions> = {
  name: 'attention',
  stridedOutputs: [0],
  inPlace: { 1: 4, 2: 5 },
  backward(node, [dh, dlastKeys, dlastValues]) {
    invariant(
      !dlastKeys && !dlastValues,
      'attention: no gradient flows through the keys and values of a state',
    );
    if (!dh) return [];
    const [q, k, v, counts, keys, values] = node.inputs as Inputs;
    const [h, , , logSums] = node.outputs;
    const [dq, dk, dv] = createNode(
      attentionBackwardOp,
      [q, k, v, counts, keys, values, h, logSums, dh],
      node.attributes,
      [q.shape, k.shape, v.shape],
    );
    return [dq, dk, dv];
  },
  emit(node, to) {
    const [q, k, v, counts, keys, values] = node.inputs as Inputs;
    const [h, lastKeys, lastValues, logSums] = node.outputs;
    to.call('attentionForward', {
      ...sizes(q, node.attributes),
      ...columns(to, { q, k, v, h }),
      counts: to.contiguous(counts),
      keys: to.contiguous(keys),
      values: to.contiguous(values),
      lastKeys: to.wantedContiguous(lastKeys),
      lastValues: to.wantedContiguous(lastValues),
      logSums: to.wantedContiguous(logSums),
    });
  },
};

const attentionBackwardOp: Op<AttentionOptions> = {
  name: 'attentionBackward',
  stridedOutputs: [0, 1, 2],
  emit(node, to) {
    const [q, k, v, counts, keys, values, h, logSums, dh] = node.inputs as [
      q: Tensor,
      k: Tensor,
      v: Tensor,
      counts: Tensor,
      keys: Tensor | undefined,
      values: Tensor | undefined,
      h: Tensor,
      logSums: Tensor,
      dh: Tensor,
    ];
    const [dq, dk, dv] = node.outputs;
    to.call('attentionBackward', {
      ...sizes(q, node.attributes),
      ...columns(to, { q, k, v, h, dh, dq, dk, dv }),
      counts: to.contiguous(counts),
      keys: to.contiguous(keys),
      values: to.contiguous(values),
      logSums: to.contiguous(logSums),
    });
  },
};

/**
 * Causal softmax attention over q, k, v [B, T, H·DH]. counts [B, T, 1] is the number of each token in its document, from
 * 1 on: a token sees its own document, and of it the last `window` tokens. The state is of constant size; no gradient
 * flows through it.
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  counts: Tensor,
  state: AttentionState | undefined,
  options: AttentionOptions,
): { h: Tensor; state: AttentionState } {
  const { heads, window } = options;
  const [batch, length] = q.shape;
  const headDim = q.cols / heads;
  requireShape(
    q.shape.length === 3 &&
      Number.isInteger(headDim) &&
      k.shape.join() === q.shape.join() &&
      v.shape.join() === q.shape.join(),
    'attention',
    `q, k, v [B, T, H·DH], H = ${heads}`,
    q,
    k,
    v,
  );
  requireShape(counts.rows * counts.cols === batch * length, 'attention', 'counts [B, T, 1]', counts);
  const cache = [batch, heads, window, headDim];
  for (const part of [state?.keys, state?.values]) {
    requireShape(!part || part.shape.join() === cache.join(), 'attention', `a state [${cache}]`, part);
  }
  const [h, keys, values] = createNode(attentionOp, [q, k, v, counts, state?.keys, state?.values], options, [
    q.shape,
    cache,
    cache,
    [batch, heads, length],
  ]);
  return { h, state: { keys, values } };
}
