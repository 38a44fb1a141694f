import * as e from './elementwise.ts';
import { headwiseLinear, linear } from './matmul.ts';
import { mlstmProjections } from './mlstm_projections.ts';
import { describeFused, type Leaves } from './testing/fused.ts';
import { concat, reshape, split } from './views.ts';

interface Case {
  readonly rows: number;
  readonly blocks: number;
  readonly size: number;
  readonly gates: number;
  readonly bias: boolean;
  /** Whether another use of a has a gradient, to which the kernel adds its own. */
  readonly sofar: boolean;
}

// Blocks of 4, which have loops of their own, other small ones, and one that is worth a product; widths below, at and past whole vectors; gates that are taken
// along rows (up to 8), as dot products (up to 12) and as tiles; rows of a part of a pass, and of several passes.
const cases: Case[] = [
  { rows: 1, blocks: 1, size: 4, gates: 2, bias: false, sofar: false },
  { rows: 9, blocks: 5, size: 4, gates: 8, bias: true, sofar: true },
  { rows: 700, blocks: 21, size: 4, gates: 8, bias: false, sofar: true },
  { rows: 1061, blocks: 16, size: 4, gates: 16, bias: true, sofar: false },
  { rows: 40, blocks: 7, size: 3, gates: 10, bias: true, sofar: true },
  { rows: 530, blocks: 2, size: 32, gates: 4, bias: false, sofar: true },
  // The widest for which a thread's workspace suffices, and one that is wider.
  { rows: 19, blocks: 3084, size: 4, gates: 2, bias: false, sofar: false },
  { rows: 3, blocks: 3085, size: 4, gates: 1, bias: true, sofar: true },
];

/** a and x are slices of one matrix, and so are their gradients. */
function operands({ ax }: Leaves, { blocks, size, sofar }: Case) {
  const width = blocks * size;
  const [a, , x] = split(ax, [width, 1, width]);
  return { a, x, others: sofar ? [e.tanh(a)] : [] };
}

await describeFused<Case>({
  name: 'mlstm projections',
  cases,
  inputs({ rows, blocks, size, gates, bias }) {
    const width = blocks * size;
    return {
      ax: [rows, 2 * width + 1],
      weight: [3 * blocks, size, size],
      ...(bias && { bias: [3 * width] }),
      gateWeight: [gates, 3 * width],
      gateBias: [gates],
    };
  },
  fused: (leaves, options) => {
    const { a, x, others } = operands(leaves, options);
    const { weight, bias, gateWeight, gateBias } = leaves;
    const gate = { weight: gateWeight, bias: gateBias };
    const { qkv, gates } = mlstmProjections({ a, x }, { weight, bias }, gate);
    return [qkv, gates, ...others];
  },
  parts: (leaves, options) => {
    const { a, x, others } = operands(leaves, options);
    const { weight, bias, gateWeight, gateBias } = leaves;
    const [blocks, size] = weight.shape;
    const set = (blocks / 3) * size * size;
    const sets = split(reshape(weight, [3 * set]), [set, set, set]).map((w) =>
      reshape(w, [blocks / 3, size, size]),
    );
    const projected = concat([a, a, x].map((input, i) => headwiseLinear(input, sets[i])));
    const qkv = bias ? e.add(projected, bias) : projected;
    return [qkv, linear(qkv, gateWeight, gateBias), ...others];
  },
});
