import { blockSums, type Kernel, PARTITIONS } from './kernel.ts';

/** The mLSTM cell, and what it reads. */
export const mlstmKernels = {
  /**
   * q, k, v and the gates' pre-activations of the original mLSTM layer. With D = groups · size, and p = 0, 1, 2 for
   * q, k of a and v of x: qkv[r, p·D + g·S + o] = Σ_i weight[p, g, o, i] · (a, a, x)[r, g·S + i] + bias[p·D + g·S + o],
   * gate[r, j] = Σ_c gateWeight[j, c] · qkv[r, c] + gateBias[j].
   * weight [3, groups, S, S], bias [3·D], gateWeight [gates, 3·D], gateBias [gates].
   * A thread keeps rows and weights in its workspace: D may be at most MLSTM_PROJECTIONS_WIDTH.
   */
  mlstmProjectionsForward: {
    operands: {
      rows: 'int',
      groups: 'int',
      size: 'int',
      gates: 'int',
      a: 'in',
      lda: 'int',
      x: 'in',
      ldx: 'int',
      weight: 'in',
      bias: 'in?',
      gateWeight: 'in',
      gateBias: 'in',
      qkv: 'out',
      ldqkv: 'int',
      gate: 'out',
      ldGate: 'int',
    },
    flops: (a) => 6 * a.rows * a.groups * a.size * (a.size + a.gates),
  },
  /**
   * Gradients of mlstmProjectionsForward; dqkv and dgate are those of its outputs. residual is added to da. Partial sums over
   * PARTITIONS row ranges in scratch.
   */
  mlstmProjectionsBackward: {
    operands: {
      rows: 'int',
      groups: 'int',
      size: 'int',
      gates: 'int',
      a: 'in',
      lda: 'int',
      x: 'in',
      ldx: 'int',
      weight: 'in',
      bias: 'in?',
      gateWeight: 'in',
      dqkv: 'in',
      lddqkv: 'int',
      dgate: 'in',
      lddgate: 'int',
      residual: 'in?',
      ldResidual: 'int',
      da: 'out',
      ldda: 'int',
      dx: 'out',
      lddx: 'int',
      dweight: 'out',
      dbias: 'out?',
      dgateWeight: 'out',
      dgateBias: 'out',
      scratch: 'scratch',
    },
    flops: (a) => 6 * a.rows * a.groups * a.size * (3 * a.size + 2 * a.gates),
    scratch: (a) =>
      PARTITIONS *
      (3 * blockSums(a.groups, a.size, a.size) + 3 * a.groups * a.size * (a.gates + 1) + a.gates),
  },
  /**
   * mLSTM, chunkwise (Beck et al. 2024; reference equations in docs/architecture.md). Per batch member and head,
   * with k̂ = keyScale · k, q̂ = queryScale · q, m₀ = 0, C₀ = 0, n₀ = 0 where no state is given:
   *   m_t = max(logσ(f_t) + m_{t−1}, i_t);  F = exp(logσ(f_t) + m_{t−1} − m_t);  I = exp(i_t − m_t)
   *   C_t = F C_{t−1} + I k̂_t v_tᵀ;  n_t = F n_{t−1} + I k̂_t
   *   h_t = C_tᵀ q̂_t / (max(|n_t · q̂_t|, exp(−m_t)) + eps)
   * q, k [N, H·DK], v, h [N, H·DV] (head h at columns h·DK, h·DV); i, f [N, H] pre-activations.
   * reset [N] is 1 where a token starts a document: C, n become 0 and m 0 before that token.
   * c [B,H,DK,DV], n [B,H,DK], m [B,H]; the last* outputs have the same shapes and may be the same memory as
   * the inputs.
   * saved: chunkStates [B,H,chunks,DK,DV+1] (C and n at each chunk's entry, their order within [DK,DV+1] being the
   * engine's own affair), chunkMaxima [B,H,chunks] (m at entry), tokenStats [B,H,T,2] = (m_t, signed n_t·q̂_t) with
   * the max and eps not applied; chunks = ⌈T / chunk⌉. They are absent when no backward pass follows.
   * A thread keeps a chunk's rows in its workspace: L · (3·DK + 2·DV + max(DK, DV) + 2·L) of them and of the
   * backward pass may be at most 1 000 000 elements, L = min(chunk, T).
   */
  mlstmForward: {
    operands: {
      batch: 'int',
      length: 'int',
      heads: 'int',
      keyDim: 'int',
      valueDim: 'int',
      chunk: 'int',
      keyScale: 'float',
      queryScale: 'float',
      eps: 'float',
      q: 'in',
      ldq: 'int',
      k: 'in',
      ldk: 'int',
      v: 'in',
      ldv: 'int',
      i: 'in',
      ldi: 'int',
      f: 'in',
      ldf: 'int',
      reset: 'in?',
      c: 'in?',
      n: 'in?',
      m: 'in?',
      h: 'out',
      ldh: 'int',
      lastC: 'out?',
      lastN: 'out?',
      lastM: 'out?',
      chunkStates: 'out?',
      chunkMaxima: 'out?',
      tokenStats: 'out?',
      scratch: 'scratch',
    },
    flops: (a) =>
      2 *
      a.batch *
      a.heads *
      a.length *
      (2 * a.keyDim * a.valueDim + 0.5 * Math.min(a.chunk, a.length) * (a.keyDim + a.valueDim)),
    // Holds C from chunk to chunk where no output does.
    scratch: (a) => (a.lastC || a.chunkStates ? 0 : a.batch * a.heads * a.keyDim * a.valueDim),
  },
  /**
   * Gradients of mlstmForward, m held constant (exact but for the term eps · e^m). dlastC, dlastN are gradients
   * of the last state; dc, dn of the given one.
   */
  mlstmBackward: {
    operands: {
      batch: 'int',
      length: 'int',
      heads: 'int',
      keyDim: 'int',
      valueDim: 'int',
      chunk: 'int',
      keyScale: 'float',
      queryScale: 'float',
      eps: 'float',
      q: 'in',
      ldq: 'int',
      k: 'in',
      ldk: 'int',
      v: 'in',
      ldv: 'int',
      i: 'in',
      ldi: 'int',
      f: 'in',
      ldf: 'int',
      reset: 'in?',
      h: 'in',
      ldh: 'int',
      chunkStates: 'in',
      chunkMaxima: 'in',
      tokenStats: 'in',
      dh: 'in',
      lddh: 'int',
      dlastC: 'in?',
      dlastN: 'in?',
      dq: 'out',
      lddq: 'int',
      dk: 'out',
      lddk: 'int',
      dv: 'out',
      lddv: 'int',
      di: 'out',
      lddi: 'int',
      df: 'out',
      lddf: 'int',
      dc: 'out?',
      dn: 'out?',
      scratch: 'scratch',
    },
    flops: (a) =>
      2 *
      a.batch *
      a.heads *
      a.length *
      (4 * a.keyDim * a.valueDim + 0.5 * Math.min(a.chunk, a.length) * (3 * a.keyDim + 2 * a.valueDim)),
    scratch: (a) => a.batch * a.heads * a.keyDim * a.valueDim,
  },
  /** mlstmForward for T = 1 in the recurrent form; the last state may be the same memory as the given one. */
  mlstmStep: {
    operands: {
      batch: 'int',
      heads: 'int',
      keyDim: 'int',
      valueDim: 'int',
      keyScale: 'float',
      queryScale: 'float',
      eps: 'float',
      q: 'in',
      ldq: 'int',
      k: 'in',
      ldk: 'int',
      v: 'in',
      ldv: 'int',
      i: 'in',
      ldi: 'int',
      f: 'in',
      ldf: 'int',
      reset: 'in?',
      c: 'in?',
      n: 'in?',
      m: 'in?',
      h: 'out',
      ldh: 'int',
      lastC: 'out',
      lastN: 'out',
      lastM: 'out',
    },
    flops: (a) => 6 * a.batch * a.heads * a.keyDim * a.valueDim,
  },
} as const satisfies Record<string, Kernel>;

/** Widest q, k, v that mlstmProjectionsForward and mlstmProjectionsBackward take. */
export const MLSTM_PROJECTIONS_WIDTH = 8192;
