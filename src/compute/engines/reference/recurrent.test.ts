import { describe, expect, it } from 'vitest';
import { cells } from './cells.ts';
import { gemm } from './gemm.ts';
import { recurrentBackward, recurrentForward } from './recurrent.ts';
import { reduce } from './reduce.ts';
import { readGolden } from './testing/golden.ts';
import { expectGradients } from './testing/gradient_check.ts';
import { dot, randomValues, tensorError } from './testing/values.ts';

const SLSTM = 0;
const LSTM = 1;
const GRU = 2;
const ELMAN = 3;
const GATES = [4, 4, 3, 1];

interface Sizes {
  cell: number;
  exponentialForget: number;
  batch: number;
  length: number;
  heads: number;
  headDim: number;
}

interface Inputs {
  wx: Float64Array;
  r: Float64Array;
  bias?: Float64Array;
  reset?: Float64Array;
  y0?: Float64Array;
  c0?: Float64Array;
  n0?: Float64Array;
  m0?: Float64Array;
}

const sizesOf = (cell: number): Sizes => ({
  cell,
  exponentialForget: 0,
  batch: 2,
  length: 5,
  heads: 2,
  headDim: 3,
});

function randomInputs({ cell, batch, length, heads, headDim }: Sizes, seed: number): Inputs {
  const width = heads * headDim;
  return {
    wx: randomValues(batch * length * GATES[cell] * width, seed, 2),
    r: randomValues(width * GATES[cell] * headDim, seed + 1),
    bias: randomValues(GATES[cell] * width, seed + 2),
  };
}

/** A state as a scan leaves one: n is positive. */
function randomState({ cell, batch, heads, headDim }: Sizes, seed: number): Partial<Inputs> {
  const size = batch * heads * headDim;
  const state: Partial<Inputs> = { y0: randomValues(size, seed) };
  if (cells[cell].hasCell) state.c0 = randomValues(size, seed + 1);
  if (cells[cell].hasNormalizer) {
    state.n0 = randomValues(size, seed + 2).map((x) => 1.5 + x);
    state.m0 = randomValues(size, seed + 3);
  }
  return state;
}

function forward(sizes: Sizes, inputs: Inputs) {
  const { cell, batch, length, heads, headDim } = sizes;
  const width = heads * headDim;
  const rows = batch * length;
  const outputs = {
    y: new Float64Array(rows * width),
    lastY: new Float64Array(batch * width),
    lastC: new Float64Array(batch * width),
    lastN: new Float64Array(batch * width),
    lastM: new Float64Array(batch * width),
    gates: new Float64Array(rows * cells[cell].saved * width),
    cells: new Float64Array(rows * 2 * width),
    previous: new Float64Array(rows * width),
  };
  recurrentForward({
    bias: undefined,
    reset: undefined,
    y0: undefined,
    c0: undefined,
    n0: undefined,
    m0: undefined,
    ...sizes,
    gatesPerUnit: GATES[cell],
    ldwx: GATES[cell] * width,
    ldy: width,
    ...inputs,
    ...outputs,
    scratch: undefined,
  });
  return outputs;
}

