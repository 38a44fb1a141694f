import { defineOp, oneCall, type Tensor } from './op.ts';
import { requireCount } from './options.ts';
import { createNode, requireShape } from './tensor.ts';

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

const attentionOp = defineOp({
  name: 'attention',
  ...oneCall('attentionForward'),
  constants: ['counts', 'keys', 'values', 'lastKeys', 'lastValues'],
  inPlace: { lastKeys: 'keys', lastValues: 'values' },
  gradient({ inputs, outputs: { h, logSums }, attributes }, d) {
    const { q, k, v } = inputs;
    const shapes = { dq: q.shape, dk: k.shape, dv: v.shape };
    return createNode(attentionBackwardOp, { ...inputs, h, logSums, ...d }, shapes, attributes);
  },
});

const attentionBackwardOp = defineOp({ name: 'attentionBackward', ...oneCall('attentionBackward') });

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
  requireCount('attention', 'heads', heads);
  requireCount('attention', 'window', window);
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
  const { h, lastKeys, lastValues } = createNode(
    attentionOp,
    { q, k, v, counts, keys: state?.keys, values: state?.values },
    { h: q.shape, lastKeys: cache, lastValues: cache, logSums: [batch, heads, length] },
    { batch, length, heads, headDim, window, scale: 1 / Math.sqrt(headDim) },
  );
  return { h, state: { keys: lastKeys, values: lastValues } };
}
