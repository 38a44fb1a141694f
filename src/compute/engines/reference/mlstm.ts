import { logSigmoid, sigmoid } from './math.ts';
import type { Operands } from './operands.ts';

/** One head's state: c [DK, DV], n [DK]. */
export interface State {
  readonly c: Float64Array;
  readonly n: Float64Array;
  m: number;
}

type Sizes = Pick<Operands<'mlstmStep'>, 'heads' | 'keyDim' | 'valueDim' | 'keyScale' | 'queryScale' | 'eps'>;

/** What one token gives one head; q and k are already scaled. */
export interface Token {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly i: number;
  readonly f: number;
  readonly reset: boolean;
}

type TokenInputs = Pick<
  Operands<'mlstmStep'>,
  'q' | 'ldq' | 'k' | 'ldk' | 'v' | 'ldv' | 'i' | 'ldi' | 'f' | 'ldf' | 'reset'
>;

export function tokenAt(a: Sizes & TokenInputs, row: number, head: number): Token {
  const { keyDim, valueDim } = a;
  const slice = (x: Float64Array, ld: number, width: number): Float64Array =>
    x.slice(row * ld + head * width, row * ld + (head + 1) * width);
  return {
    q: slice(a.q, a.ldq, keyDim).map((x) => x * a.queryScale),
    k: slice(a.k, a.ldk, keyDim).map((x) => x * a.keyScale),
    v: slice(a.v, a.ldv, valueDim),
    i: a.i[row * a.ldi + head],
    f: a.f[row * a.ldf + head],
    reset: a.reset !== undefined && a.reset[row] === 1,
  };
}

export function stateAt(a: Sizes & Pick<Operands<'mlstmStep'>, 'c' | 'n' | 'm'>, member: number): State {
  const { keyDim, valueDim } = a;
  const matrix = keyDim * valueDim;
  return {
    c: a.c ? a.c.slice(member * matrix, (member + 1) * matrix) : new Float64Array(matrix),
    n: a.n ? a.n.slice(member * keyDim, (member + 1) * keyDim) : new Float64Array(keyDim),
    m: a.m ? a.m[member] : 0,
  };
}

function clear(state: State): void {
  state.c.fill(0);
  state.n.fill(0);
  state.m = 0;
}

/** Moves the state over one token and returns the two gates as they were applied. */
function update(state: State, token: Token): { forget: number; input: number } {
  if (token.reset) clear(state);
  const { k, v } = token;
  const m = Math.max(logSigmoid(token.f) + state.m, token.i);
  const forget = Math.exp(logSigmoid(token.f) + state.m - m);
  const input = Math.exp(token.i - m);
  for (let a = 0; a < k.length; a++) {
    for (let b = 0; b < v.length; b++) {
      state.c[a * v.length + b] = forget * state.c[a * v.length + b] + input * k[a] * v[b];
    }
    state.n[a] = forget * state.n[a] + input * k[a];
  }
  state.m = m;
  return { forget, input };
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * b[i], 0);

/** h = Cᵀq / (max(|n·q|, e^−m) + eps) and the signed n·q. */
function readOut(state: State, q: Float64Array, valueDim: number, eps: number) {
  const normalizer = dot(state.n, q);
  const denominator = Math.max(Math.abs(normalizer), Math.exp(-state.m)) + eps;
  const h = new Float64Array(valueDim);
  for (let b = 0; b < valueDim; b++) {
    for (let a = 0; a < q.length; a++) h[b] += state.c[a * valueDim + b] * q[a];
    h[b] /= denominator;
  }
  return { h, normalizer, denominator };
}

/** The recurrent form over the whole sequence, token by token. */
export function mlstmForward(a: Operands<'mlstmForward'>): void {
  const { batch, length, heads, keyDim, valueDim, chunk } = a;
  const chunks = Math.ceil(length / chunk);
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < heads; head++) {
      const member = b * heads + head;
      const state = stateAt(a, member);
      for (let t = 0; t < length; t++) {
        if (t % chunk === 0) saveEntry(a, state, member * chunks + t / chunk);
        const row = b * length + t;
        const token = tokenAt(a, row, head);
        update(state, token);
        const { h, normalizer } = readOut(state, token.q, valueDim, a.eps);
        a.h.set(h, row * a.ldh + head * valueDim);
        a.tokenStats?.set([state.m, normalizer], (member * length + t) * 2);
      }
      a.lastC?.set(state.c, member * keyDim * valueDim);
      a.lastN?.set(state.n, member * keyDim);
      a.lastM?.set([state.m], member);
    }
  }
}

/** chunkStates rows are (C | n), before a reset of the chunk's first token. */
export function saveEntry(a: Operands<'mlstmForward'>, state: State, index: number): void {
  const { keyDim, valueDim } = a;
  for (let d = 0; d < keyDim; d++) {
    const at = (index * keyDim + d) * (valueDim + 1);
    a.chunkStates?.set(state.c.subarray(d * valueDim, (d + 1) * valueDim), at);
    a.chunkStates?.set([state.n[d]], at + valueDim);
  }
  a.chunkMaxima?.set([state.m], index);
}

