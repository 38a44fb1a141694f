import { expect, it } from 'vitest';
import { adamw } from './optimizer.ts';

it('adamw: two steps by hand', () => {
  const parameters = Float64Array.of(1, 3);
  const gradients = Float64Array.of(4, 8);
  const firstMoment = new Float64Array(2);
  const secondMoment = new Float64Array(2);
  const fixed = { count: 1, beta1: 0.5, beta2: 0.75, epsilon: 1, weightDecay: 0.25 };
  const state = { gradients, parameters, firstMoment, secondMoment };
  // g = 2: m = 1, v = 1; m̂ = 2, v̂ = 4: step 2/3, decay 0.25.
  adamw({ ...fixed, ...state, schedule: Float64Array.of(0.1, 0.5, 0.5, 0.25) });
  expect(parameters[0]).toBeCloseTo(1 - 0.1 * (2 / 3 + 0.25), 14);
  expect([firstMoment[0], secondMoment[0]]).toEqual([1, 1]);
  const before = parameters[0];
  // g = 4: m = 2.5, v = 4.75.
  adamw({ ...fixed, ...state, schedule: Float64Array.of(0.1, 1, 0.75, 0.4375) });
  expect([firstMoment[0], secondMoment[0]]).toEqual([2.5, 4.75]);
  const step = 2.5 / 0.75 / (Math.sqrt(4.75 / 0.4375) + 1);
  expect(parameters[0]).toBeCloseTo(before - 0.1 * (step + 0.25 * before), 14);
  expect([parameters[1], firstMoment[1], secondMoment[1]]).toEqual([3, 0, 0]);
});
