import type { Operands } from './operands.ts';

type Inputs = Operands<'deltaScanForward'> | Operands<'deltaScanBackward'>;

interface Token {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly alpha: number;
  readonly beta: number;
  readonly reset: boolean;
}

function tokenAt(a: Inputs, row: number, head: number): Token {
  const slice = (x: Float64Array, ld: number, width: number): Float64Array =>
    x.slice(row * ld + head * width, row * ld + (head + 1) * width);
  return {
    q: slice(a.q, a.ldq, a.keyDim),
    k: slice(a.k, a.ldk, a.keyDim),
    v: slice(a.v, a.ldv, a.valueDim),
    alpha: a.alpha[row * a.ldalpha + head],
    beta: a.beta[row * a.ldbeta + head],
    reset: a.reset !== undefined && a.reset[row] === 1,
  };
}

/** Sᵀ x for S [DK, DV]. */
function read(state: Float64Array, x: Float64Array, valueDim: number): Float64Array {
  const y = new Float64Array(valueDim);
  x.forEach((factor, i) => {
    for (let j = 0; j < valueDim; j++) y[j] += factor * state[i * valueDim + j];
  });
  return y;
}

/** S x for S [DK, DV]. */
const readAcross = (state: Float64Array, x: Float64Array, keyDim: number): Float64Array =>
  Float64Array.from({ length: keyDim }, (_, i) =>
    x.reduce((sum, value, j) => sum + value * state[i * x.length + j], 0),
  );

/** S ← S + factor · k vᵀ */
function addOuter(state: Float64Array, factor: number, k: Float64Array, v: Float64Array): void {
  k.forEach((x, i) => {
    v.forEach((y, j) => {
      state[i * v.length + j] += factor * x * y;
    });
  });
}

/** Moves a state over a token; returns v − (alpha S)ᵀ k, what the memory had wrong about the key. */
function update(state: Float64Array, { k, v, alpha, beta, reset }: Token): Float64Array {
  const decay = reset ? 0 : alpha;
  state.forEach((x, i) => {
    state[i] = decay * x;
  });
  const remembered = read(state, k, v.length);
  const error = v.map((x, j) => x - remembered[j]);
  addOuter(state, beta, k, error);
  return error;
}

const dot = (x: Float64Array, y: Float64Array): number => x.reduce((sum, value, i) => sum + value * y[i], 0);

export function deltaScanForward(a: Operands<'deltaScanForward'>): void {
  const { batch, length, heads, keyDim, valueDim, chunk } = a;
  const size = keyDim * valueDim;
  const chunks = Math.ceil(length / chunk);
  for (let member = 0; member < batch * heads; member++) {
    const head = member % heads;
    const state = a.state ? a.state.slice(member * size, (member + 1) * size) : new Float64Array(size);
    for (let t = 0; t < length; t++) {
      const row = Math.floor(member / heads) * length + t;
      if (t % chunk === 0) a.chunkStates?.set(state, (member * chunks + t / chunk) * size);
      const token = tokenAt(a, row, head);
      update(state, token);
      a.h.set(read(state, token.q, valueDim), row * a.ldh + head * valueDim);
    }
    a.lastState?.set(state, member * size);
  }
}

/** Every state is computed again from the entry of the sequence: of chunkStates the first alone is read. */
export function deltaScanBackward(a: Operands<'deltaScanBackward'>): void {
  const { batch, length, heads, keyDim, valueDim, chunk } = a;
  const size = keyDim * valueDim;
  for (let member = 0; member < batch * heads; member++) {
    const head = member % heads;
    const rowOf = (t: number): number => Math.floor(member / heads) * length + t;
    const first = member * Math.ceil(length / chunk) * size;
    const state = a.chunkStates.slice(first, first + size);
    const trace = Array.from({ length }, (_, t) => {
      const token = tokenAt(a, rowOf(t), head);
      const before = token.reset ? new Float64Array(size) : state.slice();
      const error = update(state, token);
      return { token, before, error, after: state.slice() };
    });
    const last = a.dlastState;
    /** Gradient of the state after the token at hand. */
    let g = last ? last.slice(member * size, (member + 1) * size) : new Float64Array(size);
    for (let t = length - 1; t >= 0; t--) {
      const { token, before, error, after } = trace[t];
      const { q, k, alpha, beta, reset } = token;
      const row = rowOf(t);
      const dh = a.dh.slice(row * a.lddh + head * valueDim, row * a.lddh + (head + 1) * valueDim);
      addOuter(g, 1, q, dh);
      const decayed = before.map((x) => alpha * x);
      // S = P + beta k eᵀ with e = v − Pᵀk and P = alpha · S before.
      const gk = read(g, k, valueDim);
      const derror = gk.map((x) => beta * x);
      const throughWrite = readAcross(g, error, keyDim);
      const throughError = readAcross(decayed, derror, keyDim);
      addOuter(g, -1, k, derror);

      const keyAt = head * keyDim;
      a.dq.set(readAcross(after, dh, keyDim), row * a.lddq + keyAt);
      a.dk.set(
        throughWrite.map((x, i) => beta * x - throughError[i]),
        row * a.lddk + keyAt,
      );
      a.dv.set(derror, row * a.lddv + head * valueDim);
      a.dbeta[row * a.lddbeta + head] = dot(gk, error);
      a.dalpha[row * a.lddalpha + head] = dot(g, before);
      g = g.map((x) => (reset ? 0 : alpha * x));
    }
    a.dstate?.set(g, member * size);
  }
}
