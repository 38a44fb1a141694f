import { multiply } from './elementwise.ts';
import { headwiseOuter } from './matmul.ts';
import { sumRows } from './reduce.ts';
import { createNode, type Op, requireShape, type Tensor } from './tensor.ts';
import { concat, reshape, split } from './views.ts';

/** The cells that the recurrent scan runs, with the sizes of the kernel table's row `recurrentForward`. */
export const cells = {
  slstm: { code: 0, gatesPerUnit: 4, savedPlanes: 5, states: ['y', 'c', 'n', 'm'] },
  lstm: { code: 1, gatesPerUnit: 4, savedPlanes: 4, states: ['y', 'c'] },
  gru: { code: 2, gatesPerUnit: 3, savedPlanes: 4, states: ['y'] },
  rnn: { code: 3, gatesPerUnit: 1, savedPlanes: 0, states: ['y'] },
} as const;

export type CellName = keyof typeof cells;

/** y, and as the cell needs them c, n, m; each [B, D]. */
export type RecurrentState = Readonly<Partial<Record<'y' | 'c' | 'n' | 'm', Tensor>>>;

export interface RecurrentOptions {
  readonly cell: CellName;
  readonly heads: number;
  /** sLSTM: the forget gate is exp(f) rather than σ(f). */
  readonly exponentialForget: boolean;
  /** Bound on the gradient that flows through the recurrent matrix at each step; 0: none. */
  readonly recurrentClip: number;
  /** No gradient flows through the recurrent matrix. */
  readonly cutRecurrent: boolean;
}

type Maybe = Tensor | undefined;
type Inputs = [wx: Tensor, r: Tensor, bias: Maybe, reset: Maybe, y0: Maybe, c0: Maybe, n0: Maybe, m0: Maybe];

const recurrentOp: Op<RecurrentOptions> = {
  name: 'recurrent',
  stridedOutputs: [0],
  inPlace: { 1: 4, 2: 5, 3: 6, 4: 7 },
  backward(node, [dy, dlastY, dlastC, dlastN]) {
    if (!dy && !dlastY && !dlastC && !dlastN) return [];
    const [wx, r, bias, reset, y0, c0, n0] = node.inputs as Inputs;
    const [y, , , , , gates, cellStates, previous] = node.outputs;
    const { cell, heads } = node.attributes;
    const saved = cells[cell].savedPlanes > 0;
    const shape = [y.shape[0], y.cols];
    const [dwx, drecOut, dy0, dc0, dn0] = createNode(
      recurrentBackwardOp,
      [
        r,
        reset,
        c0,
        n0,
        y,
        saved ? gates : undefined,
        cells[cell].states.length > 1 ? cellStates : undefined,
        dy ?? multiply(y, 0),
        dlastY,
        dlastC,
        dlastN,
      ],
      node.attributes,
      [wx.shape, wx.shape, shape, shape, shape],
    );
    // The gradients of R y + b are those of the raw gates in every cell but the GRU.
    const drec = cell === 'gru' ? drecOut : dwx;
    const perGate = split(drec, new Array<number>(cells[cell].gatesPerUnit).fill(y.cols));
    const dr = reshape(concat(perGate.map((gate) => headwiseOuter(gate, previous, heads))), r.shape);
    return [
      dwx,
      dr,
      bias && reshape(sumRows(drec), bias.shape),
      undefined,
      y0 && dy0,
      c0 && dc0,
      n0 && dn0,
      undefined,
    ];
  },
  emit(node, to) {
    const [wx, r, bias, reset, y0, c0, n0, m0] = node.inputs as Inputs;
    const [y, lastY, lastC, lastN, lastM, gates, cellStates, previous] = node.outputs;
    const { cell, heads, exponentialForget } = node.attributes;
    const x = to.matrix(wx);
    const out = to.matrix(y);
    to.call('recurrentForward', {
      cell: cells[cell].code,
      exponentialForget: Number(exponentialForget),
      batch: y.shape[0],
      length: y.shape[1],
      heads,
      headDim: y.cols / heads,
      gatesPerUnit: cells[cell].gatesPerUnit,
      wx: x.at,
      ldwx: x.ld,
      r: to.contiguous(r),
      bias: to.contiguous(bias),
      reset: to.contiguous(reset),
      y0: to.contiguous(y0),
      c0: to.contiguous(c0),
      n0: to.contiguous(n0),
      m0: to.contiguous(m0),
      y: out.at,
      ldy: out.ld,
      lastY: to.wantedContiguous(lastY),
      lastC: to.wantedContiguous(lastC),
      lastN: to.wantedContiguous(lastN),
      lastM: to.wantedContiguous(lastM),
      gates: to.wantedContiguous(gates),
      cells: to.wantedContiguous(cellStates),
      previous: to.wantedContiguous(previous),
    });
  },
};

