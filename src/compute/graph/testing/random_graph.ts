import { Random } from '../../../random.ts';
import type { NamedArray } from '../../evaluation.ts';
import { cellNames, recurrentCells } from '../../program/constants.ts';
import { Region, type Shape, sizeOf } from '../../program/region.ts';
import { causalConv } from '../conv.ts';
import * as e from '../elementwise.ts';
import { sum, sumColumns, sumRows, sumSquares } from '../elementwise.ts';
import { embedding } from '../embedding.ts';
import { gatedNorm } from '../gated_norm.ts';
import { crossEntropy } from '../loss.ts';
import { headwiseLinear, linear, matmul } from '../matmul.ts';
import { mlstm } from '../mlstm.ts';
import { mlstmProjections } from '../mlstm_projections.ts';
import { type NormOptions, norm } from '../norm.ts';
import { recurrent } from '../recurrent.ts';
import { leaf, type Tensor } from '../tensor.ts';
import { concat, lastToken, reshape, split, stopGradient } from '../views.ts';

/** What a random graph is made from; small numbers make small graphs, so that a failure shrinks to one. */
export interface Recipe {
  readonly batch: number;
  readonly length: number;
  readonly width: number;
  readonly seed: number;
  /** The operation, then choices of operands and sizes. */
  readonly steps: readonly Step[];
}

export type Step = readonly [operation: number, a: number, b: number, size: number];

/** Makes inputs, parameters and constants as the graph asks for them. */
type Declare = (
  kind: string,
  shape: Shape,
  fill: (random: Random) => number,
  differentiable?: boolean,
) => Tensor;

interface Builder {
  readonly batch: number;
  readonly length: number;
  /** Activations [B, T, D] to take operands from. */
  readonly pool: Tensor[];
  readonly declare: Declare;
  /** Numbers for the loss, besides the weighted sums of activations. */
  readonly losses: Tensor[];
  /** Values that no gradient flows through: compared as they are. */
  readonly extras: Tensor[];
}

interface Choice {
  readonly x: Tensor;
  /** Another activation, of any width. */
  readonly other: Tensor;
  /** From 1 to 48. */
  readonly size: number;
  readonly bit: (place: number) => boolean;
}

const uniform = (random: Random): number => 2 * random.uniform() - 1;
const scaled =
  (scale: number) =>
  (random: Random): number =>
    scale * uniform(random);

/**
 * Each operation adds activations to the pool. Values stay of the size of 1, so that float32 can be compared; where an
 * operation jumps (comparisons), it compares numbers that are given exactly.
 */
