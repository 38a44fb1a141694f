import { ATTENTION_KEYS, ATTENTION_QUERIES, GEMM_SCRATCH } from '../constants.ts';
import { f32, type Kernel, type Sizes } from './kernel.ts';

/** Keys and values of the state: those of the whole window are read, those of new tokens written. */
const ringRows = ({ batch, length, window, keys, lastKeys = 0 }: Sizes): number =>
  2 * batch * (keys * window + lastKeys * Math.min(length, window));

/** What both directions of attention read. */
const attentionInputs = {
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
} as const satisfies Kernel['operands'];

/** Softmax attention and rotary positions. */
export const attentionKernels = {
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
    bytes: (a) => f32(2 * a.rows * a.heads * a.headDim),
    // Angles and their steps in double precision, and once in single.
    threadScratch: (a) => 5 * a.headDim,
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
      ...attentionInputs,
      h: 'out',
      ldh: 'int',
      lastKeys: 'out?',
      lastValues: 'out?',
      logSums: 'out?',
    },
    flops: (a) => 4 * a.batch * a.heads * a.headDim * a.length * Math.min(a.window, (a.length + 1) / 2),
    bytes: (a) => f32((4 * a.batch * a.length + ringRows(a)) * a.heads * a.headDim),
    threadScratch: () => ATTENTION_QUERIES * (ATTENTION_KEYS + 2) + GEMM_SCRATCH,
  },
  /** keys and values of the state are constants: no gradient flows into them. */
  attentionBackward: {
    operands: {
      ...attentionInputs,
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
    bytes: (a) => f32((8 * a.batch * a.length + ringRows(a)) * a.heads * a.headDim),
    threadScratch: () => ATTENTION_QUERIES * (2 * ATTENTION_KEYS + 1) + GEMM_SCRATCH,
  },
} as const satisfies Record<string, Kernel>;
