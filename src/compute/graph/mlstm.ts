import { fitsThread } from '../program/kernels.ts';
import {
  attributes,
  defineOp,
  type KernelNumbers,
  type Named,
  type Node,
  type Planning,
  type Tensor,
} from './op.ts';
import { requireCount, requireFinite, requireNotNegative } from './options.ts';
import { createNode, requireShape } from './tensor.ts';

/** The matrix memory C [B, H, DK, DV], the normalizer n [B, H, DK] and the stabilizer m [B, H] of an mLSTM cell. */
export interface MlstmState {
  /** Σ of values times keys, each weighed by its gates: [B, H, DK, DV]. */
  readonly c: Tensor;
  /** Σ of keys, weighed alike: [B, H, DK]. */
  readonly n: Tensor;
  /** The logarithm that C and n are scaled by: [B, H]. */
  readonly m: Tensor;
}

/** What is fixed of an mLSTM cell. Throws a usage error for a number that is none of its kind. */
export interface MlstmOptions {
  /** H: q, k and v are cut into so many heads of equal width. */
  readonly heads: number;
  /** Scales k inside the state (original architecture: 1/√DK). */
  readonly keyScale: number;
  /** Scales q at read-out (xLSTM Large: 1/√DK). */
  readonly queryScale: number;
  /** Added to the read-out's denominator; not below 0. */
  readonly eps: number;
  /** Tokens of a chunk: the cost within it is quadratic, between chunks linear. Default: what suits the engine. */
  readonly chunk?: number;
}

/** What an mLSTM cell reads of each step. */
export interface MlstmInputs {
  /** Queries: [B, T, H·DK], head h in the columns from h·DK on. */
  readonly q: Tensor;
  /** Keys: [B, T, H·DK]. */
  readonly k: Tensor;
  /** Values: [B, T, H·DV]. */
  readonly v: Tensor;
  /** i, before its exponential: [B, T, H]. */
  readonly inputGate: Tensor;
  /** f, before its sigmoid: [B, T, H]. */
  readonly forgetGate: Tensor;
  /** 1 where a document starts: the state is 0 before that token: [B, T]. Left out: nowhere. */
  readonly reset?: Tensor;
  /** The state before the first token. Left out: all zeros. */
  readonly state?: MlstmState;
}

type MlstmAttributes = Omit<KernelNumbers<'mlstmForward'>, 'chunk'> & Pick<MlstmOptions, 'chunk'>;

/** A node that `mlstm` made. */
export interface MlstmNode extends Node {
  readonly inputs: Named;
  readonly outputs: Named;
  readonly attributes: MlstmAttributes;
}

export const isMlstm = (node: Node): node is MlstmNode => node.op === mlstmOp;

/** The passes by chunks. */
const kernelsOf = {
  f32: { forward: 'mlstmForward', backward: 'mlstmBackward' },
  bf16: { forward: 'mlstmForwardBf16', backward: 'mlstmBackwardBf16' },
} as const;

/** Tokens of a chunk, the same in both passes. */
function chunkOf(attributes: MlstmAttributes, { limits, precision }: Planning): number {
  if (attributes.chunk !== undefined) return attributes.chunk;
  const { length, keyDim, valueDim } = attributes;
  const { narrow, wide, wideFrom, whole } = limits.mlstmChunk;
  const widest = Math.max(keyDim, valueDim);
  const fits = (chunk: number): boolean =>
    fitsThread(kernelsOf[precision].backward, { chunk, length, keyDim, valueDim }, limits);
  if (length <= whole && length <= 2 * widest && fits(length)) return length;
  let chunk = widest >= wideFrom ? wide : narrow;
  while (chunk > 1 && !fits(chunk)) chunk = Math.floor(chunk / 2);
  return chunk;
}

/** What the forward pass leaves for the backward pass. */
const SAVED = ['chunkStates', 'chunkMaxima', 'tokenStats'] as const;

const mlstmOp = defineOp({
  name: 'mlstm',
  inputs: ['q', 'k', 'v', 'i', 'f', 'reset?', 'c?', 'n?', 'm?'],
  outputs: ['h', 'lastC?', 'lastN?', 'lastM?'],
  ...attributes<MlstmAttributes>(),
  constants: ['reset', 'm'],
  strided: ['h'],
  inPlace: { lastC: 'c', lastN: 'n', lastM: 'm' },
  residuals({ attributes }, planning) {
    const { batch, length, heads, keyDim, valueDim } = attributes;
    const chunks = Math.ceil(length / chunkOf(attributes, planning));
    return {
      chunkStates: [batch, heads, chunks, keyDim, valueDim + 1],
      chunkMaxima: [batch, heads, chunks],
      tokenStats: [batch, heads, length, 2],
    };
  },
  gradient(node, d) {
    const { q, k, v, i, f } = node.inputs;
    const { h, lastC, lastN } = node.outputs;
    return createNode(
      mlstmBackwardOp,
      { ...node.inputs, h, ...d },
      { dq: q.shape, dk: k.shape, dv: v.shape, di: i.shape, df: f.shape, dc: lastC.shape, dn: lastN.shape },
      node.attributes,
      node,
    );
  },
  emit(node, to) {
    const { attributes } = node;
    if (attributes.length === 1 && !to.differentiated) {
      to.call('mlstmStep', node, attributes);
      return;
    }
    const chunk = chunkOf(attributes, to);
    to.call(kernelsOf[to.precision].forward, node, { ...attributes, chunk }, SAVED);
  },
});

