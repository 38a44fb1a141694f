import { sizeOf } from '../compute/program/region.ts';
import type { Init } from './parameters.ts';

/** Initial values as the official package draws them. */

/** The same value everywhere. */
export const constantInit =
  (value: number): Init =>
  (_, shape) =>
    new Float64Array(sizeOf(shape)).fill(value);

/** 0 everywhere. */
export const zerosInit = constantInit(0);

/** N(mean, deviation): normal numbers of this standard deviation; mean 0 where it is left out. */
export const normalInit =
  (deviation: number, mean = 0): Init =>
  (random, shape) => {
    const values = new Float64Array(sizeOf(shape));
    random.fillNormal(values, mean, deviation);
    return values;
  };

/** Evenly distributed from −bound to bound. */
export const uniformInit =
  (bound: number): Init =>
  (random, shape) => {
    const values = new Float64Array(sizeOf(shape));
    for (let i = 0; i < values.length; i++) values[i] = bound * (2 * random.uniform() - 1);
    return values;
  };

/** N(0, √(2 / (5 · dim))), the second being the standard deviation (Nguyen and Salazar 2019). */
export const smallInit = (dim: number): Init => normalInit(Math.sqrt(2 / (5 * dim)));

/** N(0, 2 / (blocks · √dim)) (Wang and Komatsuzaki 2021), for what is added to the residual stream of `blocks` blocks. */
export const wangInit = (dim: number, blocks: number): Init => normalInit(2 / (blocks * Math.sqrt(dim)));

/** Evenly spaced from start to end, both included, row by row. */
export const linspaceInit =
  (start: number, end: number): Init =>
  (_, shape) => {
    const n = sizeOf(shape);
    return Float64Array.from({ length: n }, (_, i) =>
      n === 1 ? start : start + ((end - start) * i) / (n - 1),
    );
  };
