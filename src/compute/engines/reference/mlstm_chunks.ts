import { nearestBfloat16 } from '../../program/packing.ts';
import { logSigmoid, sigmoid } from './math.ts';
import { type State, savedEntry, saveEntry, stateAt, type Token, tokenAt } from './mlstm.ts';
import type { Operands } from './operands.ts';

/** Rows of numbers. */
type Matrix = readonly Float64Array[];
type Round = (x: number) => number;

const matrix = (rows: number, columns: number, at: (row: number, column: number) => number): Matrix =>
  Array.from({ length: rows }, (_, row) =>
    Float64Array.from({ length: columns }, (_, column) => at(row, column)),
  );
const transposed = (x: Matrix): Matrix => matrix(x[0].length, x.length, (row, column) => x[column][row]);
const scaled = (x: Matrix, factors: ArrayLike<number>): Matrix =>
  x.map((row, t) => row.map((value) => value * factors[t]));
const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * b[i], 0);
/** A Bᵀ of rounded operands. */
const products = (a: Matrix, b: Matrix, round: Round): Matrix => {
  const [left, right] = [a, b].map((x) => x.map((row) => row.map(round)));
  return matrix(a.length, b.length, (row, column) => dot(left[row], right[column]));
};
const asMatrix = (c: Float64Array, valueDim: number): Matrix =>
  matrix(c.length / valueDim, valueDim, (row, column) => c[row * valueDim + column]);

/** What the gates of a chunk's tokens make of them. */
interface Gates {
  /** Its maximum for each token, m. */
  readonly m: Float64Array;
  /** Factors of what each token wrote in what each one reads: D[t, s]. */
  readonly decay: Matrix;
  /** Those of the entry state. */
  readonly carry: Float64Array;
}

function gatesOf(tokens: readonly Token[], entry: number): Gates {
  const length = tokens.length;
  const m = new Float64Array(length);
  /** Σ of the log forget gates since the start of each token's document, and the row where that is. */
  const sums = new Float64Array(length);
  const starts = new Array<number>(length);
  let [before, sum, start] = [entry, 0, -1];
  tokens.forEach(({ i, f, reset }, t) => {
    if (reset) [before, sum, start] = [0, 0, t];
    sum += logSigmoid(f);
    before = m[t] = Math.max(logSigmoid(f) + before, i);
    [sums[t], starts[t]] = [sum, start];
  });
  return {
    m,
    decay: matrix(length, length, (t, s) =>
      s <= t && s >= starts[t] ? Math.exp(sums[t] - sums[s] + tokens[s].i - m[t]) : 0,
    ),
    carry: sums.map((b, t) => (starts[t] < 0 ? Math.exp(b + entry - m[t]) : 0)),
  };
}

type Sizes = Pick<Operands<'mlstmForward'>, 'keyDim' | 'valueDim' | 'keyScale' | 'queryScale' | 'eps'>;

/** A chunk of one head: q and k as they are given, without their scales. */
interface Chunk extends Gates {
  readonly q: Matrix;
  readonly k: Matrix;
  readonly v: Matrix;
  /** M = q̂ k̂ᵀ ∘ D. */
  readonly mixing: Matrix;
}

function chunkOf(a: Sizes, tokens: readonly Token[], entry: number, round: Round): Chunk {
  const gates = gatesOf(tokens, entry);
  const unscaled = (x: Float64Array, scale: number): Float64Array => x.map((value) => value / scale);
  const q = tokens.map((token) => unscaled(token.q, a.queryScale));
  const k = tokens.map((token) => unscaled(token.k, a.keyScale));
  const scores = products(q, k, round);
  const mixing = matrix(
    q.length,
    k.length,
    (t, s) => scores[t][s] * a.queryScale * a.keyScale * gates.decay[t][s],
  );
  return { ...gates, q, k, v: tokens.map((token) => token.v), mixing };
}