const mlstmBackwardOp = defineOp({
  name: 'mlstmBackward',
  backwardOf: 'mlstm',
  inputs: ['q', 'k', 'v', 'i', 'f', 'reset?', 'h', 'dh', 'dlastC?', 'dlastN?'],
  outputs: ['dq', 'dk', 'dv', 'di', 'df', 'dc', 'dn'],
  ...attributes<MlstmAttributes>(),
  strided: ['dq', 'dk', 'dv', 'di', 'df'],
  emit(node, to) {
    const { attributes } = node;
    const chunk = chunkOf(attributes, to);
    to.call(kernelsOf[to.precision].backward, node, { ...attributes, chunk }, SAVED);
  },
});

/**
 * The mLSTM cell over a sequence (Beck et al. 2024), for each head, with k̂ = keyScale · k and q̂ = queryScale · q:
 *
 * ```text
 * m_t = max(logσ(f_t) + m_{t−1}, i_t)
 * F = exp(logσ(f_t) + m_{t−1} − m_t)     I = exp(i_t − m_t)
 * C_t = F C_{t−1} + I k̂_t v_tᵀ           n_t = F n_{t−1} + I k̂_t
 * h_t = C_tᵀ q̂_t / (max(|n_t · q̂_t|, exp(−m_t)) + eps)
 * ```
 *
 * Chunkwise where T > 1 or a gradient is asked for, else recurrent. Gradients are exact, also through the state that is
 * passed in and the one that is handed out; m counts as a constant.
 *
 * @param inputs Queries, keys, values, gates and the state before.
 */
export function mlstm(
  { q, k, v, inputGate, forgetGate, reset, state }: MlstmInputs,
  options: MlstmOptions,
): {
  /** [B, T, H·DV] */
  h: Tensor;
  /** After the last token. */
  state: MlstmState;
} {
  const { heads } = options;
  requireCount('mlstm', 'heads', heads);
  requireFinite('mlstm', 'keyScale', options.keyScale);
  requireFinite('mlstm', 'queryScale', options.queryScale);
  requireNotNegative('mlstm', 'eps', options.eps);
  if (options.chunk !== undefined) requireCount('mlstm', 'chunk', options.chunk);
  const [batch, length] = q.shape;
  const [keyDim, valueDim] = [q.cols / heads, v.cols / heads];
  requireShape(
    q.shape.length === 3 && q.shape.join() === k.shape.join(),
    'mlstm',
    'q and k [B, T, H·DK]',
    q,
    k,
  );
  requireShape(
    v.rows === q.rows && Number.isInteger(keyDim) && Number.isInteger(valueDim),
    'mlstm',
    `v [B, T, H·DV], H = ${heads}`,
    q,
    v,
  );
  for (const gate of [inputGate, forgetGate]) {
    requireShape(gate.rows === q.rows && gate.cols === heads, 'mlstm', `gates [B, T, ${heads}]`, gate);
  }
  const cShape = [batch, heads, keyDim, valueDim];
  requireShape(
    !reset || reset.shape.join() === [batch, length].join(),
    'mlstm',
    `reset [${batch}, ${length}]`,
    reset,
  );
  requireShape(!state || state.c.shape.join() === cShape.join(), 'mlstm', `a state C [${cShape}]`, state?.c);
  const nShape = [batch, heads, keyDim];
  requireShape(!state || state.n.shape.join() === nShape.join(), 'mlstm', `a state n [${nShape}]`, state?.n);
  const mShape = [batch, heads];
  requireShape(!state || state.m.shape.join() === mShape.join(), 'mlstm', `a state m [${mShape}]`, state?.m);
  const { keyScale, queryScale, eps, chunk } = options;
  const { h, lastC, lastN, lastM } = createNode(
    mlstmOp,
    { q, k, v, i: inputGate, f: forgetGate, reset, c: state?.c, n: state?.n, m: state?.m },
    { h: v.shape, lastC: cShape, lastN: nShape, lastM: mShape },
    { batch, length, heads, keyDim, valueDim, keyScale, queryScale, eps, chunk },
  );
  return { h, state: { c: lastC, n: lastN, m: lastM } };
}
