import type { Kernel } from './kernel.ts';

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
} as const satisfies Record<string, Kernel>;
