import { GEMM_SCRATCH, MLSTM_PROJECTION_ELEMENTS, WIDEST_VECTOR } from '../constants.ts';
import {
  blockSums,
  chunksOf,
  f32,
  type Kernel,
  preparedBlocks,
  rowElements,
  type Sizes,
  wholeVectors,
} from './kernel.ts';

/** Rows of one pass of the projections, times their width. */
function projectionRows({ groups, size }: Sizes): number {
  const width = 3 * groups * size;
  const rows = Math.floor(MLSTM_PROJECTION_ELEMENTS / width / 8) * 8;
  return Math.min(Math.max(rows, 8), 64) * width;
}

/**
 * What a chunk of `rows` keeps: gates, and its own matrices (kernels/mlstm_forward.cc, mlstm_backward.cc). Operands of
 * products that are made for them stand last: numbers that are transposed, or pairs of all (mlstm_product_bf16.h).
 */
function chunkScratch(
  a: Sizes,
  pass: 'forward' | 'backward',
  operands: 'numbers' | 'pairs' = 'numbers',
): number {
  const rows = Math.min(a.chunk, a.length);
  const [ld, ldK, ldV] = [rows, a.keyDim, a.valueDim].map(wholeVectors);
  const gates = 8 * wholeVectors(rows + WIDEST_VECTOR);
  const pairs = (steps: number, width: number): number =>
    Math.ceil(steps / 2) * (wholeVectors(width) + WIDEST_VECTOR);
  const along = (width: number, steps: number): number =>
    width * (wholeVectors(Math.ceil(steps / 2)) + WIDEST_VECTOR);
  const { keyDim, valueDim } = a;
  if (pass === 'forward') {
    const made =
      operands === 'numbers'
        ? ld * keyDim
        : pairs(keyDim, rows) +
          2 * pairs(rows, valueDim) +
          2 * along(rows, keyDim) +
          along(rows, rows) +
          pairs(keyDim, valueDim) +
          pairs(rows, keyDim);
    return gates + ld * (ld + 2) + rows * (ldV + 2 * ldK) + ldK + 8 * WIDEST_VECTOR + made;
  }
  const made =
    operands === 'numbers'
      ? ld * (2 * valueDim + keyDim)
      : pairs(valueDim, rows) +
        Math.max(
          pairs(keyDim, rows) + along(rows, keyDim) + along(rows, valueDim), // scores
          pairs(valueDim, rows) + along(keyDim, valueDim) + keyDim * ld, // of and to the state
          along(rows, rows) + pairs(rows, keyDim), // to queries and keys
          pairs(rows, rows) + pairs(rows, valueDim) + along(rows, keyDim) + pairs(keyDim, valueDim), // to values
        );
  return gates + ld * (2 * ld + 8) + rows * (2 * ldK + ldV) + ldK + 16 * WIDEST_VECTOR + made;
}

/** Elements of C and n for each head. */
const memoryElements = ({ batch, heads, keyDim, valueDim }: Sizes): number =>
  batch * heads * keyDim * (valueDim + 1);

/** What both directions of the chunkwise mLSTM read. */
const mlstmInputs = {
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
} as const satisfies Kernel['operands'];