/** recurrentBackward, and dr and dbias as a caller forms them from drec. */
function backward(
  sizes: Sizes,
  inputs: Inputs,
  saved: ReturnType<typeof forward>,
  upstream: { dy: Float64Array; dlastY?: Float64Array; dlastC?: Float64Array; dlastN?: Float64Array },
  { recurrentClip = 0, cutRecurrent = 0 } = {},
) {
  const { cell, batch, length, heads, headDim } = sizes;
  const gatesPerUnit = GATES[cell];
  const width = heads * headDim;
  const ld = gatesPerUnit * width;
  const rows = batch * length;
  const gradients = {
    dwx: new Float64Array(rows * ld),
    drec: new Float64Array(rows * ld),
    dy0: new Float64Array(batch * width),
    dc0: new Float64Array(batch * width),
    dn0: new Float64Array(batch * width),
  };
  recurrentBackward({
    reset: undefined,
    c0: undefined,
    n0: undefined,
    dlastY: undefined,
    dlastC: undefined,
    dlastN: undefined,
    ...sizes,
    gatesPerUnit,
    recurrentClip,
    cutRecurrent,
    ...inputs,
    ...saved,
    ldy: width,
    lddy: width,
    lddwx: ld,
    lddrec: ld,
    ...upstream,
    ...gradients,
    scratch: undefined,
  });
  const dr = new Float64Array(inputs.r.length);
  for (let head = 0; head < heads; head++) {
    gemm({
      batch: gatesPerUnit,
      m: headDim,
      n: headDim,
      k: rows,
      a: gradients.drec.subarray(head * headDim),
      lda: ld,
      strideA: width,
      transA: 1,
      b: saved.previous.subarray(head * headDim),
      ldb: width,
      strideB: 0,
      transB: 0,
      c: dr.subarray(head * gatesPerUnit * headDim * headDim),
      ldc: headDim,
      strideC: headDim * headDim,
      bias: undefined,
      strideBias: 0,
      residual: undefined,
      ldResidual: 0,
      strideResidual: 0,
    });
  }
  const dbias = new Float64Array(ld);
  reduce({
    rows,
    cols: ld,
    axis: 0,
    x: gradients.drec,
    ldx: ld,
    factor: undefined,
    ldFactor: 0,
    y: dbias,
    scratch: undefined,
  });
  return { ...gradients, dr, dbias };
}

/** Rows from..to of both batch members of x [2, T, width]. */
function piece(x: Float64Array, length: number, from: number, to: number): Float64Array {
  const width = x.length / (2 * length);
  return Float64Array.from(
    [0, 1].flatMap((b) => [...x.slice((b * length + from) * width, (b * length + to) * width)]),
  );
}

