import { describe, expect, it } from 'vitest';
import { mlstmProjectionsBackward, mlstmProjectionsForward } from './mlstm_projections.ts';
import { expectGradients } from './testing/gradient_check.ts';
import { dot, randomValues } from './testing/values.ts';

describe('mlstm projections', () => {
  it('makes q and k from a, v from x, and the gates from all three', () => {
    const qkv = new Float64Array(6);
    const gate = new Float64Array(1);
    mlstmProjectionsForward({
      ...{ rows: 1, groups: 1, size: 2, gates: 1, lda: 2, ldx: 2, ldqkv: 6, ldGate: 1 },
      a: Float64Array.of(1, 2),
      x: Float64Array.of(3, 4),
      weight: Float64Array.of(1, 0, 0, 1, 2, 0, 0, 2, 1, 1, 0, 1),
      bias: Float64Array.of(10, 20, 30, 40, 50, 60),
      gateWeight: Float64Array.of(1, 0, 0, 0, 0, 100),
      gateBias: Float64Array.of(0.5),
      ...{ qkv, gate },
    });
    expect([...qkv]).toEqual([11, 22, 32, 44, 57, 64]);
    expect([...gate]).toEqual([6411.5]);
  });

  it('agrees with differences', () => {
    const sizes = { rows: 3, groups: 2, size: 2, gates: 3, lda: 5, ldx: 4 };
    const [width, all] = [4, 12];
    const values = {
      a: randomValues(sizes.rows * sizes.lda, 1),
      x: randomValues(sizes.rows * sizes.ldx, 2),
      weight: randomValues(all * sizes.size, 3),
      bias: randomValues(all, 4),
      gateWeight: randomValues(sizes.gates * all, 5),
      gateBias: randomValues(sizes.gates, 6),
    };
    const dqkv = randomValues(sizes.rows * all, 7);
    const dgate = randomValues(sizes.rows * sizes.gates, 8);
    const residual = randomValues(sizes.rows * width, 9);
    const loss = (): number => {
      const qkv = new Float64Array(dqkv.length);
      const gate = new Float64Array(dgate.length);
      mlstmProjectionsForward({ ...sizes, ...values, qkv, ldqkv: all, gate, ldGate: sizes.gates });
      let sum = dot(dqkv, qkv) + dot(dgate, gate);
      for (let row = 0; row < sizes.rows; row++)
        for (let i = 0; i < width; i++) sum += residual[row * width + i] * values.a[row * sizes.lda + i];
      return sum;
    };
    const gradients = {
      da: new Float64Array(values.a.length),
      dx: new Float64Array(values.x.length),
      dweight: new Float64Array(values.weight.length),
      dbias: new Float64Array(all),
      dgateWeight: new Float64Array(values.gateWeight.length),
      dgateBias: new Float64Array(sizes.gates),
    };
    mlstmProjectionsBackward({
      ...{ ...sizes, ...values, dqkv, lddqkv: all, dgate, lddgate: sizes.gates },
      ...{ residual, ldResidual: width, ldda: sizes.lda, lddx: sizes.ldx, ...gradients, scratch: undefined },
    });
    expectGradients(loss, {
      a: { values: values.a, gradient: gradients.da },
      x: { values: values.x, gradient: gradients.dx },
      weight: { values: values.weight, gradient: gradients.dweight },
      bias: { values: values.bias, gradient: gradients.dbias },
      gateWeight: { values: values.gateWeight, gradient: gradients.dgateWeight },
      gateBias: { values: values.gateBias, gradient: gradients.dgateBias },
    });
  });
});
