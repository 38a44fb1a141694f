import { describe, expect, it } from 'vitest';
import { uniformHash } from '../../program/random.ts';
import { type ScalarFunction, scalarFunctionNames, scalarFunctions } from '../../program/scalar_functions.ts';
import { map } from './map.ts';
import { erf, logSigmoid, sigmoid } from './math.ts';
import { randomValues } from './testing/values.ts';

const code = (name: ScalarFunction): number => scalarFunctionNames.indexOf(name);

/** One function of up to three numbers, as a map over one element. */
function evaluate(name: ScalarFunction, ...operands: number[]): number {
  const output = new Float64Array(1);
  const { arity } = scalarFunctions[name];
  const inputs = operands.slice(0, arity);
  map({
    rows: 1,
    cols: 1,
    inputs: arity,
    outputs: 1,
    temporaries: 0,
    steps: 1,
    tail: [...inputs.flatMap((x) => [Float64Array.of(x), 0, 0]), output, 1, code(name), arity, 0, 1, 2],
  });
  return output[0];
}

describe('elementary functions', () => {
  it('erf, to the digits of the tables', () => {
    expect(erf(0)).toBe(0);
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 15);
    expect(erf(-1)).toBeCloseTo(-0.8427007929497149, 15);
    expect(erf(2)).toBeCloseTo(0.9953222650189527, 15);
    expect(erf(5.5)).toBeCloseTo(1 - 7.357847917974398e-15, 15);
    expect(erf(40)).toBe(1);
    expect(erf(-Infinity)).toBe(-1);
    expect(erf(NaN)).toBeNaN();
  });

  it('sigmoid and logSigmoid, without overflow', () => {
    expect(sigmoid(0)).toBe(0.5);
    expect(sigmoid(-800)).toBe(0);
    expect(sigmoid(2) + sigmoid(-2)).toBeCloseTo(1, 15);
    expect(logSigmoid(-800)).toBe(-800);
    expect(logSigmoid(0)).toBeCloseTo(-Math.LN2, 15);
    expect(logSigmoid(3)).toBeCloseTo(Math.log(sigmoid(3)), 15);
  });
});

describe('map', () => {
  it.each<[ScalarFunction, number[], number]>([
    ['copy', [3], 3],
    ['add', [3, 4], 7],
    ['subtract', [3, 4], -1],
    ['multiply', [3, 4], 12],
    ['divide', [3, 4], 0.75],
    ['maximum', [3, 4], 4],
    ['minimum', [3, 4], 3],
    ['greater', [4, 3], 1],
    ['greater', [3, 3], 0],
    ['select', [1, 5, 6], 5],
    ['select', [0, 5, 6], 6],
    ['multiplyAdd', [3, 4, 5], 17],
    ['negate', [3], -3],
    ['absolute', [-3], 3],
    ['sign', [-3], -1],
    ['square', [-3], 9],
    ['squareRoot', [9], 3],
    ['reciprocal', [4], 0.25],
    ['exp', [1], Math.E],
    ['log', [Math.E], 1],
    ['tanh', [0.5], 0.4621171572600098],
    ['sigmoid', [1], 0.7310585786300049],
    ['logSigmoid', [0], -Math.LN2],
    ['erf', [1], 0.8427007929497149],
  ])('%s %j = %f', (name, operands, expected) => {
    expect(evaluate(name, ...operands)).toBeCloseTo(expected, 15);
  });

  it('repeats rows and columns, and keeps temporaries apart from outputs', () => {
    // out0 = (x + row) · column, out1 = −x, with x [2, 3] in rows of 4, row [3], column [2].
    const x = Float64Array.of(1, 2, 3, NaN, 4, 5, 6, NaN);
    const row = Float64Array.of(10, 20, 30);
    const column = Float64Array.of(2, 3);
    const first = new Float64Array(6);
    const second = new Float64Array(8);
    map({
      rows: 2,
      cols: 3,
      inputs: 3,
      outputs: 2,
      temporaries: 1,
      steps: 3,
      tail: [
        ...[x, 4, 1, row, 0, 1, column, 1, 0],
        ...[first, 3, second, 4],
        ...[code('add'), 5, 0, 1, 0],
        ...[code('multiply'), 3, 5, 2, 0],
        ...[code('negate'), 4, 0, 0, 0],
      ],
    });
    expect([...first]).toEqual([22, 44, 66, 42, 75, 108]);
    expect([...second]).toEqual([-1, -2, -3, 0, -4, -5, -6, 0]);
  });

  it('takes constants and uniform numbers from plain words, and may work in place', () => {
    const x = randomValues(6, 1);
    const expected = x.map((value, index) => (uniformHash(7, 5, index) > 0.5 ? 0 : value * 2));
    map({
      rows: 2,
      cols: 3,
      inputs: 2,
      outputs: 1,
      temporaries: 3,
      steps: 7,
      tail: [
        ...[x, 3, 1, Float64Array.of(7), 0, 0],
        ...[x, 3],
        ...[code('uniform'), 3, 1, 5, 0],
        ...[code('constant'), 4, 0.5, 0, 0],
        ...[code('greater'), 3, 3, 4, 0],
        ...[code('constant'), 4, 2, 0, 0],
        ...[code('multiply'), 5, 0, 4, 0],
        ...[code('constant'), 4, 0, 0, 0],
        ...[code('select'), 2, 3, 4, 5],
      ],
    });
    expect(x).toEqual(expected);
    expect(expected.filter((value) => value === 0).length).toBeGreaterThan(0);
    expect(expected.filter((value) => value === 0).length).toBeLessThan(6);
  });
});
