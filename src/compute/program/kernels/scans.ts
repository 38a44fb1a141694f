import { SELECTIVE_SCAN_GROUP, WIDEST_VECTOR } from '../constants.ts';
import { chunksOf, f32, type Kernel, rowElements, type Sizes, wholeVectors } from './kernel.ts';

/** Elements of S for each head. */
const stateElements = ({ batch, heads, keyDim, valueDim }: Sizes): number =>
  batch * heads * keyDim * valueDim;

/** What both directions of the selective scan read. */
const selectiveScanInputs = {
  batch: 'int',
  length: 'int',
  dim: 'int',
  states: 'int',
  chunk: 'int',
  x: 'in',
  ldx: 'int',
  delta: 'in',
  lddelta: 'int',
  a: 'in',
  b: 'in',
  ldb: 'int',
  c: 'in',
  ldc: 'int',
  reset: 'in?',
} as const satisfies Kernel['operands'];

/** What both directions of the gated delta rule read. */
const deltaScanInputs = {
  batch: 'int',
  length: 'int',
  heads: 'int',
  keyDim: 'int',
  valueDim: 'int',
  chunk: 'int',
  q: 'in',
  ldq: 'int',
  k: 'in',
  ldk: 'int',
  v: 'in',
  ldv: 'int',
  alpha: 'in',
  ldalpha: 'int',
  beta: 'in',
  ldbeta: 'int',
  reset: 'in?',
} as const satisfies Kernel['operands'];

