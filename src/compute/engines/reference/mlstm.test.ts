import { describe, expect, it } from 'vitest';
import { mlstmStep } from './mlstm.ts';
import { mlstmParallel } from './mlstm_parallel.ts';
import { readGolden } from './testing/golden.ts';
import { expectGradients } from './testing/gradient_check.ts';
import {
  backward,
  CHUNK,
  forward,
  type Inputs,
  randomInputs,
  randomState,
  type Sizes,
  scalesOf,
  stridesOf,
} from './testing/mlstm_calls.ts';
import { dot, randomValues, tensorError } from './testing/values.ts';

/** Rows from..to of every batch member of x [B, T, width]. */
function piece(x: Float64Array, length: number, from: number, to: number): Float64Array {
  const batch = 2;
  const width = x.length / (batch * length);
  return Float64Array.from(
    Array.from({ length: batch }, (_, b) => [
      ...x.slice((b * length + from) * width, (b * length + to) * width),
    ]).flat(),
  );
}

const pieceOf = (inputs: Inputs, length: number, from: number, to: number): Inputs => ({
  q: piece(inputs.q, length, from, to),
  k: piece(inputs.k, length, from, to),
  v: piece(inputs.v, length, from, to),
  i: piece(inputs.i, length, from, to),
  f: piece(inputs.f, length, from, to),
});

describe('mLSTM forward', () => {
  const sizes: Sizes = { batch: 2, length: 11, heads: 2, keyDim: 3, valueDim: 5, eps: 1e-6 };

  it('computes one token by hand', () => {
    // m = max(logσ(0) + 0, 1) = 1, I = 1: n·q = 2·3 = 6, C q = 2·5·3 = 30.
    const one = { batch: 1, length: 1, heads: 1, keyDim: 1, valueDim: 1, eps: 0 };
    const inputs = { q: [3], k: [2], v: [5], i: [1], f: [0] };
    const given = Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, Float64Array.from(x)]));
    const { h, lastC, lastN, lastM, tokenStats } = forward(one, given as unknown as Inputs, {
      keyScale: 1,
      queryScale: 1,
    });
    expect(h[0]).toBe(5);
    expect([lastC[0], lastN[0], lastM[0]]).toEqual([10, 2, 1]);
    expect([...tokenStats]).toEqual([1, 6]);
  });

  it.each([
    { eps: 0, tolerance: 1e-12 },
    { eps: 1e-6, tolerance: 1e-6 },
  ])('agrees with the parallel form: eps $eps', ({ eps, tolerance }) => {
    const inputs = randomInputs(sizes, 10);
    const { h } = forward({ ...sizes, eps }, inputs);
    for (let b = 0; b < sizes.batch; b++) {
      for (let head = 0; head < sizes.heads; head++) {
        const of = (x: Float64Array, width: number): Float64Array =>
          Float64Array.from({ length: sizes.length * width }, (_, at) => {
            const row = b * sizes.length + Math.floor(at / width);
            return x[(row * sizes.heads + head) * width + (at % width)];
          });
        const parallel = mlstmParallel(
          of(inputs.q, sizes.keyDim),
          of(inputs.k, sizes.keyDim),
          of(inputs.v, sizes.valueDim),
          of(inputs.i, 1),
          of(inputs.f, 1),
          { ...sizes, ...scalesOf(sizes), eps },
        );
        expect(tensorError(of(h, sizes.valueDim), parallel)).toBeLessThan(tolerance);
      }
    }
  });

  it('passes its state from piece to piece', () => {
    const inputs = { ...randomInputs(sizes, 20), ...randomState(sizes, 25) };
    const whole = forward(sizes, inputs);
    let state = { c: inputs.c, n: inputs.n, m: inputs.m };
    for (const [from, to] of [
      [0, 3],
      [3, 4],
      [4, 11],
    ]) {
      const part = forward(
        { ...sizes, length: to - from },
        { ...pieceOf(inputs, sizes.length, from, to), ...state },
      );
      expect(part.h).toEqual(piece(whole.h, sizes.length, from, to));
      state = { c: part.lastC, n: part.lastN, m: part.lastM };
    }
    expect(state).toEqual({ c: whole.lastC, n: whole.lastN, m: whole.lastM });
  });

  it('agrees with mlstmStep token by token, in place', () => {
    const inputs = { ...randomInputs(sizes, 30), ...randomState(sizes, 35) };
    const whole = forward(sizes, inputs);
    const state = { c: inputs.c.slice(), n: inputs.n.slice(), m: inputs.m.slice() };
    for (let t = 0; t < sizes.length; t++) {
      const h = new Float64Array(sizes.batch * sizes.heads * sizes.valueDim);
      mlstmStep({
        ...sizes,
        ...scalesOf(sizes),
        ...stridesOf(sizes),
        ...pieceOf(inputs, sizes.length, t, t + 1),
        reset: undefined,
        ...state,
        h,
        lastC: state.c,
        lastN: state.n,
        lastM: state.m,
      });
      expect(tensorError(h, piece(whole.h, sizes.length, t, t + 1))).toBeLessThan(1e-12);
    }
    expect(tensorError(state.c, whole.lastC)).toBeLessThan(1e-12);
    expect(tensorError(state.n, whole.lastN)).toBeLessThan(1e-12);
    expect(tensorError(state.m, whole.lastM)).toBeLessThan(1e-12);
  });

  it('treats documents after resets as sequences of their own', () => {
    const inputs = { ...randomInputs(sizes, 40), ...randomState(sizes, 45) };
    const starts = [0, 4, 5, 11];
    const reset = new Float64Array(sizes.batch * sizes.length);
    for (let b = 0; b < sizes.batch; b++) for (const t of starts.slice(0, 3)) reset[b * sizes.length + t] = 1;
    const whole = forward(sizes, { ...inputs, reset });
    starts.slice(1).forEach((to, index) => {
      const from = starts[index];
      const alone = forward({ ...sizes, length: to - from }, pieceOf(inputs, sizes.length, from, to));
      expect(piece(whole.h, sizes.length, from, to)).toEqual(alone.h);
      if (to === sizes.length) expect(whole.lastC).toEqual(alone.lastC);
    });
  });

  it('saves the state at each chunk entry', () => {
    const inputs = randomInputs(sizes, 50);
    const whole = forward(sizes, inputs);
    const first = forward({ ...sizes, length: CHUNK }, pieceOf(inputs, sizes.length, 0, CHUNK));
    const chunks = Math.ceil(sizes.length / CHUNK);
    const { keyDim, valueDim } = sizes;
    for (let member = 0; member < sizes.batch * sizes.heads; member++) {
      const at = (member * chunks + 1) * keyDim * (valueDim + 1);
      const second = whole.chunkStates.slice(at, at + keyDim * (valueDim + 1));
      const expected = Array.from({ length: keyDim }, (_, d) => [
        ...first.lastC.slice((member * keyDim + d) * valueDim, (member * keyDim + d + 1) * valueDim),
        first.lastN[member * keyDim + d],
      ]);
      expect([...second]).toEqual(expected.flat());
      expect(whole.chunkMaxima[member * chunks + 1]).toBe(first.lastM[member]);
    }
  });
});