const operations: Readonly<Record<string, (b: Builder, c: Choice) => Tensor[]>> = {
  smooth: (_, { x, size }) => {
    const functions = [
      e.tanh,
      e.sigmoid,
      e.logSigmoid,
      e.erf,
      e.silu,
      e.gelu,
      e.negate,
      e.copy,
      (t: Tensor) => e.softCap(t, 2),
      (t: Tensor) => e.square(e.tanh(t)),
      (t: Tensor) => e.exp(e.tanh(t)),
      (t: Tensor) => e.log(e.add(e.square(t), 0.5)),
      (t: Tensor) => e.squareRoot(e.add(e.square(t), 0.5)),
      (t: Tensor) => e.reciprocal(e.add(e.square(t), 0.5)),
    ];
    return [functions[size % functions.length](x)];
  },
  kinks: ({ declare }, { x, bit }) => {
    const a = declare('exact', x.shape, uniform);
    const b = declare('exact', x.shape, uniform);
    const bent = bit(0) ? e.maximum(a, b) : e.minimum(a, e.multiply(1, b));
    const chosen = e.select(e.greater(a, b), bent, bit(1) ? e.absolute(b) : e.relu(a));
    return [e.multiplyAdd(x, e.sign(b), chosen)];
  },
  arithmetic: (b, { x, other, size }) => {
    const y = widened(b, other, x.cols);
    const t = e.tanh(y);
    const results = [
      () => e.multiply(0.7, e.add(x, y)),
      () => e.subtract(x, t),
      () => e.multiply(x, t),
      () => e.divide(x, e.add(e.square(y), 0.7)),
      () => e.multiplyAdd(x, t, y),
      () => e.multiply(t, e.subtract(1, e.multiply(t, x))),
    ];
    return [results[size % results.length]()];
  },
  broadcasts: ({ declare, length, batch }, { x, bit }) => {
    const row = declare('row', [x.cols], uniform);
    const column = declare('column', [batch, length, 1], uniform);
    const one = declare('one', [1], uniform);
    const y = bit(0) ? e.multiplyAdd(x, row, column) : e.add(e.multiply(x, column), row);
    return [bit(1) ? e.multiply(y, one) : e.subtract(one, y)];
  },
  reductions: (_, { x, bit }) => {
    const rows = e.multiply(sumRows(x), 1 / x.rows);
    const columns = e.multiply(sumColumns(e.square(x)), 1 / x.cols);
    const all = e.multiply(bit(0) ? sum(x) : sumSquares(x), 1 / sizeOf(x.shape));
    return [e.add(e.subtract(x, rows), e.multiply(e.tanh(columns), all))];
  },
  linear: ({ declare }, { x, size, bit }) => {
    const weight = declare('weight', [size, x.cols], scaled(1.7 / Math.sqrt(x.cols)));
    const bias = bit(0) ? declare('bias', [size], uniform) : undefined;
    const residual = bit(1) && size === x.cols ? x : undefined;
    return [linear(x, weight, bias, residual)];
  },
  residual: ({ declare }, { x, size }) => {
    const up = declare('weight', [size, x.cols], scaled(1.7 / Math.sqrt(x.cols)));
    const down = declare('weight', [x.cols, size], scaled(1.7 / Math.sqrt(size)));
    return [linear(e.tanh(linear(x, up)), down, undefined, x)];
  },
  matmul: ({ declare }, { x, size }) => [
    matmul(x, declare('weight', [x.cols, size], scaled(1.7 / Math.sqrt(x.cols)))),
  ],
  headwise: ({ declare }, { x, size, bit }) => {
    const heads = divisor(x.cols, size);
    const inner = x.cols / heads;
    const outer = bit(0) ? inner : 1 + (size % 11);
    return [headwiseLinear(x, declare('weight', [heads, outer, inner], scaled(1.7 / Math.sqrt(inner))))];
  },
  pieces: (_, { x, other, size }) => {
    if (x.cols === 1) return [concat([x, other])];
    const at = 1 + (size % (x.cols - 1));
    const [left, right] = split(x, [at, x.cols - at]);
    return [concat([right, e.tanh(left)]), left, right];
  },
  join: (_, { x, other, size }) => narrowed(concat([e.sigmoid(x), other, e.negate(x)]), 16 + size),
  reshape: ({ batch, length }, { x, bit }) => {
    const flat = reshape(x, [batch * length, x.cols]);
    const folded = bit(0) ? e.tanh(flat) : e.multiply(0.5, flat);
    return [reshape(folded, x.shape)];
  },
  norm: (b, { x, size, bit }) => {
    const { weight, bias, options } = affine(b, x, size, bit);
    return [norm(x, weight, bias, options)];
  },
  gatedNorm: (b, { x, other, size, bit }) => {
    const { weight, bias, options } = affine(b, x, size, bit);
    const gate = widened(b, other, x.cols);
    const skip = bit(4) ? { skip: b.declare('skip', [x.cols], uniform), addend: e.tanh(gate) } : undefined;
    return [gatedNorm(x, weight, bias, options, { gate, ...skip })];
  },
  convolution: ({ declare, batch, length }, { x, size, bit }) => {
    const taps = 2 + (size % 4);
    const weight = declare('weight', [x.cols, 1, taps], uniform);
    const bias = bit(0) ? declare('bias', [x.cols], uniform) : undefined;
    const reset = bit(1) ? resets(declare, batch, length) : undefined;
    const state = bit(2) ? declare('state', [batch, taps - 1, x.cols], uniform) : undefined;
    const { y, lastState } = causalConv(x, weight, bias, reset, state, bit(4) ? 'silu' : undefined);
    return [bit(3) ? e.add(y, mean(lastState)) : y];
  },
  projections: (b, { x, other, size, bit }) => {
    const { declare } = b;
    const block = divisor(x.cols, size % 7);
    const all = 3 * x.cols;
    const inputs = { a: bit(0) ? x : e.tanh(x), x: widened(b, other, x.cols) };
    const weight = declare('weight', [all / block, block, block], scaled(1.7 / Math.sqrt(block)));
    const bias = bit(1) ? declare('bias', [all], uniform) : undefined;
    const count = 1 + (size % 11);
    const { qkv, gates } = mlstmProjections(
      inputs,
      { weight, bias },
      {
        weight: declare('weight', [count, all], scaled(1.7 / Math.sqrt(all))),
        bias: declare('bias', [count], uniform),
      },
    );
    const [q, kv] = split(qkv, [x.cols, 2 * x.cols]);
    return [...(bit(2) ? narrowed(qkv, 16 + size) : [q, ...narrowed(e.tanh(kv), 16 + size)]), gates];
  },
  mlstm: (b, { x, size, bit }) => {
    const { declare, batch, length } = b;
    const heads = 1 + (size % 3);
    const keyDim = 1 + (size % 13);
    const valueDim = 1 + (size % 17);
    const project = (kind: string, cols: number): Tensor =>
      linear(x, declare(kind, [cols, x.cols], scaled(1.7 / Math.sqrt(x.cols))));
    const state = bit(0)
      ? {
          c: declare('state', [batch, heads, keyDim, valueDim], uniform),
          n: declare('state', [batch, heads, keyDim], uniform),
          m: declare('state', [batch, heads], uniform, false),
        }
      : undefined;
    const cell = mlstm(
      {
        q: project('weight', heads * keyDim),
        k: project('weight', heads * keyDim),
        v: project('weight', heads * valueDim),
        inputGate: project('weight', heads),
        forgetGate: e.add(project('weight', heads), 1),
        reset: bit(1) ? resets(declare, batch, length) : undefined,
        state,
      },
      { heads, keyScale: 1 / Math.sqrt(keyDim), queryScale: 1, eps: 1e-6, chunk: [4, 16, 64][size % 3] },
    );
    const h = e.softCap(cell.h, 3);
    if (!bit(2)) return [h];
    return [e.add(h, e.add(mean(e.tanh(cell.state.c)), mean(e.tanh(cell.state.n))))];
  },
  recurrent: (b, { x, size, bit }) => {
    const { declare, batch, length } = b;
    const names = cellNames;
    const cell = names[size % names.length];
    const { gatesPerUnit, states } = recurrentCells[cell];
    const heads = 1 + (size % 3);
    const headDim = 1 + (size % 19);
    const dim = heads * headDim;
    const weight = declare('weight', [gatesPerUnit * dim, x.cols], scaled(1 / Math.sqrt(x.cols)));
    const r = declare('recurrent', [heads, gatesPerUnit * headDim, headDim], scaled(1 / Math.sqrt(headDim)));
    const bias = bit(0) ? declare('bias', [gatesPerUnit * dim], uniform) : undefined;
    const initial = (name: string): Tensor =>
      // The normalizer is positive.
      declare(
        'state',
        [batch, dim],
        (random) => (name === 'n' ? 1 + random.uniform() : uniform(random)),
        name !== 'm',
      );
    const state = bit(1) ? Object.fromEntries(states.map((name) => [name, initial(name)])) : {};
    const reset = bit(2) ? resets(declare, batch, length) : undefined;
    const { y, state: last } = recurrent(linear(x, weight), r, bias, reset, state, {
      cell,
      heads,
      exponentialForget: bit(3),
      recurrentClip: 0,
      cutRecurrent: bit(4) && bit(5),
    });
    if (!bit(3) || last.c === undefined) return [y];
    return [e.add(y, mean(e.tanh(last.c)))];
  },
  embedding: ({ declare, batch, length }, { size }) => {
    const words = 1 + (size % 7);
    const tokens = declare('tokens', [batch, length], (random) => random.integer(words), false);
    return [embedding(tokens, declare('table', [words, size], uniform))];
  },
  crossEntropy: ({ declare, batch, length, losses }, { x }) => {
    const target = (random: Random): number => random.integer(x.cols + 1) - 1;
    const each = crossEntropy(x, declare('targets', [batch, length], target, false));
    losses.push(e.multiply(sum(each), 1 / x.rows));
    return [];
  },
  dropout: ({ declare }, { x, size }) => {
    const seed = declare('seed', [1], (random) => random.integer(2 ** 24), false);
    return [e.dropout(x, 0.3, seed, size)];
  },
  stop: (_, { x }) => [e.multiply(stopGradient(e.tanh(x)), x)],
  last: ({ extras }, { x }) => {
    extras.push(lastToken(x));
    return [];
  },
};