/** Moves the state over a chunk; returns its rows of h and of n·q̂. */
function forwardChunk(a: Sizes, state: State, { q, k, v, m, decay, carry, mixing }: Chunk, round: Round) {
  const { keyDim, valueDim, queryScale, keyScale } = a;
  const readers = scaled(
    q,
    carry.map((x) => x * queryScale),
  );
  const within = products(mixing, transposed(v), round);
  const across = products(readers, transposed(asMatrix(state.c, valueDim)), round);
  const normalizers = mixing.map((row, t) => row.reduce((sum, x) => sum + x, 0) + dot(readers[t], state.n));
  const h = matrix(
    q.length,
    valueDim,
    (t, e) => (within[t][e] + across[t][e]) / (Math.max(Math.abs(normalizers[t]), Math.exp(-m[t])) + a.eps),
  );

  const last = q.length - 1;
  const writers = scaled(
    k,
    decay[last].map((x) => x * keyScale),
  );
  const written = products(transposed(writers), transposed(v), round);
  for (let d = 0; d < keyDim; d++) {
    for (let e = 0; e < valueDim; e++)
      state.c[d * valueDim + e] = carry[last] * state.c[d * valueDim + e] + written[d][e];
    state.n[d] = writers.reduce((sum, row) => sum + row[d], carry[last] * state.n[d]);
  }
  state.m = m[last];
  return { h, normalizers };
}

/** `mlstmForward` by chunks, the operands of products rounded. */
export function forwardInChunks(a: Operands<'mlstmForward'>, round: Round): void {
  const { batch, length, heads, keyDim, valueDim, chunk } = a;
  const chunks = Math.ceil(length / chunk);
  for (let member = 0; member < batch * heads; member++) {
    const [b, head] = [Math.floor(member / heads), member % heads];
    const state = stateAt(a, member);
    for (let at = 0; at < chunks; at++) {
      saveEntry(a, state, member * chunks + at);
      const first = at * chunk;
      const rows = Array.from({ length: Math.min(chunk, length - first) }, (_, t) => b * length + first + t);
      const tokens = rows.map((row) => tokenAt(a, row, head));
      const part = chunkOf(a, tokens, state.m, round);
      const { h, normalizers } = forwardChunk(a, state, part, round);
      rows.forEach((row, t) => {
        a.h.set(h[t], row * a.ldh + head * valueDim);
        a.tokenStats?.set([part.m[t], normalizers[t]], (member * length + first + t) * 2);
      });
    }
    a.lastC?.set(state.c, member * keyDim * valueDim);
    a.lastN?.set(state.n, member * keyDim);
    a.lastM?.set([state.m], member);
  }
}

/** Gradients of the state behind a chunk; `backwardChunk` moves them before it. */
interface StateGradient {
  c: Matrix;
  n: Float64Array;
}

function backwardChunk(
  a: Sizes,
  { q, k, v, m, decay, carry, mixing }: Chunk,
  entry: State,
  { h, dh, normalizers }: { readonly h: Matrix; readonly dh: Matrix; readonly normalizers: Float64Array },
  d: StateGradient,
  round: Round,
) {
  const { keyDim, valueDim, queryScale, keyScale } = a;
  const rows = q.length;
  const c = asMatrix(entry.c, valueDim);
  const floors = m.map((x) => Math.exp(-x));
  const inverses = normalizers.map((x, t) => 1 / (Math.max(Math.abs(x), floors[t]) + a.eps));
  const dnum = scaled(dh, inverses);
  const dnormalizers = normalizers.map((x, t) =>
    Math.abs(x) > floors[t] ? -Math.sign(x) * inverses[t] * dot(h[t], dh[t]) : 0,
  );

  const dmixing = products(dnum, v, round).map((row, t) => row.map((x) => x + dnormalizers[t]));
  const dscores = matrix(rows, rows, (t, s) => dmixing[t][s] * decay[t][s] * queryScale * keyScale);
  const fromState = products(dnum, c, round);
  const exits = decay[rows - 1].map((x) => x * keyScale);
  const fromExit = products(v, d.c, round);
  const sq = products(dscores, transposed(k), round);
  const sk = products(transposed(dscores), transposed(q), round);
  const read = matrix(
    rows,
    keyDim,
    (t, e) => queryScale * carry[t] * (fromState[t][e] + dnormalizers[t] * entry.n[e]),
  );
  const wrote = matrix(rows, keyDim, (s, e) => exits[s] * (fromExit[s][e] + d.n[e]));
  const dq = matrix(rows, keyDim, (t, e) => sq[t][e] + read[t][e]);
  const dk = matrix(rows, keyDim, (s, e) => sk[s][e] + wrote[s][e]);
  const within = products(transposed(mixing), transposed(dnum), round);
  const across = products(scaled(k, exits), transposed(d.c), round);
  const dv = matrix(rows, valueDim, (s, e) => within[s][e] + across[s][e]);

  // Gradients of the exponents: of D, of carry, of D's last row and of what carries the state through the chunk.
  const exponents = matrix(rows, rows, (t, s) => mixing[t][s] * dmixing[t][s]);
  const reads = q.map((row, t) => dot(row, read[t]));
  const writes = k.map((row, s) => dot(row, wrote[s]));
  const kept = carry[rows - 1] * (c.reduce((sum, row, e) => sum + dot(row, d.c[e]), 0) + dot(entry.n, d.n));
  const di = writes.map((x, s) => exponents.reduce((sum, row) => sum + row[s], x));
  const dforget = Float64Array.from({ length: rows }, (_, u) => {
    let sum = kept;
    for (let t = u; t < rows; t++) sum += reads[t];
    for (let s = 0; s < u; s++) sum += writes[s];
    for (let t = u; t < rows; t++) for (let s = 0; s < u; s++) sum += exponents[t][s];
    return sum;
  });

  const readers = scaled(
    q,
    carry.map((x) => x * queryScale),
  );
  const added = products(transposed(readers), transposed(dnum), round);
  d.c = matrix(keyDim, valueDim, (row, e) => carry[rows - 1] * d.c[row][e] + added[row][e]);
  d.n = d.n.map((x, e) =>
    readers.reduce((sum, row, t) => sum + row[e] * dnormalizers[t], carry[rows - 1] * x),
  );
  return { dq, dk, dv, di, dforget };
}