const recurrentBackwardOp: Op<RecurrentOptions> = {
  name: 'recurrentBackward',
  stridedOutputs: [0, 1],
  emit(node, to) {
    const [r, reset, c0, n0, y, gates, cellStates, upstream, dlastY, dlastC, dlastN] = node.inputs as [
      Tensor,
      Maybe,
      Maybe,
      Maybe,
      Tensor,
      Maybe,
      Maybe,
      Tensor,
      Maybe,
      Maybe,
      Maybe,
    ];
    const [dwxOut, drecOut, dy0, dc0, dn0] = node.outputs;
    const { cell, heads, recurrentClip, cutRecurrent } = node.attributes;
    const out = to.matrix(y);
    const dy = to.matrix(upstream);
    const dwx = to.matrix(dwxOut);
    const drec = to.wanted(drecOut);
    to.call('recurrentBackward', {
      cell: cells[cell].code,
      batch: y.shape[0],
      length: y.shape[1],
      heads,
      headDim: y.cols / heads,
      gatesPerUnit: cells[cell].gatesPerUnit,
      recurrentClip,
      cutRecurrent: Number(cutRecurrent),
      r: to.contiguous(r),
      reset: to.contiguous(reset),
      c0: to.contiguous(c0),
      n0: to.contiguous(n0),
      y: out.at,
      ldy: out.ld,
      gates: to.contiguous(gates),
      cells: to.contiguous(cellStates),
      dy: dy.at,
      lddy: dy.ld,
      dlastY: to.contiguous(dlastY),
      dlastC: to.contiguous(dlastC),
      dlastN: to.contiguous(dlastN),
      dwx: dwx.at,
      lddwx: dwx.ld,
      drec: drec.at,
      lddrec: drec.ld,
      dy0: to.wantedContiguous(dy0),
      dc0: to.wantedContiguous(dc0),
      dn0: to.wantedContiguous(dn0),
    });
  },
};

/**
 * A recurrent cell over a sequence, with block-diagonal memory mixing: one fused scan.
 * wx [B, T, G·D] (gate-major), r [H, G·DH, DH], bias [G·D], reset [B, T] (1 where a document starts).
 */
export function recurrent(
  wx: Tensor,
  r: Tensor,
  bias: Tensor | undefined,
  reset: Tensor | undefined,
  state: RecurrentState,
  options: RecurrentOptions,
): { y: Tensor; state: RecurrentState } {
  const { gatesPerUnit, savedPlanes, states } = cells[options.cell];
  const [batch, length] = wx.shape;
  const dim = wx.cols / gatesPerUnit;
  const headDim = dim / options.heads;
  requireShape(
    wx.shape.length === 3 && Number.isInteger(headDim),
    'recurrent',
    `wx [B, T, ${gatesPerUnit}·D] with D divisible by ${options.heads} heads`,
    wx,
  );
  requireShape(
    r.shape.join() === [options.heads, gatesPerUnit * headDim, headDim].join(),
    'recurrent',
    `R [${options.heads}, ${gatesPerUnit * headDim}, ${headDim}]`,
    r,
  );
  for (const name of ['y', 'c', 'n', 'm'] as const) {
    requireShape(
      !state[name] || state[name].shape.join() === [batch, dim].join(),
      'recurrent',
      `a state ${name} [${batch}, ${dim}]`,
      state[name],
    );
  }
  const vector = [batch, dim];
  const [y, lastY, lastC, lastN, lastM] = createNode(
    recurrentOp,
    [wx, r, bias, reset, state.y, state.c, state.n, state.m],
    options,
    [
      [batch, length, dim],
      vector,
      vector,
      vector,
      vector,
      [batch, length, Math.max(1, savedPlanes * dim)],
      [batch, length, 2 * dim],
      [batch, length, dim],
    ],
  );
  const last = { y: lastY, c: lastC, n: lastN, m: lastM };
  return { y, state: Object.fromEntries(states.map((name) => [name, last[name]])) };
}