export const operationNames = Object.keys(operations);

export interface RandomGraph {
  readonly inputs: Readonly<Record<string, NamedArray>>;
  /** The inputs that have a gradient. */
  readonly differentiable: readonly string[];
  /** Operations that the recipe came to use. */
  readonly used: readonly string[];
  build(leaves: Readonly<Record<string, Tensor>>): { outputs: Record<string, Tensor>; loss: Tensor };
}

const MOST_IN_POOL = 6;

/** A graph from a recipe. It is built twice: once to learn which inputs it needs, once for an engine. */
export function randomGraph(recipe: Recipe): RandomGraph {
  const dryRun = new Region('dry run');
  const inputs: Record<string, NamedArray> = {};
  const differentiable: string[] = [];
  const random = new Random(recipe.seed);
  const dry = compose(recipe, (name, shape, fill, flows) => {
    // Exactly representable in float32, so that all engines start from the same numbers.
    inputs[name] = { shape, values: Float32Array.from({ length: sizeOf(shape) }, () => fill(random)) };
    if (flows) differentiable.push(name);
    return leaf(dryRun, name, shape);
  });
  return {
    inputs,
    differentiable,
    used: dry.used,
    build: (leaves) => compose(recipe, (name) => leaves[name]),
  };
}

function compose(
  { batch, length, width, steps }: Recipe,
  input: (name: string, shape: Shape, fill: (random: Random) => number, flows: boolean) => Tensor,
): { outputs: Record<string, Tensor>; loss: Tensor; used: string[] } {
  let count = 0;
  const declare: Declare = (kind, shape, fill, flows = true) =>
    input(`${kind}${count++}`, shape, fill, flows);
  const builder: Builder = {
    batch,
    length,
    pool: [declare('x', [batch, length, width], uniform)],
    declare,
    losses: [],
    extras: [],
  };
  const { pool } = builder;
  const read = new Set<Tensor>();
  const kept: Tensor[] = [];
  const used: string[] = [];
  for (const [operation, a, b, size] of steps) {
    const name = operationNames[operation % operationNames.length];
    const x = pool[a % pool.length];
    const other = pool[b % pool.length];
    const bit = (place: number): boolean => ((b >> place) & 1) === 1;
    read.add(x);
    for (const y of operations[name](builder, { x, other, size: 1 + (size % 48), bit })) {
      pool.push(y);
      if (bit(6) && bit(7)) kept.push(y);
    }
    used.push(name);
    // Old activations go: those that are still to be read get more consumers, the graph gets deeper.
    while (pool.length > MOST_IN_POOL) {
      const [gone] = pool.splice(size % 2, 1);
      if (!read.has(gone)) kept.push(gone);
    }
  }
  for (const y of pool) if (!read.has(y)) kept.push(y);
  if (kept.length === 0) kept.push(...pool.slice(-1));

  const terms = kept.map((y) => {
    const weights = declare('upstream', y.shape, uniform, false);
    return e.multiply(sum(e.multiply(y, weights)), 1 / Math.sqrt(sizeOf(y.shape)));
  });
  const loss = [...terms, ...builder.losses].reduce((p, q) => e.add(p, q));
  const outputs: Record<string, Tensor> = { loss };
  [...kept, ...builder.extras].forEach((y, i) => {
    outputs[`y${i}`] = y;
  });
  return { outputs, loss, used };
}

