/**
 * The kernel table: the single source for every kernel's opcode, operand layout, workspace and cost. Engines
 * implement exactly these; kernels/generated/kernels.h is written from this file by scripts/build.js.
 *
 * An instruction is a list of numbers (float64 words): [opcode, word count, operands in table order, tail].
 * A word is exact for addresses, sizes and float32 constants alike, so one type serves all.
 *
 * Operand kinds
 *   in, out     address of float elements that the kernel reads or writes; in? and out? may be 0 (absent)
 *   scratch     address of a workspace that lives for this instruction only
 *   int, float  a number
 *
 * Legend: B batch, T length, N rows = B * T, H heads or groups, D width. All data are row-major. A matrix
 * operand is an address and, named `ld…`, the distance between its rows, so a slice of columns is a view.
 * `in` operands may not overlap `out` operands unless a kernel's comment allows it.
 *
 * Determinism: work is split by a partition that does not depend on the thread count, and every reduction has a
 * fixed order. PARTITIONS is the number of partial sums in kernels that reduce over rows.
 */
export type OperandKind = 'in' | 'out' | 'in?' | 'out?' | 'scratch' | 'int' | 'float';

export interface Kernel {
  readonly operands: Readonly<Record<string, OperandKind>>;
  /** The kernel takes further words after its operands; their number follows from the word count. */
  readonly tail?: true;
  /** Floating-point operations of one call. */
  readonly flops: (a: Readonly<Record<string, number>>) => number;
  /** Elements of workspace that one call needs. */
  readonly scratch?: (a: Readonly<Record<string, number>>) => number;
}

export const PARTITIONS = 16;

/** Channels whose sums one thread makes in selectiveScanBackward. */
export const SELECTIVE_SCAN_GROUP = 64;