/** `mlstmBackward` by chunks, the operands of products rounded. */
export function backwardInChunks(a: Operands<'mlstmBackward'>, round: Round): void {
  const { batch, length, heads, keyDim, valueDim, chunk } = a;
  const chunks = Math.ceil(length / chunk);
  for (let member = 0; member < batch * heads; member++) {
    const [b, head] = [Math.floor(member / heads), member % heads];
    const given = (x: Float64Array | undefined, size: number): Float64Array =>
      x ? x.slice(member * size, (member + 1) * size) : new Float64Array(size);
    const d: StateGradient = {
      c: asMatrix(given(a.dlastC, keyDim * valueDim), valueDim),
      n: given(a.dlastN, keyDim),
    };
    for (let at = chunks - 1; at >= 0; at--) {
      const first = at * chunk;
      const rows = Array.from({ length: Math.min(chunk, length - first) }, (_, t) => b * length + first + t);
      const tokens = rows.map((row) => tokenAt(a, row, head));
      const entry = savedEntry(a, member * chunks + at);
      const valuesOf = (x: Float64Array, ld: number): Matrix =>
        rows.map((row) => x.slice(row * ld + head * valueDim, row * ld + (head + 1) * valueDim));
      const outputs = {
        h: valuesOf(a.h, a.ldh),
        dh: valuesOf(a.dh, a.lddh),
        normalizers: Float64Array.from(rows, (_, t) => a.tokenStats[(member * length + first + t) * 2 + 1]),
      };
      const found = backwardChunk(a, chunkOf(a, tokens, entry.m, round), entry, outputs, d, round);
      rows.forEach((row, t) => {
        a.dq.set(found.dq[t], row * a.lddq + head * keyDim);
        a.dk.set(found.dk[t], row * a.lddk + head * keyDim);
        a.dv.set(found.dv[t], row * a.lddv + head * valueDim);
        a.di[row * a.lddi + head] = found.di[t];
        a.df[row * a.lddf + head] = found.dforget[t] * sigmoid(-tokens[t].f);
      });
    }
    a.dc?.set(
      d.c.flatMap((row) => [...row]),
      member * keyDim * valueDim,
    );
    a.dn?.set(d.n, member * keyDim);
  }
}

export const mlstmForwardBf16 = (a: Operands<'mlstmForwardBf16'>): void =>
  forwardInChunks(a, nearestBfloat16);
export const mlstmBackwardBf16 = (a: Operands<'mlstmBackwardBf16'>): void =>
  backwardInChunks(a, nearestBfloat16);
