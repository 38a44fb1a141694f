import { expect, it } from 'vitest';
import { fromBfloat16, toBfloat16 } from './half_wire.ts';

const rounded = (values: Float32Array | Float64Array) => {
  const back = new Float64Array(values.length);
  fromBfloat16(toBfloat16(values), back);
  return Array.from(back);
};

it('numbers of 8 bits stay as they are, others go to the nearest, halves to the even one', () => {
  const exact = [0, -0, 1, -1.5, 2 ** -126, 2 ** 127, 3.140625, Infinity, -Infinity];
  expect(rounded(Float32Array.from(exact))).toEqual(exact);
  const step = 2 ** -7;
  const between = [1 + 0.49 * step, 1 + 0.51 * step, 1 + 0.5 * step, 1 + 1.5 * step, -1 - 1.5 * step];
  expect(rounded(Float64Array.from(between))).toEqual([1, 1 + step, 1, 1 + 2 * step, -1 - 2 * step]);
  // Beyond the largest, and what is no number.
  expect(rounded(Float32Array.of(3.4e38, Number.NaN))).toEqual([Infinity, Number.NaN]);
});

it('a part of an array is taken by itself', () => {
  expect(rounded(Float32Array.of(9, 1, 2, 9).subarray(1, 3))).toEqual([1, 2]);
});