const table = {
  /**
   * A little program over elements, in one pass: see expression.ts. Registers are numbered inputs first, then
   * outputs, then temporaries. Tail: inputs × [address, rowStride, columnStride (0 or 1)],
   * outputs × [address, rowStride], steps × [function, destination, a, b, c]. A row stride of 0 repeats one row,
   * a column stride of 0 repeats one element along the row.
   * An output may be the same memory as an input if the step that writes it is the last that reads the input.
   */
  map: {
    operands: { rows: 'int', cols: 'int', inputs: 'int', outputs: 'int', temporaries: 'int', steps: 'int' },
    tail: true,
    flops: (a) => a.rows * a.cols * a.steps * 2,
  },

  /**
   * For each of `batch`: C[m, n] = op(A)[m, k] · op(B)[k, n] + bias[n] + residual[m, n].
   * A is stored [m, k] (transA: [k, m]), B is stored [k, n] (transB: [n, k]). strideX is the distance between
   * batch members. residual may be C itself (accumulate), with ldResidual = ldc and strideResidual = strideC.
   */
  gemm: {
    operands: {
      batch: 'int',
      m: 'int',
      n: 'int',
      k: 'int',
      a: 'in',
      lda: 'int',
      strideA: 'int',
      transA: 'int',
      b: 'in',
      ldb: 'int',
      strideB: 'int',
      transB: 'int',
      c: 'out',
      ldc: 'int',
      strideC: 'int',
      bias: 'in?',
      strideBias: 'int',
      residual: 'in?',
      ldResidual: 'int',
      strideResidual: 'int',
    },
    flops: (a) => 2 * a.batch * a.m * a.n * a.k,
  },

  /**
   * Many small dense blocks on the diagonal (LinearHeadwiseExpand with blocks of 4), `repeat` sets of them on the same
   * input: y[r, (p·groups + g)·O + o] = Σ_i w[p, g, o, i] · x[r, g·I + i] + residual[r, …], w [repeat, groups, O, I].
   * transW: w is stored [repeat, groups, I, O] and x holds the sets, y is their sum (the gradient with respect to x):
   * y[r, g·O + o] = Σ_p Σ_i w[p, g, i, o] · x[r, (p·groups + g)·I + i] + residual[r, g·O + o].
   */
  blockLinear: {
    operands: {
      rows: 'int',
      repeat: 'int',
      groups: 'int',
      inSize: 'int',
      outSize: 'int',
      transW: 'int',
      x: 'in',
      ldx: 'int',
      w: 'in',
      y: 'out',
      ldy: 'int',
      residual: 'in?',
      ldResidual: 'int',
    },
    flops: (a) => 2 * a.rows * a.repeat * a.groups * a.inSize * a.outSize,
  },
  /**
   * dw[p, g, o, i] = Σ_r dy[r, (p·groups + g)·O + o] · x[r, g·I + i]; partial sums over PARTITIONS row ranges in
   * scratch.
   */
  blockLinearGradient: {
    operands: {
      rows: 'int',
      repeat: 'int',
      groups: 'int',
      inSize: 'int',
      outSize: 'int',
      x: 'in',
      ldx: 'int',
      dy: 'in',
      lddy: 'int',
      dw: 'out',
      scratch: 'scratch',
    },
    flops: (a) => 2 * a.rows * a.repeat * a.groups * a.inSize * a.outSize,
    scratch: (a) => PARTITIONS * a.repeat * a.groups * a.inSize * a.outSize,
  },

  /**
   * Norm over the last `size` of each of `groups` column groups; the weights span all groups · size columns.
   * rms 0: y = (x − μ) / √(σ² + eps) · (weightOffset + weight) + bias, biased variance.
   * rms 1: y = x / √(mean(x²) + eps) · (weightOffset + weight) + bias.
   * No weight means a factor 1. stats [rows, groups, 2] = (μ or 0, 1/√…), for the backward pass.
   */
  normForward: {
    operands: {
      rows: 'int',
      groups: 'int',
      size: 'int',
      rms: 'int',
      eps: 'float',
      weightOffset: 'float',
      x: 'in',
      ldx: 'int',
      weight: 'in?',
      bias: 'in?',
      y: 'out',
      ldy: 'int',
      stats: 'out',
    },
    flops: (a) => 8 * a.rows * a.groups * a.size,
  },
  normBackward: {
    operands: {
      rows: 'int',
      groups: 'int',
      size: 'int',
      rms: 'int',
      weightOffset: 'float',
      x: 'in',
      ldx: 'int',
      weight: 'in?',
      stats: 'in',
      dy: 'in',
      lddy: 'int',
      residual: 'in?',
      ldResidual: 'int',
      dx: 'out',
      lddx: 'int',
      dweight: 'out?',
      dbias: 'out?',
      scratch: 'scratch',
    },
    flops: (a) => 16 * a.rows * a.groups * a.size,
    scratch: (a) => 2 * PARTITIONS * a.groups * a.size,
  },

  /** y[r] = table[tokens[r]], table [vocab, dim]; tokens are integers stored as floats. */
  embeddingForward: {
    operands: { rows: 'int', vocab: 'int', dim: 'int', tokens: 'in', table: 'in', y: 'out', ldy: 'int' },
    flops: (a) => a.rows * a.dim,
  },
  /** dtable[v] = Σ over rows with tokens[r] = v of dy[r]; rows of tokens that do not occur become 0. */
  embeddingBackward: {
    operands: { rows: 'int', vocab: 'int', dim: 'int', tokens: 'in', dy: 'in', lddy: 'int', dtable: 'out' },
    flops: (a) => a.rows * a.dim,
  },

  /**
   * Causal depthwise convolution: y[b,t,d] = bias[d] + Σ_j w[d,j] · x[b, t − (taps−1) + j, d], w [dim, taps].
   * Before the sequence x continues into state [B, taps−1, dim] (absent: zeros), oldest first. reset [B, T] is 1 where a token starts
   * a document: taps that reach before the newest document start at or before t read 0.
   * lastState [B, taps−1, dim]: what the next call needs, with rows of earlier documents zeroed.
   */
  convForward: {
    operands: {
      batch: 'int',
      length: 'int',
      dim: 'int',
      taps: 'int',
      x: 'in',
      ldx: 'int',
      weight: 'in',
      bias: 'in?',
      reset: 'in?',
      state: 'in?',
      y: 'out',
      ldy: 'int',
      lastState: 'out?',
    },
    flops: (a) => 2 * a.batch * a.length * a.dim * a.taps,
  },
  /** dlastState is the gradient of lastState; dstate that of state. */
  convBackward: {
    operands: {
      batch: 'int',
      length: 'int',
      dim: 'int',
      taps: 'int',
      x: 'in',
      ldx: 'int',
      weight: 'in',
      reset: 'in?',
      state: 'in?',
      dy: 'in',
      lddy: 'int',
      dlastState: 'in?',
      dx: 'out',
      lddx: 'int',
      dweight: 'out',
      dbias: 'out?',
      dstate: 'out?',
      scratch: 'scratch',
    },
    flops: (a) => 4 * a.batch * a.length * a.dim * a.taps,
    scratch: (a) => PARTITIONS * a.dim * (a.taps + 1),
  },

  /**
   * loss[r] = logNormalizer[r] − logits[r, targets[r]], logNormalizer = log Σ exp(logits[r]).
   * A negative target is ignored: its loss is 0.
   */
  crossEntropyForward: {
    operands: {
      rows: 'int',
      vocab: 'int',
      logits: 'in',
      ldLogits: 'int',
      targets: 'in',
      loss: 'out',
      logNormalizer: 'out',
    },
    flops: (a) => 14 * a.rows * a.vocab,
  },
  /** dlogits[r, v] = (exp(logits − logNormalizer) − [v = target]) · dloss[r]; a row of zeros where ignored. */
  crossEntropyBackward: {
    operands: {
      rows: 'int',
      vocab: 'int',
      logits: 'in',
      ldLogits: 'int',
      targets: 'in',
      logNormalizer: 'in',
      dloss: 'in',
      dlogits: 'out',
      lddlogits: 'int',
    },
    flops: (a) => 14 * a.rows * a.vocab,
  },

  /**
   * axis 0: y[cols] = Σ over rows; axis 1: y[rows] = Σ over columns, of x or, where a factor is given, of x · factor.
   * With axis 1 and few long rows the columns are split into PARTITIONS partial sums.
   */
  reduce: {
    operands: {
      rows: 'int',
      cols: 'int',
      axis: 'int',
      x: 'in',
      ldx: 'int',
      factor: 'in?',
      ldFactor: 'int',
      y: 'out',
      scratch: 'scratch',
    },
    flops: (a) => 2 * a.rows * a.cols,
    scratch: (a) => PARTITIONS * (a.axis === 0 ? a.cols : a.rows),
  },

  /**
   * AdamW over `count` consecutive elements. schedule [4] = learning rate, gradient factor (clipping),
   * 1 − β1^t, 1 − β2^t. With g = gradient · factor: m ← β1 m + (1−β1) g; v ← β2 v + (1−β2) g²;
   * p ← p − lr · (m / (1−β1^t) / (√(v / (1−β2^t)) + epsilon) + weightDecay · p).
   */
  adamw: {
    operands: {
      count: 'int',
      beta1: 'float',
      beta2: 'float',
      epsilon: 'float',
      weightDecay: 'float',
      schedule: 'in',
      gradients: 'in',
      parameters: 'out',
      firstMoment: 'out',
      secondMoment: 'out',
    },
    flops: (a) => 14 * a.count,
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

  /**
   * Recurrent scan: a cell over the whole sequence with block-diagonal recurrence, D = H · DH.
   * wx [N, G·D] gate-major (gate g, head h at column g·D + h·DH); r [H, G, DH_out, DH_in]; bias [G, D].
   * rec_g = R_g · y_{t−1} + b_g; raw_g = wx_g + rec_g.
   * cell 0, sLSTM, G = 4, gates (i, f, z, o):
   *   l = m_{t−1} + logσ(f); m_t = i where n_{t−1} = 0 (per element), else max(i, l)
   *   I = min(exp(i − m_t), 1); F = min(exp(l − m_t), 1)   [exponentialForget: l = m_{t−1} + f]
   *   c_t = F c_{t−1} + I tanh(z); n_t = F n_{t−1} + I; y_t = σ(o) c_t / n_t
   * cell 1, LSTM, G = 4, gates (i, f, z, o): c_t = σ(f) c_{t−1} + σ(i) tanh(z); y_t = σ(o) tanh(c_t); no n, m.
   * cell 2, GRU, G = 3, gates (r, z, n): r, z = σ(raw); ñ = tanh(wx_n + r · rec_n);
   *   y_t = (1 − z) ñ + z y_{t−1}; no c, n, m. (A bias outside the reset product belongs into wx.)
   * cell 3, Elman RNN, G = 1: y_t = tanh(raw); no c, n, m.
   * reset [N] is 1 where a token starts a document: y, c, n, m become 0 before that token.
   * y0, c0, n0, m0 and last* [B, D]; absent means 0; last* may be the same memory as the given state.
   * Saved for the backward pass (absent when none follows), S planes of D columns each, S = 5, 4, 4, 0 for the
   * cells 0 to 3: gates [N, S·D]; cell 0: I, F, tanh(z), σ(o), dF/df / F = 1 − σ(f) or 1; cell 1: σ(i), σ(f), tanh(z),
   * σ(o); cell 2: r, z, ñ, rec_n. cells [N, 2·D] = (c_t | n_t) (cell 1: c_t alone is written; cells 2, 3: absent);
   * previous [N, D] = y_{t−1} as R saw it (0 after a reset).
   * scratch: R packed for the product, not used where T = 1.
   */
  recurrentForward: {
    operands: {
      cell: 'int',
      exponentialForget: 'int',
      batch: 'int',
      length: 'int',
      heads: 'int',
      headDim: 'int',
      gatesPerUnit: 'int',
      wx: 'in',
      ldwx: 'int',
      r: 'in',
      bias: 'in?',
      reset: 'in?',
      y0: 'in?',
      c0: 'in?',
      n0: 'in?',
      m0: 'in?',
      y: 'out',
      ldy: 'int',
      lastY: 'out?',
      lastC: 'out?',
      lastN: 'out?',
      lastM: 'out?',
      gates: 'out?',
      cells: 'out?',
      previous: 'out?',
      scratch: 'scratch',
    },
    flops: (a) => 2 * a.batch * a.length * a.heads * a.headDim * a.headDim * a.gatesPerUnit,
    scratch: (a) =>
      a.length > 1 ? a.heads * a.headDim * Math.ceil((a.headDim * a.gatesPerUnit) / 16) * 16 : 0,
  },
  /**
   * dwx [N, G·D] are the gradients of wx. drec [N, G·D], the gradients of rec, differ from dwx in cell 2 alone and are
   * written if given (cell 2 needs them). The caller forms dr = drecᵀ · previous and dbias = Σ drec.
   * The gradient that flows into y_{t−1} through R is clipped to ±recurrentClip where that is > 0, and not formed at
   * all with cutRecurrent. m is a constant: y does not depend on it. No gradient crosses a reset.
   * gates and cells are absent where the cell saves none.
   */
  recurrentBackward: {
    operands: {
      cell: 'int',
      batch: 'int',
      length: 'int',
      heads: 'int',
      headDim: 'int',
      gatesPerUnit: 'int',
      recurrentClip: 'float',
      cutRecurrent: 'int',
      r: 'in',
      reset: 'in?',
      c0: 'in?',
      n0: 'in?',
      y: 'in',
      ldy: 'int',
      gates: 'in?',
      cells: 'in?',
      dy: 'in',
      lddy: 'int',
      dlastY: 'in?',
      dlastC: 'in?',
      dlastN: 'in?',
      dwx: 'out',
      lddwx: 'int',
      drec: 'out?',
      lddrec: 'int',
      dy0: 'out?',
      dc0: 'out?',
      dn0: 'out?',
      scratch: 'scratch',
    },
    flops: (a) => 2 * a.batch * a.length * a.heads * a.headDim * a.headDim * a.gatesPerUnit,
    scratch: (a) => a.heads * a.headDim * a.gatesPerUnit * Math.ceil(a.headDim / 16) * 16,
  },

  /**
   * Rotary positions (Su et al. 2021): in every head the pair (x[j], x[j + DH/2]), j < DH/2, is turned by the angle
   * direction · positions[r] · 10000^(−2j/DH). direction is 1, or −1 to turn back (the gradient). y may be x.
   */
  rotate: {
    operands: {
      rows: 'int',
      heads: 'int',
      headDim: 'int',
      direction: 'int',
      positions: 'in',
      x: 'in',
      ldx: 'int',
      y: 'out',
      ldy: 'int',
    },
    flops: (a) => 3 * a.rows * a.heads * a.headDim,
  },

  /**
   * Causal softmax attention, online: no T × T array in memory. Head h of q, k, v, h [N, H·DH] at columns h·DH.
   * counts [N]: the number of each token in its document, from 1 on. Token t sees itself and the tokens of its document
   * before it, `window` in all: h_t = Σ_s softmax_s(scale · q_t · k_s) v_s.
   * keys, values [B, H, window, DH] hold the tokens before the sequence, number c of a document in row (c − 1) mod
   * window; absent where every sequence starts a document. last* [B, H, window, DH] hold those after it and may be the
   * same memory. logSums [B, H, T] = log Σ_s exp(scale · q_t · k_s), for the backward pass.
   */
  attentionForward: {
    operands: {
      batch: 'int',
      length: 'int',
      heads: 'int',
      headDim: 'int',
      window: 'int',
      scale: 'float',
      q: 'in',
      ldq: 'int',
      k: 'in',
      ldk: 'int',
      v: 'in',
      ldv: 'int',
      counts: 'in',
      keys: 'in?',
      values: 'in?',
      h: 'out',
      ldh: 'int',
      lastKeys: 'out?',
      lastValues: 'out?',
      logSums: 'out?',
    },
    flops: (a) => 4 * a.batch * a.heads * a.headDim * a.length * Math.min(a.window, (a.length + 1) / 2),
  },
  /** keys and values of the state are constants: no gradient flows into them. */
  attentionBackward: {
    operands: {
      batch: 'int',
      length: 'int',
      heads: 'int',
      headDim: 'int',
      window: 'int',
      scale: 'float',
      q: 'in',
      ldq: 'int',
      k: 'in',
      ldk: 'int',
      v: 'in',
      ldv: 'int',
      counts: 'in',
      keys: 'in?',
      values: 'in?',
      h: 'in',
      ldh: 'int',
      logSums: 'in',
      dh: 'in',
      lddh: 'int',
      dq: 'out',
      lddq: 'int',
      dk: 'out',
      lddk: 'int',
      dv: 'out',
      lddv: 'int',
    },
    flops: (a) => 10 * a.batch * a.heads * a.headDim * a.length * Math.min(a.window, (a.length + 1) / 2),
  },

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
      state: 'in?',
      y: 'out',
      ldy: 'int',
      lastState: 'out?',
      chunkStates: 'out?',
    },
    flops: (a) => 18 * a.batch * a.length * a.dim * a.states,
  },
  /**
   * The states within a chunk are computed again. scratch: da of each batch member [B, S, D]; db and dc [N, S] of each
   * group of SELECTIVE_SCAN_GROUP channels.
   */
  selectiveScanBackward: {
    operands: {
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
    scratch: (a) =>
      a.batch * a.states * a.dim +
      2 * a.batch * a.length * a.states * Math.ceil(a.dim / SELECTIVE_SCAN_GROUP),
  },

  /**
   * Gated delta rule (Yang et al. 2024) per batch member and head, scalar gates alpha, beta [N, H]:
   *   S_t = alpha_t (I − beta_t k_t k_tᵀ) S_{t−1} + beta_t k_t v_tᵀ;  h_t = S_tᵀ q_t
   * q, k [N, H·DK], v, h [N, H·DV]; state, lastState [B, H, DK, DV] (absent: zeros), reset [N] as in linearScanForward.
   * chunkStates [B, H, chunks, DK, DV]: S at the entry of each chunk of `chunk` tokens, for the backward pass, which
   * computes the states within a chunk again: chunk · DK · ⌈DV / 16⌉ · 16 is at most 2^18.
   */
  deltaScanForward: {
    operands: {
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
      state: 'in?',
      h: 'out',
      ldh: 'int',
      lastState: 'out?',
      chunkStates: 'out?',
    },
    flops: (a) => 7 * a.batch * a.length * a.heads * a.keyDim * a.valueDim,
  },
  deltaScanBackward: {
    operands: {
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
  },
} as const satisfies Record<string, Kernel>;

/** The rows with their operand names, for engines that derive argument types from them. */
export type KernelTable = typeof table;
export type KernelName = keyof KernelTable;
export const kernels: Readonly<Record<KernelName, Kernel>> = table;
export const kernelNames = Object.keys(table) as KernelName[];