describe('mLSTM backward', () => {
  // eps = 0: h then does not depend on m, so that m as a constant is exact.
  const sizes: Sizes = { batch: 2, length: 6, heads: 2, keyDim: 3, valueDim: 2, eps: 0 };

  it.each([
    { name: 'from zero state', state: false, resets: [] },
    { name: 'with state and gradients of the last state', state: true, resets: [] },
    { name: 'with a reset inside', state: true, resets: [3, 8] },
  ])('agrees with differences: $name', ({ state, resets }) => {
    const inputs: Inputs = { ...randomInputs(sizes, 60), ...(state ? randomState(sizes, 66) : {}) };
    if (resets.length > 0) {
      inputs.reset = new Float64Array(sizes.batch * sizes.length);
      for (const row of resets) inputs.reset[row] = 1;
    }
    const saved = forward(sizes, inputs);
    const stats = Array.from({ length: saved.tokenStats.length / 2 }, (_, at) => ({
      m: saved.tokenStats[2 * at],
      normalizer: saved.tokenStats[2 * at + 1],
    }));
    const normalized = stats.filter(({ m, normalizer }) => Math.abs(normalizer) > Math.exp(-m)).length;
    expect(normalized, 'tokens on both sides of the maximum').toBeGreaterThan(4);
    expect(normalized, 'tokens on both sides of the maximum').toBeLessThan(stats.length - 4);
    const dh = randomValues(saved.h.length, 70);
    const dlastC = state ? randomValues(saved.lastC.length, 71) : undefined;
    const dlastN = state ? randomValues(saved.lastN.length, 72) : undefined;
    const gradients = backward(sizes, inputs, saved, { dh, dlastC, dlastN });

    /** The last state in units of the unperturbed m: the C that lastC = C e^−m stands for depends on no m. */
    const inUnits = (x: Float64Array, lastM: Float64Array): Float64Array => {
      const width = x.length / lastM.length;
      return x.map((value, at) => {
        const member = Math.floor(at / width);
        return value * Math.exp(lastM[member] - saved.lastM[member]);
      });
    };
    const loss = (): number => {
      const { h, lastC, lastN, lastM } = forward(sizes, inputs);
      let sum = dot(dh, h);
      if (dlastC) sum += dot(dlastC, inUnits(lastC, lastM));
      if (dlastN) sum += dot(dlastN, inUnits(lastN, lastM));
      return sum;
    };
    expectGradients(loss, {
      q: { values: inputs.q, gradient: gradients.dq },
      k: { values: inputs.k, gradient: gradients.dk },
      v: { values: inputs.v, gradient: gradients.dv },
      i: { values: inputs.i, gradient: gradients.di },
      f: { values: inputs.f, gradient: gradients.df },
    });
    if (inputs.c && inputs.n) {
      expectGradients(loss, {
        c: { values: inputs.c, gradient: gradients.dc },
        n: { values: inputs.n, gradient: gradients.dn },
      });
    }
  });

  it('passes gradients through a split exactly', () => {
    const inputs = { ...randomInputs(sizes, 80), ...randomState(sizes, 86) };
    const { length } = sizes;
    const saved = forward(sizes, inputs);
    const dh = randomValues(saved.h.length, 90);
    const whole = backward(sizes, inputs, saved, { dh });

    const firstSizes = { ...sizes, length: 2 };
    const secondSizes = { ...sizes, length: 4 };
    const first = { ...inputs, ...pieceOf(inputs, length, 0, 2) };
    const savedFirst = forward(firstSizes, first);
    const second = {
      ...pieceOf(inputs, length, 2, 6),
      c: savedFirst.lastC,
      n: savedFirst.lastN,
      m: savedFirst.lastM,
    };
    const late = backward(secondSizes, second, forward(secondSizes, second), { dh: piece(dh, length, 2, 6) });
    const early = backward(firstSizes, first, savedFirst, {
      dh: piece(dh, length, 0, 2),
      dlastC: late.dc,
      dlastN: late.dn,
    });
    for (const name of ['dq', 'dk', 'dv', 'di', 'df'] as const) {
      expect(tensorError(early[name], piece(whole[name], length, 0, 2)), name).toBeLessThan(1e-12);
      expect(tensorError(late[name], piece(whole[name], length, 2, 6)), name).toBeLessThan(1e-12);
    }
    expect(tensorError(early.dc, whole.dc)).toBeLessThan(1e-12);
    expect(tensorError(early.dn, whole.dn)).toBeLessThan(1e-12);
  });
});

