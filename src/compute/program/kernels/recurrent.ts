import { cellNames, recurrentCells } from '../constants.ts';
import { f32, type Kernel, type Sizes, wholeVectors } from './kernel.ts';

/** What the scan carries of a unit from token to token. */
const statesOf = ({ cell }: Sizes): number => recurrentCells[cellNames[cell]].states.length;

/** Units of all tokens. */
const unitsOf = ({ batch, length, heads, headDim }: Sizes): number => batch * length * heads * headDim;

/** Elements of R. */
const mixing = ({ heads, headDim, gatesPerUnit }: Sizes): number => heads * gatesPerUnit * headDim * headDim;

/** Numbers of a unit that a token saves for the backward pass: planes of gates, c and n. */
function savedOf({ cell }: Sizes): number {
  const { savedPlanes, states } = recurrentCells[cellNames[cell]];
  return savedPlanes + states.filter((name) => name === 'c' || name === 'n').length;
}

/** Cells whose gates see their last output. */
export const recurrentKernels = {
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
    bytes(a) {
      const states = a.y0 + a.c0 + a.n0 + a.m0 + a.lastY + a.lastC + a.lastN + a.lastM;
      const saved = a.previous ? savedOf(a) + 1 : 0;
      return f32(unitsOf(a) * (a.gatesPerUnit + 1 + saved + states / a.length) + mixing(a));
    },
    scratch: (a) => (a.length > 1 ? a.heads * a.headDim * wholeVectors(a.headDim * a.gatesPerUnit) : 0),
    // One row at least: a thread takes as many as fit.
    threadScratch: (a) => 2 * wholeVectors(a.gatesPerUnit * a.headDim) + statesOf(a) * a.headDim,
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
    bytes: (a) => f32(unitsOf(a) * ((1 + a.drec) * a.gatesPerUnit + 2 + savedOf(a)) + mixing(a)),
    scratch: (a) => a.heads * a.headDim * a.gatesPerUnit * wholeVectors(a.headDim),
    // c and n are the states of the backward pass beside y.
    threadScratch: (a) =>
      (a.gatesPerUnit + Math.min(statesOf(a), 3)) * a.headDim + 2 * wholeVectors(a.headDim),
  },
} as const satisfies Record<string, Kernel>;
