import { describe, expect, it } from 'vitest';
import { convBackward, convForward } from './conv.ts';
import { expectGradients } from './testing/gradient_check.ts';
import { dot, randomValues } from './testing/values.ts';

const TAPS = 3;

interface Inputs {
  x: Float64Array;
  weight: Float64Array;
  bias?: Float64Array;
  reset?: Float64Array;
  state?: Float64Array;
}

/** Operands that a case may leave out. */
const absent = { bias: undefined, reset: undefined, state: undefined };

function forward(batch: number, length: number, dim: number, inputs: Inputs, silu = 0) {
  const y = new Float64Array(batch * length * dim);
  const lastState = new Float64Array(batch * (TAPS - 1) * dim);
  convForward({
    batch,
    length,
    dim,
    taps: TAPS,
    silu,
    ldx: dim,
    ldy: dim,
    ...absent,
    ...inputs,
    y,
    lastState,
  });
  return { y, lastState };
}

describe('causal convolution', () => {
  const one = { weight: Float64Array.of(100, 10, 1) };
  const x = Float64Array.of(1, 2, 3, 4);

  it('weighs the newest token with the last tap', () => {
    const { y, lastState } = forward(1, 4, 1, { ...one, x, bias: Float64Array.of(1000) });
    expect([...y]).toEqual([1001, 1012, 1123, 1234]);
    expect([...lastState]).toEqual([3, 4]);
  });

  it('continues a state, oldest first', () => {
    const { y } = forward(1, 4, 1, { ...one, x, state: Float64Array.of(8, 9) });
    expect([...y]).toEqual([891, 912, 123, 234]);
    const short = forward(1, 1, 1, { ...one, x, state: Float64Array.of(8, 9) });
    expect([...short.lastState]).toEqual([9, 1]);
  });

  it('does not reach before a document', () => {
    const state = Float64Array.of(8, 9);
    const inside = forward(1, 4, 1, { ...one, x, state, reset: Float64Array.of(0, 0, 0, 1) });
    expect([...inside.y]).toEqual([891, 912, 123, 4]);
    expect([...inside.lastState]).toEqual([0, 4]);
    const first = forward(1, 1, 1, { ...one, x, state, reset: Float64Array.of(1) });
    expect([...first.y]).toEqual([1]);
    expect([...first.lastState]).toEqual([0, 1]);
  });

  const cases = [
    { name: 'zero state', length: 5, state: false, resets: [], silu: 0 },
    { name: 'state in and out', length: 5, state: true, resets: [], silu: 0 },
    { name: 'shorter than its taps', length: 1, state: true, resets: [], silu: 0 },
    { name: 'resets', length: 5, state: true, resets: [1, 9], silu: 0 },
    { name: 'SiLU', length: 5, state: true, resets: [1, 9], silu: 1 },
  ];
  it.each(cases)('agrees with differences: $name', ({ length, state, resets, silu }) => {
    const [batch, dim] = [2, 3];
    const inputs: Inputs = {
      x: randomValues(batch * length * dim, 1),
      weight: randomValues(dim * TAPS, 2),
      bias: randomValues(dim, 3),
      state: state ? randomValues(batch * (TAPS - 1) * dim, 4) : undefined,
    };
    if (resets.length > 0)
      inputs.reset = Float64Array.from({ length: batch * length }, (_, row) =>
        resets.includes(row) ? 1 : 0,
      );
    const dy = randomValues(batch * length * dim, 5);
    const dlastState = state ? randomValues(batch * (TAPS - 1) * dim, 6) : undefined;
    const loss = (): number => {
      const out = forward(batch, length, dim, inputs, silu);
      return dot(dy, out.y) + (dlastState ? dot(dlastState, out.lastState) : 0);
    };
    const dx = new Float64Array(inputs.x.length);
    const dweight = new Float64Array(inputs.weight.length);
    const dbias = new Float64Array(dim);
    const dstate = new Float64Array(batch * (TAPS - 1) * dim);
    convBackward({
      ...{
        batch,
        length,
        dim,
        taps: TAPS,
        silu,
        ldx: dim,
        lddy: dim,
        lddx: dim,
        residual: undefined,
        ldResidual: 0,
        ...absent,
      },
      ...inputs,
      ...{ dy, dlastState, dx, dweight, dbias, dstate, scratch: undefined },
    });
    expectGradients(loss, {
      x: { values: inputs.x, gradient: dx },
      weight: { values: inputs.weight, gradient: dweight },
      bias: { values: inputs.bias!, gradient: dbias },
    });
    if (inputs.state) expectGradients(loss, { state: { values: inputs.state, gradient: dstate } });
  });
});
