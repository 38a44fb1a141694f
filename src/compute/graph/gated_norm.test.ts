import { expect, it } from 'vitest';
import * as e from './elementwise.ts';
import { gatedNorm } from './gated_norm.ts';
import { type NormOptions, norm } from './norm.ts';
import type { Tensor } from './tensor.ts';
import { describeFused, type Leaves } from './testing/fused.ts';
import { split } from './views.ts';

interface Case {
  readonly rows: number;
  readonly groups: number;
  readonly size: number;
  readonly kind: NormOptions['kind'];
  readonly weight: boolean;
  readonly bias: boolean;
  readonly skip: boolean;
  /** Whether another use of x has a gradient, to which the kernel adds its own. */
  readonly sofar: boolean;
}

// Widths below, at and past whole vectors; rows fewer than partitions, and not a multiple of the rows taken at once. The
// last two are large enough for threads to take part, and slow in float64: half of the combinations, which have each
// option on and off.
const sizes = [
  [1, 1, 1],
  [3, 2, 3],
  [5, 3, 16],
  [70, 4, 21],
  [523, 1, 150],
  [400, 4, 64],
] as const;
const cases: Case[] = sizes.flatMap(([rows, groups, size], i) =>
  (rows < 400 ? [0, 1, 2, 3, 4, 5, 6, 7] : [1, 2, 4, 7]).map((bits) => ({
    rows,
    groups,
    size,
    kind: (bits + i) % 2 ? ('layer' as const) : ('rms' as const),
    weight: (bits & 2) > 0,
    bias: (bits & 4) > 0,
    skip: ((bits >> 1) + bits + i) % 2 === 0,
    sofar: (bits & 3) === 1,
  })),
);

type Build = (leaves: Leaves, options: NormOptions) => Tensor;

/** x, gate and addend are slices of one matrix, and so are their gradients. */
const through =
  (build: Build) =>
  (leaves: Leaves, { groups, size, kind, sofar }: Case): Tensor[] => {
    const cols = groups * size;
    const [x, gate, addend] = split(leaves.xga, [cols, cols, cols]);
    const y = build({ ...leaves, x, gate, addend }, { groups, kind, eps: 0.01, weightOffset: 1 });
    return sofar ? [y, e.tanh(x)] : [y];
  };

await describeFused<Case>({
  name: 'gated norm',
  cases,
  inputs({ rows, groups, size, weight, bias, skip }) {
    const cols = groups * size;
    return {
      xga: [rows, 3 * cols],
      ...(weight && { weight: [cols] }),
      ...(bias && { bias: [cols] }),
      ...(skip && { skip: [cols] }),
    };
  },
  fused: through(({ x, gate, weight, bias, skip, addend }, options) =>
    gatedNorm(x, weight, bias, options, { gate, ...(skip && { skip, addend }) }),
  ),
  parts: through(({ x, gate, weight, bias, skip, addend }, options) => {
    const normed = norm(x, weight, bias, options);
    return e.multiply(skip ? e.multiplyAdd(skip, addend, normed) : normed, e.silu(gate));
  }),
});

it('refuses shapes that do not go together', () => {
  const shaped = (...shape: number[]): Tensor => e.broadcastTo(e.add(0, 0), shape);
  const options = { kind: 'rms', groups: 2, eps: 0, weightOffset: 0 } as const;
  const [x, row] = [shaped(3, 4), shaped(4)];
  const build = (inputs: Parameters<typeof gatedNorm>[4], weight?: Tensor) => () =>
    gatedNorm(x, weight, undefined, options, inputs);
  expect(build({ gate: x, skip: row, addend: x }, row)().shape).toEqual([3, 4]);
  expect(build({ gate: row })).toThrow(/gatedNorm: expected a gate \[3,4\]/);
  expect(build({ gate: x, skip: row })).toThrow(/skip \[4\] and addend \[3,4\], or neither/);
  expect(build({ gate: x, addend: x })).toThrow(/or neither/);
  expect(build({ gate: x, skip: x, addend: x })).toThrow(/or neither/);
  expect(build({ gate: x }, shaped(3))).toThrow(/weight and bias \[4\]/);
  expect(() => gatedNorm(shaped(3, 5), undefined, undefined, options, { gate: x })).toThrow(/2 groups/);
});
