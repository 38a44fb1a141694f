import { describe, expect, it } from 'vitest';
import { gatedNormBackward, gatedNormForward } from './gated_norm.ts';
import { expectGradients } from './testing/gradient_check.ts';
import { dot, randomValues } from './testing/values.ts';

describe('gated norm', () => {
  it('adds, then gates, by hand', () => {
    const y = new Float64Array(2);
    const stats = new Float64Array(2);
    const x = Float64Array.of(1, 3);
    const gate = Float64Array.of(0, Math.log(3));
    const sizes = { rows: 1, groups: 1, size: 2, rms: 0, eps: 0, weightOffset: 1 };
    const weights = { weight: Float64Array.of(0, 1), bias: Float64Array.of(0, 5) };
    const skip = { skip: Float64Array.of(2, 3), addend: Float64Array.of(1, 10), ldAddend: 2 };
    const matrices = { x, ldx: 2, gate, ldGate: 2, y, ldy: 2, stats };
    gatedNormForward({ ...sizes, ...weights, ...skip, ...matrices });
    // n = (−1, 2 · 1 + 5); SiLU(0) = 0, SiLU(ln 3) = ¾ ln 3
    expect([...y]).toEqual([expect.closeTo(0, 14), expect.closeTo((7 + 30) * 0.75 * Math.log(3), 12)]);
    expect([...stats]).toEqual([2, 1]);
    const none = { weight: undefined, bias: undefined, skip: undefined, addend: undefined, ldAddend: 0 };
    gatedNormForward({ ...sizes, ...none, ...matrices });
    expect(y[1]).toBeCloseTo(0.75 * Math.log(3), 14);
  });

  const cases = [0, 1].flatMap((rms) =>
    [0, 1].flatMap((affine) => [0, 1].map((skipped) => ({ rms, affine, skipped }))),
  );
  it.each(cases)(
    'agrees with differences: rms $rms, weights $affine, skip $skipped',
    ({ rms, affine, skipped }) => {
      const sizes = { rows: 3, groups: 2, size: 4, rms, weightOffset: 1 };
      const [ldx, ldy, ldGate, ldAddend] = [9, 10, 11, 12];
      const x = randomValues(sizes.rows * ldx, 1);
      const gate = randomValues(sizes.rows * ldGate, 2, 3);
      const weight = affine ? randomValues(8, 3) : undefined;
      const bias = affine ? randomValues(8, 4) : undefined;
      const skip = skipped ? randomValues(8, 5) : undefined;
      const addend = skipped ? randomValues(sizes.rows * ldAddend, 6) : undefined;
      const dy = randomValues(sizes.rows * ldy, 7);
      const stats = new Float64Array(sizes.rows * 4);
      const inputs = { ...sizes, x, ldx, weight, bias, skip, addend, ldAddend, gate, ldGate, stats };
      const run = (): number => {
        const y = new Float64Array(dy.length);
        gatedNormForward({ ...inputs, eps: 0.1, y, ldy });
        return dot(dy, y);
      };
      run();
      const [dx, dgate, daddend] = [ldx, ldGate, ldAddend].map((ld) => new Float64Array(sizes.rows * ld));
      const [dweight, dbias, dskip] = [1, 2, 3].map(() => new Float64Array(8));
      const outputs = {
        ...{ dx, lddx: ldx, dgate, lddgate: ldGate, daddend, lddaddend: ldAddend },
        ...{ dweight, dbias, dskip, scratch: undefined },
      };
      gatedNormBackward({ ...inputs, dy, lddy: ldy, residual: undefined, ldResidual: 0, ...outputs });
      expectGradients(run, { x: { values: x, gradient: dx }, gate: { values: gate, gradient: dgate } });
      if (weight) expectGradients(run, { weight: { values: weight, gradient: dweight } });
      if (bias) expectGradients(run, { bias: { values: bias, gradient: dbias } });
      if (skip) expectGradients(run, { skip: { values: skip, gradient: dskip } });
      if (addend) expectGradients(run, { addend: { values: addend, gradient: daddend } });

      run();
      const sum = new Float64Array(x.length);
      const residual = randomValues(x.length, 8);
      gatedNormBackward({ ...inputs, dy, lddy: ldy, residual, ldResidual: ldx, ...outputs, dx: sum });
      for (const at of [0, 7, 9, 25]) expect(sum[at] - dx[at]).toBeCloseTo(residual[at], 14);
    },
  );
});
