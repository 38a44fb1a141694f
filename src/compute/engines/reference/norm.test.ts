import { describe, expect, it } from 'vitest';
import { normBackward, normForward } from './norm.ts';
import { expectGradients } from './testing/gradient_check.ts';
import { dot, randomValues } from './testing/values.ts';

describe('norm', () => {
  it('normalizes each group, by hand', () => {
    const y = new Float64Array(4);
    const stats = new Float64Array(4);
    const args = { rows: 1, groups: 2, size: 2, eps: 0, weightOffset: 1, ldx: 4, y, ldy: 4, stats };
    const x = Float64Array.of(1, 3, 10, 20);
    normForward({
      ...args,
      rms: 0,
      x,
      weight: Float64Array.of(0, 1, 2, 3),
      bias: Float64Array.of(0, 0, 0, 5),
    });
    expect([...y]).toEqual([-1, 2, -3, 9]);
    expect([...stats]).toEqual([2, 1, 15, 0.2]);
    normForward({ ...args, rms: 1, x: Float64Array.of(1, 7, 0, 2), weight: undefined, bias: undefined });
    expect([...y]).toEqual([0.2, 1.4, 0, Math.SQRT2].map((v) => expect.closeTo(v, 14)));
    expect([...stats]).toEqual([0, 0.2, 0, Math.SQRT1_2].map((v) => expect.closeTo(v, 14)));
  });

  it('puts eps under the root', () => {
    const stats = new Float64Array(2);
    const x = Float64Array.of(3, 3);
    const y = new Float64Array(2);
    const args = { rows: 1, groups: 1, size: 2, weightOffset: 0, weight: undefined, bias: undefined };
    normForward({ ...args, rms: 0, eps: 0.25, x, ldx: 2, y, ldy: 2, stats });
    expect([...stats]).toEqual([3, 2]);
    normForward({ ...args, rms: 1, eps: 16, x, ldx: 2, y, ldy: 2, stats });
    expect([...stats]).toEqual([0, 0.2]);
  });

  const cases = [0, 1].flatMap((rms) => [0, 1].map((affine) => ({ rms, affine })));
  it.each(cases)('agrees with differences: rms $rms, weights $affine', ({ rms, affine }) => {
    const sizes = { rows: 3, groups: 2, size: 4, rms, weightOffset: 1 };
    const [ldx, ldy] = [9, 10];
    const x = randomValues(sizes.rows * ldx, 1);
    const weight = affine ? randomValues(8, 2) : undefined;
    const bias = affine ? randomValues(8, 3) : undefined;
    const dy = randomValues(sizes.rows * ldy, 4);
    const stats = new Float64Array(sizes.rows * 4);
    const run = (): number => {
      const y = new Float64Array(dy.length);
      normForward({ ...sizes, eps: 0.1, x, ldx, weight, bias, y, ldy, stats });
      return dot(dy, y);
    };
    run();
    const dx = new Float64Array(x.length);
    const dweight = new Float64Array(8);
    const dbias = new Float64Array(8);
    const outputs = { dx, lddx: ldx, dweight, dbias, scratch: undefined };
    const plain = { residual: undefined, ldResidual: 0 };
    normBackward({ ...sizes, x, ldx, weight, stats, dy, lddy: ldy, ...plain, ...outputs });
    expectGradients(run, { x: { values: x, gradient: dx } });
    if (weight) expectGradients(run, { weight: { values: weight, gradient: dweight } });
    if (bias) expectGradients(run, { bias: { values: bias, gradient: dbias } });

    run();
    const sum = new Float64Array(x.length);
    const residual = { residual: randomValues(x.length, 5), ldResidual: ldx };
    normBackward({ ...sizes, x, ldx, weight, stats, dy, lddy: ldy, ...residual, ...outputs, dx: sum });
    for (const at of [0, 7, 9, 25]) expect(sum[at] - dx[at]).toBeCloseTo(residual.residual[at], 14);
  });
});