/** What a norm of x has besides it. */
function affine({ declare }: Builder, x: Tensor, size: number, bit: Choice['bit']) {
  const groups = divisor(x.cols, size % 5);
  const weight = bit(0) ? declare('scale', [x.cols], scaled(0.5)) : undefined;
  const bias = bit(1) ? declare('bias', [x.cols], uniform) : undefined;
  // Not so small that the rounding of nearly constant groups would be blown up.
  const options: NormOptions = {
    groups,
    eps: 0.05,
    kind: bit(2) ? 'layer' : 'rms',
    weightOffset: bit(3) ? 1 : 0,
  };
  return { weight, bias, options };
}

/** Another activation in the given width. */
function widened({ declare }: Builder, t: Tensor, cols: number): Tensor {
  if (t.cols === cols) return t;
  return linear(t, declare('weight', [cols, t.cols], scaled(1.7 / Math.sqrt(t.cols))));
}

function narrowed(t: Tensor, most: number): Tensor[] {
  return t.cols <= most ? [t] : [...split(t, [most, t.cols - most])];
}

const mean = (t: Tensor): Tensor => e.multiply(sum(t), 1 / sizeOf(t.shape));

/** The largest divisor of n that is at most `wanted`. */
function divisor(n: number, wanted: number): number {
  let d = Math.max(1, Math.min(n, wanted));
  while (n % d !== 0) d--;
  return d;
}

const resets = (declare: Declare, batch: number, length: number): Tensor =>
  declare('reset', [batch, length], (random) => (random.uniform() < 0.2 ? 1 : 0), false);