export function mlstmStep(a: Operands<'mlstmStep'>): void {
  const { batch, heads, keyDim, valueDim } = a;
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < heads; head++) {
      const member = b * heads + head;
      const state = stateAt(a, member);
      const token = tokenAt(a, b, head);
      update(state, token);
      a.h.set(readOut(state, token.q, valueDim, a.eps).h, b * a.ldh + head * valueDim);
      a.lastC.set(state.c, member * keyDim * valueDim);
      a.lastN.set(state.n, member * keyDim);
      a.lastM[member] = state.m;
    }
  }
}

/** The state at the entry of a chunk; of a member's chunk 0 that is the state that the forward pass was given. */
export function savedEntry(a: Operands<'mlstmBackward'>, index: number): State {
  const { keyDim, valueDim } = a;
  const state: State = {
    c: new Float64Array(keyDim * valueDim),
    n: new Float64Array(keyDim),
    m: a.chunkMaxima[index],
  };
  for (let d = 0; d < keyDim; d++) {
    const at = (index * keyDim + d) * (valueDim + 1);
    state.c.set(a.chunkStates.subarray(at, at + valueDim), d * valueDim);
    state.n[d] = a.chunkStates[at + valueDim];
  }
  return state;
}

/**
 * Reverse mode through the recurrence, token by token, m a constant. Every state is recomputed from the entry of
 * the sequence, so of what the forward pass saved only the first chunk's state is read.
 */
export function mlstmBackward(a: Operands<'mlstmBackward'>): void {
  const { batch, length, heads, keyDim, valueDim } = a;
  const matrix = keyDim * valueDim;
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < heads; head++) {
      const member = b * heads + head;
      const state = savedEntry(a, member * Math.ceil(length / a.chunk));
      const tokens = Array.from({ length }, (_, t) => tokenAt(a, b * length + t, head));
      /** Per token: the state it found (after a reset), the gates, the state it left. */
      const trace = tokens.map((token) => {
        if (token.reset) clear(state);
        const before = { c: state.c.slice(), n: state.n.slice(), m: state.m };
        const gates = update(state, token);
        return { before, gates, after: { c: state.c.slice(), n: state.n.slice(), m: state.m } };
      });

      const dC = a.dlastC ? a.dlastC.slice(member * matrix, (member + 1) * matrix) : new Float64Array(matrix);
      const dn = a.dlastN ? a.dlastN.slice(member * keyDim, (member + 1) * keyDim) : new Float64Array(keyDim);
      for (let t = length - 1; t >= 0; t--) {
        const row = b * length + t;
        const { q, k, v, f, reset } = tokens[t];
        const { before, gates, after } = trace[t];
        const { h, normalizer, denominator } = readOut(after, q, valueDim, a.eps);
        const dh = a.dh.slice(row * a.lddh + head * valueDim, row * a.lddh + (head + 1) * valueDim);

        const dnumerator = dh.map((x) => x / denominator);
        const ddenominator = -dot(dh, h) / denominator;
        const active = Math.abs(normalizer) > Math.exp(-after.m);
        const dnormalizer = active ? Math.sign(normalizer) * ddenominator : 0;

        const dq = new Float64Array(keyDim);
        for (let d = 0; d < keyDim; d++) {
          for (let e = 0; e < valueDim; e++) {
            dq[d] += after.c[d * valueDim + e] * dnumerator[e];
            dC[d * valueDim + e] += q[d] * dnumerator[e];
          }
          dq[d] += after.n[d] * dnormalizer;
          dn[d] += q[d] * dnormalizer;
        }

        const dk = new Float64Array(keyDim);
        const dv = new Float64Array(valueDim);
        for (let d = 0; d < keyDim; d++) {
          for (let e = 0; e < valueDim; e++) {
            dk[d] += gates.input * dC[d * valueDim + e] * v[e];
            dv[e] += gates.input * dC[d * valueDim + e] * k[d];
          }
          dk[d] += gates.input * dn[d];
        }
        // dI · I = ⟨k̂, dk̂⟩, since dk̂ carries the factor I.
        a.di[row * a.lddi + head] = dot(k, dk);
        const dforget = dot(dC, before.c) + dot(dn, before.n);
        a.df[row * a.lddf + head] = dforget * gates.forget * sigmoid(-f);

        const keyAt = head * keyDim;
        a.dq.set(
          dq.map((x) => x * a.queryScale),
          row * a.lddq + keyAt,
        );
        a.dk.set(
          dk.map((x) => x * a.keyScale),
          row * a.lddk + keyAt,
        );
        a.dv.set(dv, row * a.lddv + head * valueDim);

        const carry = reset ? 0 : gates.forget;
        for (let d = 0; d < matrix; d++) dC[d] *= carry;
        for (let d = 0; d < keyDim; d++) dn[d] *= carry;
      }
      a.dc?.set(dC, member * matrix);
      a.dn?.set(dn, member * keyDim);
    }
  }
}