describe('recurrent forward', () => {
  /** One unit, one token: G pre-activations, state (y, c, n, m), no recurrence but the bias. */
  const unit = (cell: number, wx: number[], state: Partial<Inputs>, exponentialForget = 0) =>
    forward(
      { cell, exponentialForget, batch: 1, length: 1, heads: 1, headDim: 1 },
      { wx: Float64Array.from(wx), r: new Float64Array(wx.length), ...state },
    );
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
  const one = (x: number): Float64Array => Float64Array.of(x);

  it('sLSTM: the first token sets m to its input gate', () => {
    const out = unit(SLSTM, [-3, 50, 0.5, 1], {});
    expect([out.lastM[0], out.lastN[0]]).toEqual([-3, 1]);
    expect(out.lastC[0]).toBeCloseTo(Math.tanh(0.5), 14);
    expect(out.y[0]).toBeCloseTo(sigmoid(1) * Math.tanh(0.5), 14);
  });

  it('sLSTM: a later token weighs cell and input by their gates', () => {
    const state = { c0: one(0.6), n0: one(2), m0: one(1) };
    const out = unit(SLSTM, [0.5, 2, 0.5, 1], state);
    const l = 1 + Math.log(sigmoid(2));
    expect(out.lastM[0]).toBeCloseTo(l, 14);
    const input = Math.exp(0.5 - l);
    expect(out.lastN[0]).toBeCloseTo(2 + input, 14);
    expect(out.y[0]).toBeCloseTo((sigmoid(1) * (0.6 + input * Math.tanh(0.5))) / (2 + input), 14);
    expect(unit(SLSTM, [0.5, 2, 0.5, 1], state, 1).lastM[0]).toBe(3);
  });

  it('LSTM, GRU and RNN: one unit by hand', () => {
    const lstm = unit(LSTM, [1, -1, 0.5, 2], { c0: one(0.3) });
    const c = sigmoid(-1) * 0.3 + sigmoid(1) * Math.tanh(0.5);
    expect(lstm.lastC[0]).toBeCloseTo(c, 14);
    expect(lstm.y[0]).toBeCloseTo(sigmoid(2) * Math.tanh(c), 14);
    const gru = unit(GRU, [1, -1, 0.5], { y0: one(0.4), bias: Float64Array.of(0, 0, 2) });
    const candidate = Math.tanh(0.5 + sigmoid(1) * 2);
    expect(gru.y[0]).toBeCloseTo((1 - sigmoid(-1)) * candidate + sigmoid(-1) * 0.4, 14);
    expect(unit(ELMAN, [0.5], { bias: one(0.25) }).y[0]).toBeCloseTo(Math.tanh(0.75), 14);
  });

  it.each([SLSTM, LSTM, GRU, ELMAN])('cell %i: passes its state, and resets start anew', (cell) => {
    const sizes = sizesOf(cell);
    const inputs = { ...randomInputs(sizes, 10), ...randomState(sizes, 20) };
    const whole = forward(sizes, inputs);
    const first = forward({ ...sizes, length: 2 }, { ...inputs, wx: piece(inputs.wx, 5, 0, 2) });
    const rest = { ...inputs, wx: piece(inputs.wx, 5, 2, 5) };
    const state = { y0: first.lastY, c0: first.lastC, n0: first.lastN, m0: first.lastM };
    const second = forward({ ...sizes, length: 3 }, { ...rest, ...state });
    expect(first.y).toEqual(piece(whole.y, 5, 0, 2));
    expect(second.y).toEqual(piece(whole.y, 5, 2, 5));
    expect(second.lastY).toEqual(whole.lastY);
    expect(second.lastC).toEqual(whole.lastC);

    const reset = Float64Array.of(0, 0, 1, 0, 0, 0, 0, 1, 0, 0);
    const documents = forward(sizes, { ...inputs, reset });
    const alone = forward(
      { ...sizes, length: 3 },
      { wx: piece(inputs.wx, 5, 2, 5), r: inputs.r, bias: inputs.bias },
    );
    expect(piece(documents.y, 5, 0, 2)).toEqual(first.y);
    expect(piece(documents.y, 5, 2, 5)).toEqual(alone.y);
    expect(documents.lastN).toEqual(alone.lastN);
    expect(documents.previous.slice(2 * 6, 3 * 6)).toEqual(new Float64Array(6));
  });
});