/** The forward pass by chunks. */
const chunkwise = {
  operands: {
    ...mlstmInputs,
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
  bytes: (a) => f32(2 * rowElements(a) + (a.c + a.lastC + a.chunkStates * chunksOf(a)) * memoryElements(a)),
  // Holds C from chunk to chunk where no output does; or what would be saved, where nothing is.
  scratch(a, { chunksAtOnce }) {
    const members = a.batch * a.heads;
    if (!chunksAtOnce) return a.lastC || a.chunkStates ? 0 : members * a.keyDim * a.valueDim;
    return a.chunkStates ? 0 : chunksOf(a) * (memoryElements(a) + members) + 2 * members * a.length;
  },
} as const satisfies Kernel;

/** Its gradients. */
const chunkwiseGradient = {
  operands: {
    ...mlstmInputs,
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
  bytes: (a) => f32(4 * rowElements(a) + (chunksOf(a) + a.dlastC + a.dc) * memoryElements(a)),
  scratch: (a, { chunksAtOnce }) =>
    chunksAtOnce
      ? (chunksOf(a) + 1) * memoryElements(a) + a.batch * a.heads * a.length
      : a.batch * a.heads * a.keyDim * a.valueDim,
} as const satisfies Kernel;

/** The mLSTM cell, and what it reads. */
export const mlstmKernels = {
  /**
   * q, k, v and the gates' pre-activations of the original mLSTM layer. With D = groups · size, and p = 0, 1, 2 for
   * q, k of a and v of x: qkv[r, p·D + g·S + o] = Σ_i weight[p, g, o, i] · (a, a, x)[r, g·S + i] + bias[p·D + g·S + o],
   * gate[r, j] = Σ_c gateWeight[j, c] · qkv[r, c] + gateBias[j].
   * weight [3, groups, S, S], bias [3·D], gateWeight [gates, 3·D], gateBias [gates].
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
    bytes: (a) =>
      f32(a.rows * (5 * a.groups * a.size + a.gates) + 3 * a.groups * a.size * (a.size + a.gates)),
    threadScratch: (a) => 3 * preparedBlocks(a.groups, a.size, a.size) + GEMM_SCRATCH,
  },
  /**
   * Gradients of mlstmProjectionsForward; dqkv and dgate are those of its outputs. residual is added to da. Partial sums over
   * the partitions of the rows in scratch.
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
    bytes: (a) => f32(a.rows * ((a.residual ? 8 : 7) * a.groups * a.size + a.gates)),
    scratch: (a, { partitions }) =>
      partitions *
      (3 * blockSums(a.groups, a.size, a.size) + 3 * a.groups * a.size * (a.gates + 1) + a.gates),
    threadScratch: (a) => 2 * projectionRows(a) + 6 * preparedBlocks(a.groups, a.size, a.size) + GEMM_SCRATCH,
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
   */
  mlstmForward: { ...chunkwise, threadScratch: (a) => chunkScratch(a, 'forward') },
  /**
   * Gradients of mlstmForward, m held constant (exact but for the term eps · e^m). dlastC, dlastN are gradients
   * of the last state; dc, dn of the given one.
   */
  mlstmBackward: { ...chunkwiseGradient, threadScratch: (a) => chunkScratch(a, 'backward') },
  /**
   * mlstmForward by chunks of `chunk` tokens, the operands of whose products are rounded to the nearest bfloat16 as those of
   * gemmBf16 are. With D[t, s] = exp(Σ_{s < u ≤ t} logσ(f_u) + i_s − m_t) for s ≤ t of one document, carry_t the factor at which
   * the entry state reaches token t, and e the chunk's last token, the products are q kᵀ, then M v with M = q̂ k̂ᵀ ∘ D of these,
   * (carry ∘ q̂) C of the entry state, and (D[e] ∘ k̂)ᵀ v, which is added to carry_e C. States, n, n · q̂ (the sums of the rows
   * of M, as they are, and carry_t q̂_t · n), m and gates are not rounded. Engines without gemmBf16 lack it.
   */
  mlstmForwardBf16: { ...chunkwise, threadScratch: (a) => chunkScratch(a, 'forward', 'pairs') },
  /**
   * Gradients of mlstmForwardBf16, as if nothing had been rounded, but by products of operands that are: with dnum = dh over the
   * denominator, and dS = (dnum vᵀ + d(n · q̂)) ∘ D the gradient of q̂ k̂ᵀ, these are q kᵀ, dnum vᵀ, C dnumᵀ, dC vᵀ, dS k, dSᵀ q,
   * Mᵀ dnum, (D[e] ∘ k̂) dC and (carry ∘ q̂)ᵀ dnum. dC, the gradient of the state, is kept as it is.
   */
  mlstmBackwardBf16: { ...chunkwiseGradient, threadScratch: (a) => chunkScratch(a, 'backward', 'pairs') },
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
    bytes: (a) => f32(2 * rowElements({ ...a, length: 1 }) + (a.c + 1) * memoryElements(a)),
    threadScratch: (a) => a.keyDim,
  },
} as const satisfies Record<string, Kernel>;