/** Linear recurrences: first order, selective, gated delta rule. */
export const scansKernels = {
  /**
   * First-order linear recurrence: y_t = a_t ∘ y_{t−1} + b_t, all [N, D]; y before the sequence is state [B, D] (absent:
   * zeros). reset [N] is 1 where a token starts a document: y becomes 0 before that token. lastState [B, D] may be the
   * same memory as state.
   */
  linearScanForward: {
    operands: {
      batch: 'int',
      length: 'int',
      dim: 'int',
      a: 'in',
      lda: 'int',
      b: 'in',
      ldb: 'int',
      reset: 'in?',
      state: 'in?',
      y: 'out',
      ldy: 'int',
      lastState: 'out?',
    },
    flops: (a) => 2 * a.batch * a.length * a.dim,
    bytes: (a) => f32(((3 * a.length + a.state + a.lastState) * a.dim + a.reset * a.length) * a.batch),
  },
  linearScanBackward: {
    operands: {
      batch: 'int',
      length: 'int',
      dim: 'int',
      a: 'in',
      lda: 'int',
      reset: 'in?',
      state: 'in?',
      y: 'in',
      ldy: 'int',
      dy: 'in',
      lddy: 'int',
      dlastState: 'in?',
      da: 'out',
      ldda: 'int',
      db: 'out',
      lddb: 'int',
      dstate: 'out?',
    },
    flops: (a) => 3 * a.batch * a.length * a.dim,
    bytes: (a) =>
      f32(((5 * a.length + a.state + a.dlastState + a.dstate) * a.dim + a.reset * a.length) * a.batch),
  },

  /**
   * Selective scan (Gu and Dao 2023) with S states a channel:
   *   h_t[s, d] = exp(delta_t[d] · a[s, d]) h_{t−1}[s, d] + delta_t[d] b_t[s] x_t[d];  y_t[d] = Σ_s c_t[s] h_t[s, d]
   * x, delta, y [N, D]; a [S, D]; b, c [N, S]. state, lastState [B, S, D] (absent: zeros), reset [N] as in
   * linearScanForward. chunkStates [B, chunks, S, D]: h at the entry of each chunk of `chunk` tokens, for the backward
   * pass.
   */
  selectiveScanForward: {
    operands: {
      ...selectiveScanInputs,
      state: 'in?',
      y: 'out',
      ldy: 'int',
      lastState: 'out?',
      chunkStates: 'out?',
    },
    flops: (a) => 18 * a.batch * a.length * a.dim * a.states,
    bytes: (a) =>
      f32(
        a.batch * a.length * (3 * a.dim + 2 * a.states) +
          (a.state + a.lastState + a.chunkStates * chunksOf(a)) * a.batch * a.states * a.dim,
      ),
    threadScratch: (a) => 2 * a.states * WIDEST_VECTOR,
  },
  /**
   * The states within a chunk are computed again. scratch: da of each batch member [B, S, D]; db and dc [N, S] of each
   * group of SELECTIVE_SCAN_GROUP channels.
   */
  selectiveScanBackward: {
    operands: {
      ...selectiveScanInputs,
      chunkStates: 'in',
      dy: 'in',
      lddy: 'int',
      dlastState: 'in?',
      dx: 'out',
      lddx: 'int',
      ddelta: 'out',
      ldddelta: 'int',
      da: 'out',
      db: 'out',
      lddb: 'int',
      dc: 'out',
      lddc: 'int',
      dstate: 'out?',
      scratch: 'scratch',
    },
    flops: (a) => 32 * a.batch * a.length * a.dim * a.states,
    bytes: (a) =>
      f32(
        a.batch * a.length * (5 * a.dim + 4 * a.states) +
          (chunksOf(a) + a.dlastState + a.dstate) * a.batch * a.states * a.dim,
      ),
    scratch: (a) =>
      a.batch * a.states * a.dim +
      2 * a.batch * a.length * a.states * Math.ceil(a.dim / SELECTIVE_SCAN_GROUP),
    threadScratch: (a) => (2 * a.chunk + 4) * a.states * WIDEST_VECTOR,
  },

  /**
   * Gated delta rule (Yang et al. 2024) per batch member and head, scalar gates alpha, beta [N, H]:
   *   S_t = alpha_t (I − beta_t k_t k_tᵀ) S_{t−1} + beta_t k_t v_tᵀ;  h_t = S_tᵀ q_t
   * q, k [N, H·DK], v, h [N, H·DV]; state, lastState [B, H, DK, DV] (absent: zeros), reset [N] as in linearScanForward.
   * chunkStates [B, H, chunks, DK, DV]: S at the entry of each chunk of `chunk` tokens, for the backward pass, which
   * computes the states within a chunk again.
   */
  deltaScanForward: {
    operands: {
      ...deltaScanInputs,
      state: 'in?',
      h: 'out',
      ldh: 'int',
      lastState: 'out?',
      chunkStates: 'out?',
    },
    flops: (a) => 7 * a.batch * a.length * a.heads * a.keyDim * a.valueDim,
    bytes: (a) =>
      f32(2 * rowElements(a) + (a.state + a.lastState + a.chunkStates * chunksOf(a)) * stateElements(a)),
    threadScratch: (a) => (a.keyDim + 1) * wholeVectors(a.valueDim),
  },
  deltaScanBackward: {
    operands: {
      ...deltaScanInputs,
      chunkStates: 'in',
      dh: 'in',
      lddh: 'int',
      dlastState: 'in?',
      dq: 'out',
      lddq: 'int',
      dk: 'out',
      lddk: 'int',
      dv: 'out',
      lddv: 'int',
      dalpha: 'out',
      lddalpha: 'int',
      dbeta: 'out',
      lddbeta: 'int',
      dstate: 'out?',
    },
    flops: (a) => 22 * a.batch * a.length * a.heads * a.keyDim * a.valueDim,
    bytes: (a) =>
      f32(
        a.batch * a.length * a.heads * (4 * a.keyDim + 3 * a.valueDim) +
          (chunksOf(a) + a.dlastState + a.dstate) * stateElements(a),
      ),
    threadScratch: (a) => ((a.chunk + 2) * a.keyDim + a.chunk + 3) * wholeVectors(a.valueDim),
  },
} as const satisfies Record<string, Kernel>;