describe('recurrent backward', () => {
  const modes = [
    { name: 'zero state', state: false, resets: [] },
    { name: 'state in and out', state: true, resets: [] },
    { name: 'resets inside', state: true, resets: [2, 8] },
  ];
  const variants = [
    { name: 'sLSTM', cell: SLSTM, exponentialForget: 0 },
    { name: 'sLSTM with exponential forget gate', cell: SLSTM, exponentialForget: 1 },
    { name: 'LSTM', cell: LSTM, exponentialForget: 0 },
    { name: 'GRU', cell: GRU, exponentialForget: 0 },
    { name: 'RNN', cell: ELMAN, exponentialForget: 0 },
  ];
  const cases = variants.flatMap((variant) => modes.map((mode) => ({ variant, mode })));

  it.each(cases)('agrees with differences: $variant.name, $mode.name', ({ variant, mode }) => {
    const { cell, exponentialForget } = variant;
    const sizes = { ...sizesOf(cell), exponentialForget };
    const { hasCell, hasNormalizer } = cells[cell];
    const inputs: Inputs = { ...randomInputs(sizes, 30), ...(mode.state ? randomState(sizes, 40) : {}) };
    if (mode.resets.length > 0) {
      inputs.reset = new Float64Array(sizes.batch * sizes.length);
      for (const row of mode.resets) inputs.reset[row] = 1;
    }
    const saved = forward(sizes, inputs);
    const upstream = {
      dy: randomValues(saved.y.length, 50),
      dlastY: mode.state ? randomValues(saved.lastY.length, 51) : undefined,
      dlastC: mode.state && hasCell ? randomValues(saved.lastC.length, 52) : undefined,
      dlastN: mode.state && hasNormalizer ? randomValues(saved.lastN.length, 53) : undefined,
    };
    const gradients = backward(sizes, inputs, saved, upstream);
    const loss = (): number => {
      const out = forward(sizes, inputs);
      // c and n stand for c e^m and n e^m, which depend on no m: taken in units of the unperturbed m.
      const inUnits = (x: Float64Array): Float64Array =>
        x.map((value, d) => value * Math.exp(out.lastM[d] - saved.lastM[d]));
      let sum = dot(upstream.dy, out.y);
      if (upstream.dlastY) sum += dot(upstream.dlastY, out.lastY);
      if (upstream.dlastC) sum += dot(upstream.dlastC, inUnits(out.lastC));
      if (upstream.dlastN) sum += dot(upstream.dlastN, inUnits(out.lastN));
      return sum;
    };
    expectGradients(loss, {
      wx: { values: inputs.wx, gradient: gradients.dwx },
      r: { values: inputs.r, gradient: gradients.dr },
      bias: { values: inputs.bias!, gradient: gradients.dbias },
    });
    if (inputs.y0) expectGradients(loss, { y0: { values: inputs.y0, gradient: gradients.dy0 } });
    if (inputs.c0) expectGradients(loss, { c0: { values: inputs.c0, gradient: gradients.dc0 } });
    if (inputs.n0) expectGradients(loss, { n0: { values: inputs.n0, gradient: gradients.dn0 } });
  });

  it('clips what flows through R, element by element', () => {
    const sizes = { ...sizesOf(ELMAN), batch: 1, length: 2, heads: 1, headDim: 1 };
    const inputs = { wx: Float64Array.of(0, 0), r: Float64Array.of(3) };
    const saved = forward(sizes, inputs);
    const dy = Float64Array.of(0.5, -1);
    // y = 0 throughout: tanh' = 1, so −1 · 3 flows back, clipped to −2 before 0.5 is added; again 3 times that.
    const gradientsWith = (options: { recurrentClip?: number; cutRecurrent?: number }) => {
      const { dwx, dy0 } = backward(sizes, inputs, saved, { dy }, options);
      return [...dwx, ...dy0];
    };
    expect(gradientsWith({})).toEqual([-2.5, -1, -7.5]);
    expect(gradientsWith({ recurrentClip: 2 })).toEqual([-1.5, -1, -2]);
    expect(gradientsWith({ cutRecurrent: 1 })).toEqual([0.5, -1, 0]);
  });
});

interface GoldenCase {
  name: string;
  function: 'slstm' | 'lstm';
  B: number;
  S: number;
  NH: number;
  DH: number;
  input_scale: number;
  rtol: number;
}

describe('recurrent golden vectors', () => {
  const golden = readGolden<GoldenCase>('slstm_cell.safetensors');

  it.each(golden.cases)('$name: $function, length $S, $NH × $DH, inputs × $input_scale', (given) => {
    const { name, B, S, NH, DH, rtol } = given;
    const tensor = (key: string): Float64Array => golden.tensor(`${name}.${key}`);
    const cell = given.function === 'slstm' ? SLSTM : LSTM;
    const sizes = { cell, exponentialForget: 0, batch: B, length: S, heads: NH, headDim: DH };
    const inputs = { wx: tensor('Wx'), r: tensor('R'), bias: tensor('b') };
    const saved = forward(sizes, inputs);
    const gradients = backward(sizes, inputs, saved, { dy: tensor('dy') });
    const last = cell === SLSTM ? ['lastY', 'lastC', 'lastN', 'lastM'] : ['lastY', 'lastC'];
    const errors = {
      y: tensorError(saved.y, tensor('y')),
      last: tensorError(
        last.flatMap((key) => [...saved[key as 'lastY']]),
        tensor('last'),
      ),
      dWx: tensorError(gradients.dwx, tensor('dWx')),
      dR: tensorError(gradients.dr, tensor('dR')),
      db: tensorError(gradients.dbias, tensor('db')),
    };
    for (const [key, error] of Object.entries(errors)) expect(error, key).toBeLessThan(rtol);
  });
});
