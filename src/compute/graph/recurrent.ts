import { type CellName, cellNames, recurrentCells as cells } from '../program/constants.ts';
import { sizeOf } from '../program/region.ts';
import { sumRows } from './elementwise.ts';
import { headwiseOuter } from './matmul.ts';
import {
  attributes,
  defineOp,
  type KernelNumbers,
  type Named,
  type Node,
  oneCall,
  type Tensor,
} from './op.ts';
import { requireCount, requireNotNegative, requireOption } from './options.ts';
import { createNode, requireShape } from './tensor.ts';
import { concat, reshape, split } from './views.ts';

export { type CellName, recurrentCells as cells } from '../program/constants.ts';

/** y, and as the cell needs them c, n, m; each [B, D]. What is absent is 0. */
export type RecurrentState = Readonly<Partial<Record<'y' | 'c' | 'n' | 'm', Tensor>>>;

/** What is fixed of a recurrent cell. Throws a usage error for a value that is none of its kind. */
export interface RecurrentOptions {
  /** Which equations hold. */
  readonly cell: CellName;
  /** H: units of different heads do not see each other. 1 where the whole layer is mixed. */
  readonly heads: number;
  /** sLSTM: the forget gate is exp(f) rather than σ(f). */
  readonly exponentialForget: boolean;
  /** Bound on the gradient that flows through the recurrent matrix at each step; 0: none. */
  readonly recurrentClip: number;
  /** No gradient flows through the recurrent matrix. */
  readonly cutRecurrent: boolean;
}

type RecurrentAttributes = KernelNumbers<'recurrentForward'> & KernelNumbers<'recurrentBackward'>;

/** A node that `recurrent` made. */
export interface RecurrentNode extends Node {
  readonly inputs: Named;
  readonly outputs: Named;
  readonly attributes: RecurrentAttributes;
}

export const isRecurrent = (node: Node): node is RecurrentNode => node.op === recurrentOp;

const recurrentOp = defineOp({
  name: 'recurrent',
  ...oneCall('recurrentForward'),
  ...attributes<RecurrentAttributes>(),
  constants: ['reset', 'm0'],
  inPlace: { lastY: 'y0', lastC: 'c0', lastN: 'n0', lastM: 'm0' },
  gradient({ inputs, outputs, attributes }, d) {
    const { wx, r, bias } = inputs;
    const { y, gates, lastY, previous } = outputs;
    const cell = cellNames[attributes.cell];
    const { gatesPerUnit, savedPlanes, states } = cells[cell];
    const saved = {
      gates: savedPlanes > 0 ? gates : undefined,
      cells: states.length > 1 ? outputs.cells : undefined,
    };
    const { dwx, drec, ...dstate } = createNode(
      recurrentBackwardOp,
      { ...inputs, y, ...saved, ...d },
      { dwx: wx.shape, drec: wx.shape, dy0: lastY.shape, dc0: lastY.shape, dn0: lastY.shape },
      attributes,
    );
    // The gradients of R y + b are those of the raw gates in every cell but the GRU.
    const draw = cell === 'gru' ? drec : dwx;
    const perGate = split(draw, new Array<number>(gatesPerUnit).fill(y.cols));
    const dr = reshape(
      concat(perGate.map((gate) => headwiseOuter(gate, previous, attributes.heads))),
      r.shape,
    );
    return { dwx, dr, dbias: bias && reshape(sumRows(draw), bias.shape), ...dstate };
  },
});

const recurrentBackwardOp = defineOp({ name: 'recurrentBackward', ...oneCall('recurrentBackward') });

/**
 * A recurrent cell over a sequence, with block-diagonal memory mixing: one fused scan. wx [B, T, G·D] (gate-major),
 * r [H, G·DH, DH], bias [G·D], reset [B, T] (1 where a document starts: the state is 0 before that token). A gate is
 * wx + R y_{t−1} + b, and there are G of them, in this order:
 *
 * ```text
 * slstm: i, f, z, o
 *   l = m_{t−1} + logσ(f)  (exponentialForget: m_{t−1} + f)
 *   m_t = max(l, i), but i where n_{t−1} = 0
 *   I = exp(i − m_t)     F = exp(l − m_t)
 *   c_t = F c_{t−1} + I tanh(z)     n_t = F n_{t−1} + I
 *   y_t = σ(o) c_t / n_t
 * lstm: i, f, z, o
 *   c_t = σ(f) c_{t−1} + σ(i) tanh(z)     y_t = σ(o) tanh(c_t)
 * gru: r, z, n
 *   ñ = tanh(wx_n + σ(r) (R_n y_{t−1} + b_n))
 *   y_t = (1 − σ(z)) ñ + σ(z) y_{t−1}
 * rnn: g
 *   y_t = tanh(g)
 * ```
 *
 * sLSTM: Beck et al. 2024; LSTM: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000; GRU: Cho et
 * al. 2014, with the reset behind the product; RNN: Elman 1990. No gradient flows through m, on which y does not depend.
 */
export function recurrent(
  wx: Tensor,
  r: Tensor,
  bias: Tensor | undefined,
  reset: Tensor | undefined,
  state: RecurrentState,
  options: RecurrentOptions,
): {
  /** [B, T, D] */
  y: Tensor;
  /** After the last token: the states that the cell has. */
  state: RecurrentState;
} {
  requireOption(cellNames.includes(options.cell), 'recurrent', 'cell', cellNames.join(', '), options.cell);
  requireCount('recurrent', 'heads', options.heads);
  requireNotNegative('recurrent', 'recurrentClip', options.recurrentClip);
  for (const name of ['exponentialForget', 'cutRecurrent'] as const)
    requireOption(typeof options[name] === 'boolean', 'recurrent', name, 'true or false', options[name]);
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
  requireShape(
    !bias || sizeOf(bias.shape) === gatesPerUnit * dim,
    'recurrent',
    `a bias [${gatesPerUnit * dim}]`,
    bias,
  );
  requireShape(
    !reset || reset.shape.join() === [batch, length].join(),
    'recurrent',
    `reset [${batch}, ${length}]`,
    reset,
  );
  const vector = [batch, dim];
  const { y, lastY, lastC, lastN, lastM } = createNode(
    recurrentOp,
    { wx, r, bias, reset, y0: state.y, c0: state.c, n0: state.n, m0: state.m },
    {
      y: [batch, length, dim],
      lastY: vector,
      lastC: vector,
      lastN: vector,
      lastM: vector,
      gates: [batch, length, Math.max(1, savedPlanes * dim)],
      cells: [batch, length, 2 * dim],
      previous: [batch, length, dim],
    },
    {
      cell: cellNames.indexOf(options.cell),
      exponentialForget: Number(options.exponentialForget),
      batch,
      length,
      heads: options.heads,
      headDim,
      gatesPerUnit,
      recurrentClip: options.recurrentClip,
      cutRecurrent: Number(options.cutRecurrent),
    },
  );
  const last = { y: lastY, c: lastC, n: lastN, m: lastM };
  return { y, state: Object.fromEntries(states.map((name) => [name, last[name]])) };
}