interface GoldenCase {
  name: string;
  regime: string;
  B: number;
  NH: number;
  S: number;
  DH: number;
  rtol: number;
}

describe('mLSTM golden vectors', () => {
  const golden = readGolden<GoldenCase>('mlstm_cell.safetensors');

  it.each(golden.cases)('$name: $regime, length $S, width $DH', ({ name, B, NH, S, DH, rtol }) => {
    const tensor = (key: string): Float64Array => golden.tensor(`${name}.${key}`);
    /** [B, NH, S, width] to [B, S, NH, width]. */
    const byToken = (key: string): Float64Array => {
      const x = tensor(key);
      const width = x.length / (B * NH * S);
      return x.map((_, at) => {
        const [d, head, row] = [at % width, Math.floor(at / width) % NH, Math.floor(at / width / NH)];
        const [t, b] = [row % S, Math.floor(row / S)];
        return x[((b * NH + head) * S + t) * width + d];
      });
    };
    const sizes = { batch: B, length: S, heads: NH, keyDim: DH, valueDim: DH, eps: 1e-6 };
    const scales = { keyScale: 1 / Math.sqrt(DH), queryScale: 1 };
    const inputs = {
      q: byToken('q'),
      k: byToken('k'),
      v: byToken('v'),
      i: byToken('igate'),
      f: byToken('fgate'),
    };
    const saved = forward(sizes, inputs, scales);
    const gradients = backward(sizes, inputs, saved, { dh: byToken('dh') }, scales);
    const errors = {
      h: tensorError(saved.h, byToken('h')),
      hRecurrent: tensorError(saved.h, byToken('h_recurrent')),
      lastC: tensorError(saved.lastC, tensor('last_c')),
      lastN: tensorError(saved.lastN, tensor('last_n')),
      lastM: tensorError(saved.lastM, tensor('last_m')),
      dq: tensorError(gradients.dq, byToken('dq')),
      dk: tensorError(gradients.dk, byToken('dk')),
      dv: tensorError(gradients.dv, byToken('dv')),
      di: tensorError(gradients.di, byToken('digate')),
      df: tensorError(gradients.df, byToken('dfgate')),
    };
    for (const [key, error] of Object.entries(errors)) expect(error, key).toBeLessThan(rtol);
    // The same recurrence in the same precision: only the rounding of the stored values to float32 is left.
    for (const key of ['hRecurrent', 'lastC', 'lastN', 'lastM'] as const) {
      expect(errors[key], key).toBeLessThan(2e-7);
    }
  });
});
