import { multiply } from './elementwise.ts';
import { columns } from './emit.ts';
import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';

/** The matrix memory C [B, H, DK, DV], the normalizer n [B, H, DK] and the stabilizer m [B, H] of an mLSTM cell. */
export interface MlstmState {
  readonly c: Tensor;
  readonly n: Tensor;
  readonly m: Tensor;
}

export interface MlstmOptions {
  readonly heads: number;
  /** Scales k inside the state (original architecture: 1/√DK). */
  readonly keyScale: number;
  /** Scales q at read-out (xLSTM Large: 1/√DK). */
  readonly queryScale: number;
  readonly eps: number;
  /** Tokens of a chunk: the cost within it is quadratic, between chunks linear. Default: `mlstmChunk`. */
  readonly chunk?: number;
}

export interface MlstmInputs {
  readonly q: Tensor; // [B, T, H·DK]
  readonly k: Tensor; // [B, T, H·DK]
  readonly v: Tensor; // [B, T, H·DV]
  readonly inputGate: Tensor; // [B, T, H], pre-activation
  readonly forgetGate: Tensor; // [B, T, H], pre-activation
  readonly reset?: Tensor; // [B, T], 1 where a document starts
  readonly state?: MlstmState;
}

/**
 * Tokens of a chunk. A sequence of up to 256 tokens is one chunk where the head is wide: carrying no state at all is
 * then the fastest. Wide heads gain from longer chunks, which halve the states that are saved. A chunk's rows must fit
 * a thread's workspace (see mlstmForward in the kernel table).
 */
export function mlstmChunk(length: number, keyDim: number, valueDim: number): number {
  const widest = Math.max(keyDim, valueDim);
  const fits = (rows: number): boolean => rows * (3 * keyDim + 2 * valueDim + widest + 2 * rows) <= 1e6;
  if (length <= 256 && length <= 2 * widest && fits(length)) return length;
  let chunk = widest >= 256 ? 128 : 64;
  while (chunk > 1 && !fits(chunk)) chunk /= 2;
  return chunk;
}

const mlstmOp: Op<Required<MlstmOptions>> = {
  name: 'mlstm',
  stridedOutputs: [0],
  inPlace: { 1: 6, 2: 7, 3: 8 },
  backward(node, [dh, dlastC, dlastN]) {
    if (!dh && !dlastC && !dlastN) return [];
    const [q, k, v, i, f, reset, c, n] = node.inputs as Inputs;
    const [h, lastC, lastN, , chunkStates, chunkMaxima, tokenStats] = node.outputs;
    const [dq, dk, dv, di, df, dc, dn] = createNode(
      mlstmBackwardOp,
      [q, k, v, i, f, reset, h, chunkStates, chunkMaxima, tokenStats, dh ?? multiply(h, 0), dlastC, dlastN],
      node.attributes,
      [q.shape, k.shape, v.shape, i.shape, f.shape, lastC.shape, lastN.shape],
    );
    return [dq, dk, dv, di, df, undefined, c && dc, n && dn, undefined];
  },
  emit(node, to) {
    const [q, k, v, i, f, reset, c, n, m] = node.inputs as Inputs;
    const [h, lastC, lastN, lastM, chunkStates, chunkMaxima, tokenStats] = node.outputs;
    const { heads, keyScale, queryScale, eps, chunk } = node.attributes;
    const [batch, length] = q.shape;
    const common = {
      batch,
      heads,
      keyDim: q.cols / heads,
      valueDim: v.cols / heads,
      keyScale,
      queryScale,
      eps,
      ...columns(to, { q, k, v, i, f, h }),
      reset: to.contiguous(reset),
      c: to.contiguous(c),
      n: to.contiguous(n),
      m: to.contiguous(m),
    };
    const saved = to.wantedContiguous(chunkStates);
    if (length === 1 && saved === 0) {
      to.call('mlstmStep', {
        ...common,
        lastC: to.contiguous(lastC),
        lastN: to.contiguous(lastN),
        lastM: to.contiguous(lastM),
      });
      return;
    }
    to.call('mlstmForward', {
      ...common,
      length,
      chunk,
      lastC: to.wantedContiguous(lastC),
      lastN: to.wantedContiguous(lastN),
      lastM: to.wantedContiguous(lastM),
      chunkStates: saved,
      chunkMaxima: to.wantedContiguous(chunkMaxima),
      tokenStats: to.wantedContiguous(tokenStats),
    });
  },
};

const mlstmBackwardOp: Op<Required<MlstmOptions>> = {
  name: 'mlstmBackward',
  stridedOutputs: [0, 1, 2, 3, 4],
  emit(node, to) {
    const [q, k, v, i, f, reset, h, chunkStates, chunkMaxima, tokenStats, dh, dlastC, dlastN] =
      node.inputs as BackwardInputs;
    const [dq, dk, dv, di, df, dc, dn] = node.outputs;
    const { heads, keyScale, queryScale, eps, chunk } = node.attributes;
    const [batch, length] = q.shape;
    to.call('mlstmBackward', {
      batch,
      length,
      heads,
      keyDim: q.cols / heads,
      valueDim: v.cols / heads,
      chunk,
      keyScale,
      queryScale,
      eps,
      ...columns(to, { q, k, v, i, f, h, dh, dq, dk, dv, di, df }),
      reset: to.contiguous(reset),
      chunkStates: to.contiguous(chunkStates),
      chunkMaxima: to.contiguous(chunkMaxima),
      tokenStats: to.contiguous(tokenStats),
      dlastC: to.contiguous(dlastC),
      dlastN: to.contiguous(dlastN),
      dc: to.wantedContiguous(dc),
      dn: to.wantedContiguous(dn),
    });
  },
};

type Maybe = Tensor | undefined;
type Inputs = [
  q: Tensor,
  k: Tensor,
  v: Tensor,
  i: Tensor,
  f: Tensor,
  reset: Maybe,
  c: Maybe,
  n: Maybe,
  m: Maybe,
];
type BackwardInputs = [
  q: Tensor,
  k: Tensor,
  v: Tensor,
  i: Tensor,
  f: Tensor,
  reset: Maybe,
  h: Tensor,
  chunkStates: Tensor,
  chunkMaxima: Tensor,
  tokenStats: Tensor,
  dh: Tensor,
  dlastC: Maybe,
  dlastN: Maybe,
];

/**
 * mLSTM over a sequence: chunkwise where T > 1, recurrent where T = 1 and no gradient is asked for. Gradients are exact,
 * also through the state that is passed in and the one that is handed out; m counts as a constant.
 */
export function mlstm(
  { q, k, v, inputGate, forgetGate, reset, state }: MlstmInputs,
  options: MlstmOptions,
): { h: Tensor; state: MlstmState } {
  const { heads } = options;
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
  const chunk = options.chunk ?? mlstmChunk(length, keyDim, valueDim);
  const chunks = Math.ceil(length / chunk);
  const cShape = [batch, heads, keyDim, valueDim];
  requireShape(!state || state.c.shape.join() === cShape.join(), 'mlstm', `a state C [${cShape}]`, state?.c);
  const [h, c, n, m] = createNode(
    mlstmOp,
    [q, k, v, inputGate, forgetGate, reset, state?.c, state?.n, state?.m],
    { ...options, chunk },
    [
      v.shape,
      cShape,
      [batch, heads, keyDim],
      [batch, heads],
      [batch, heads, chunks, keyDim, valueDim + 1],
      [batch, heads, chunks],
      [batch, heads, length, 2],
    ],
  );
  return { h, state: { c, n, m } };
}
