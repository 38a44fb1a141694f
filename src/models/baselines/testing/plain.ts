import type { Values } from './check_mixer.ts';

/** Plain arithmetic on arrays, for oracles that share nothing with what they check. */

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
export const silu = (x: number): number => x * sigmoid(x);
export const softplus = (x: number): number => Math.log(1 + Math.exp(x));

export const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * b[i], 0);

/** W x + b with the parameters `name.weight` [out, in] and, where there is one, `name.bias`. */
export function apply(values: Values, name: string, x: readonly number[]): number[] {
  const prefix = name === '' ? '' : `${name}.`;
  const weight = values[`${prefix}weight`];
  const bias = values[`${prefix}bias`];
  return Array.from({ length: weight.length / x.length }, (_, out) => {
    const row = Array.from({ length: x.length }, (_, i) => weight[out * x.length + i]);
    return dot(row, x) + (bias ? bias[out] : 0);
  });
}

/** Consecutive slices of the given width. */
export const slices = (x: readonly number[], width: number): number[][] =>
  Array.from({ length: x.length / width }, (_, i) => x.slice(i * width, (i + 1) * width));

/** Causal depthwise convolution with `name.conv.weight` and bias, of one document. */
export function convolve(values: Values, name: string, x: readonly number[][], taps: number): number[][] {
  const weight = values[`${name}.conv.weight`];
  const bias = values[`${name}.conv.bias`];
  return x.map((row, t) =>
    row.map((_, d) => {
      let y = bias[d];
      for (let j = 0; j < taps; j++) y += weight[d * taps + j] * (x[t - taps + 1 + j]?.[d] ?? 0);
      return y;
    }),
  );
}

/** RMS norm of each slice of the given width, times the weight. */
export const normed = (x: readonly number[], width: number, weight: ArrayLike<number>): number[] =>
  slices(x, width)
    .flatMap((head) => {
      const size = Math.sqrt(dot(head, head) / width + 1e-6);
      return head.map((value) => value / size);
    })
    .map((value, d) => value * weight[d]);

/** Turns the pairs (j, j + half) of a head by position · 10000^(−j / half). */
export const turned = (head: readonly number[], position: number): number[] => {
  const half = head.length / 2;
  return head.map((value, d) => {
    const angle = position * 10_000 ** (-(d % half) / half);
    return d < half
      ? value * Math.cos(angle) - head[d + half] * Math.sin(angle)
      : head[d - half] * Math.sin(angle) + value * Math.cos(angle);
  });
};
