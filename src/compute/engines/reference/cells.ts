import { type CellName, cellNames } from '../../program/constants.ts';
import { logSigmoid, sigmoid } from './math.ts';

/** One unit (batch member, head, column) of a recurrent cell at one token. */
export interface Unit {
  readonly y: number;
  readonly c: number;
  readonly n: number;
  readonly m: number;
}

/** What the backward pass knows of a unit: saved gates, its output and cell, the cell before it. */
export interface Seen {
  readonly saved: readonly number[];
  readonly y: number;
  readonly c: number;
  readonly n: number;
  readonly cBefore: number;
  readonly nBefore: number;
}

/** Gradients of a unit's y, c and n after the token, all later use included. */
export interface Upstream {
  readonly dy: number;
  readonly dc: number;
  readonly dn: number;
}

/** Gradients of what a unit read; dy is the direct part, without the way through R. */
export interface Downstream extends Upstream {
  readonly dwx: readonly number[];
  readonly drec: readonly number[];
}

export interface Cell {
  /** Planes of gates that the forward pass saves. */
  readonly saved: number;
  readonly hasCell: boolean;
  readonly hasNormalizer: boolean;
  /** wx and rec [G]: what comes from the input and from y_{t−1}. Returns the unit after the token and its gates. */
  forward(
    before: Unit,
    wx: readonly number[],
    rec: readonly number[],
    exponentialForget: boolean,
  ): { unit: Unit; saved: readonly number[] };
  /** m is a constant: y does not depend on it. */
  backward(seen: Seen, upstream: Upstream): Downstream;
}

const slstm: Cell = {
  saved: 5,
  hasCell: true,
  hasNormalizer: true,
  forward(before, wx, rec, exponentialForget) {
    const [i, f, z, o] = wx.map((x, g) => x + rec[g]);
    const l = before.m + (exponentialForget ? f : logSigmoid(f));
    const m = before.n === 0 ? i : Math.max(i, l);
    const input = Math.min(Math.exp(i - m), 1);
    const forget = Math.min(Math.exp(l - m), 1);
    const c = forget * before.c + input * Math.tanh(z);
    const n = forget * before.n + input;
    const slope = exponentialForget ? 1 : sigmoid(-f);
    return {
      unit: { y: (sigmoid(o) * c) / n, c, n, m },
      saved: [input, forget, Math.tanh(z), sigmoid(o), slope],
    };
  },
  backward({ saved: [input, forget, z, o, slope], y, n, cBefore, nBefore }, upstream) {
    const { dy } = upstream;
    const dc = upstream.dc + (dy * o) / n;
    const dn = upstream.dn - (dy * y) / n;
    const draw = [
      input * (z * dc + dn),
      forget * (cBefore * dc + nBefore * dn) * slope,
      dc * input * (1 - z * z),
      dy * y * (1 - o),
    ];
    return { dwx: draw, drec: draw, dy: 0, dc: forget * dc, dn: forget * dn };
  },
};

const lstm: Cell = {
  saved: 4,
  hasCell: true,
  hasNormalizer: false,
  forward(before, wx, rec) {
    const [i, f, z, o] = wx.map((x, g) => x + rec[g]);
    const c = sigmoid(f) * before.c + sigmoid(i) * Math.tanh(z);
    return {
      unit: { y: sigmoid(o) * Math.tanh(c), c, n: 0, m: 0 },
      saved: [sigmoid(i), sigmoid(f), Math.tanh(z), sigmoid(o)],
    };
  },
  backward({ saved: [input, forget, z, o], y, c, cBefore }, upstream) {
    const { dy } = upstream;
    const dc = upstream.dc + dy * o * (1 - Math.tanh(c) ** 2);
    const draw = [
      dc * z * input * (1 - input),
      dc * cBefore * forget * (1 - forget),
      dc * input * (1 - z * z),
      dy * y * (1 - o),
    ];
    return { dwx: draw, drec: draw, dy: 0, dc: forget * dc, dn: 0 };
  },
};

const gru: Cell = {
  saved: 4,
  hasCell: false,
  hasNormalizer: false,
  forward(before, wx, rec) {
    const r = sigmoid(wx[0] + rec[0]);
    const z = sigmoid(wx[1] + rec[1]);
    const candidate = Math.tanh(wx[2] + r * rec[2]);
    return {
      unit: { y: (1 - z) * candidate + z * before.y, c: 0, n: 0, m: 0 },
      saved: [r, z, candidate, rec[2]],
    };
  },
  backward({ saved: [r, z, candidate, recN], y }, { dy }) {
    const drawN = dy * (1 - z) * (1 - candidate * candidate);
    const drawR = drawN * recN * r * (1 - r);
    // dy/dz = y_{t−1} − ñ, and z (y_{t−1} − ñ) = y − ñ.
    const drawZ = dy * (y - candidate) * (1 - z);
    return { dwx: [drawR, drawZ, drawN], drec: [drawR, drawZ, drawN * r], dy: dy * z, dc: 0, dn: 0 };
  },
};

const elman: Cell = {
  saved: 0,
  hasCell: false,
  hasNormalizer: false,
  forward(_before, wx, rec) {
    return { unit: { y: Math.tanh(wx[0] + rec[0]), c: 0, n: 0, m: 0 }, saved: [] };
  },
  backward({ y }, { dy }) {
    const draw = [dy * (1 - y * y)];
    return { dwx: draw, drec: draw, dy: 0, dc: 0, dn: 0 };
  },
};

const byName: Readonly<Record<CellName, Cell>> = { slstm, lstm, gru, rnn: elman };

/** In the order of the `cell` operand. */
export const cells: readonly Cell[] = cellNames.map((name) => byName[name]);
