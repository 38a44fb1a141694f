import { describe, expect, it } from 'vitest';
import { relativeError } from '../../lab/verification/compare.ts';
import { Random } from '../../random.ts';
import type { Engine } from '../engines/engine.ts';
import { createReferenceEngine } from '../engines/reference/engine.ts';
import { evaluation, type NamedArray } from '../evaluation.ts';
import { type Shape, sizeOf } from '../program/region.ts';
import { attention } from './attention.ts';
import { deltaScan } from './delta_scan.ts';
import { differentiate } from './differentiate.ts';
import * as e from './elementwise.ts';
import { sum } from './elementwise.ts';
import { linearScan } from './linear_scan.ts';
import { rotate } from './rotate.ts';
import { selectiveScan } from './selective_scan.ts';
import type { Tensor } from './tensor.ts';
import { describeAgreement, oneIn } from './testing/agreement.ts';
import { split } from './views.ts';

type Leaves = Readonly<Record<string, Tensor>>;
type Fill = (random: Random, index: number) => number;

interface Input {
  readonly shape: Shape;
  readonly fill: Fill;
  /** No gradient: a gate of the test, not of the operation. */
  readonly fixed?: true;
}

interface Sizes {
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly width: number;
  readonly state: boolean;
  /** Of attention. */
  readonly window: number;
}

interface Case {
  readonly inputs: (sizes: Sizes) => Readonly<Record<string, Input>>;
  /** Outputs that the loss weighs, and others that are only compared. */
  readonly build: (leaves: Leaves, sizes: Sizes) => { outputs: Tensor[]; others?: Tensor[] };
}

const uniform: Fill = (random) => random.uniform(-1, 1);
const positive: Fill = (random) => random.uniform(0.05, 0.95);
const some = (shape: Shape, fill = uniform): Input => ({ shape, fill });

/** Documents start at fixed places, so that sizes alone decide what is covered. */
const resets = ({ batch, length }: Sizes): Input => ({
  shape: [batch, length],
  fill: (_, i) => (i % length === (3 + 5 * Math.floor(i / length)) % (length + 2) && i % length > 0 ? 1 : 0),
  fixed: true,
});

const cases: Readonly<Record<string, Case>> = {
  rotate: {
    inputs: ({ batch, length, heads, width }) => ({
      x: some([batch, length, 2 * heads * width]),
      positions: { shape: [batch, length, 1], fill: (_, i) => (i % 3 === 0 ? i * 7 : i), fixed: true },
    }),
    build: ({ x, positions }, { heads }) => ({ outputs: [rotate(x, positions, heads)] }),
  },
  attention: {
    inputs: ({ batch, length, heads, width, state, window }) => ({
      qkv: some([batch, length, 3 * heads * width]),
      counts: {
        shape: [batch, length, 1],
        // Each member is at another place of its document; the second one starts a new one on the way.
        fill: (_, i) => {
          const [b, t] = [Math.floor(i / length), i % length];
          const starts = Math.floor(length / 2);
          if (b % 2 === 1 && t >= starts) return t - starts + 1;
          return t + 1 + (state ? 4 + 9 * b : 0);
        },
        fixed: true,
      },
      keys: { ...some([batch, heads, window, width]), fixed: true },
      values: { ...some([batch, heads, window, width]), fixed: true },
    }),
    build: ({ qkv, counts, keys, values }, { heads, width, state, window }) => {
      const [q, k, v] = split(qkv, [heads * width, heads * width, heads * width]);
      const before = state ? { keys, values } : undefined;
      const seen = attention(q, k, v, counts, before, { heads, window });
      return { outputs: [seen.h], others: [seen.state.keys, seen.state.values] };
    },
  },
  linearScan: {
    inputs: (sizes) => ({
      a: some([sizes.batch, sizes.length, sizes.width], positive),
      b: some([sizes.batch, sizes.length, sizes.width]),
      state: some([sizes.batch, sizes.width]),
      reset: resets(sizes),
    }),
    build: ({ a, b, state, reset }, sizes) => {
      const { y, lastState } = linearScan(a, b, reset, sizes.state ? state : undefined);
      return { outputs: [y, lastState] };
    },
  },
  selectiveScan: {
    inputs: (sizes) => {
      const { batch, length, heads, width } = sizes;
      return {
        x: some([batch, length, width]),
        delta: some([batch, length, width], positive),
        rates: some([heads, width], positive),
        bc: some([batch, length, 2 * heads]),
        state: some([batch, heads, width]),
        reset: resets(sizes),
      };
    },
    build: ({ x, delta, rates, bc, state, reset }, sizes) => {
      const [b, c] = split(bc, [sizes.heads, sizes.heads]);
      const operands = { x, delta, a: e.negate(rates), b, c };
      const { y, lastState } = selectiveScan(operands, reset, sizes.state ? state : undefined);
      return { outputs: [y, lastState] };
    },
  },
  deltaScan: {
    inputs: (sizes) => {
      const { batch, length, heads, width } = sizes;
      return {
        qk: some([batch, length, 2 * heads * width]),
        v: some([batch, length, heads * (width + 1)]),
        alpha: some([batch, length, heads], positive),
        beta: some([batch, length, heads], positive),
        state: some([batch, heads, width, width + 1]),
        reset: resets(sizes),
      };
    },
    build: ({ qk, v, alpha, beta, state, reset }, sizes) => {
      const { heads, width } = sizes;
      const [q, k] = split(qk, [heads * width, heads * width]);
      // Keys of length 1 at most, as in the models: the memory stays bounded.
      const operands = { q, k: e.multiply(k, 1 / Math.sqrt(width)), v, alpha, beta };
      const { h, lastState } = deltaScan(operands, heads, reset, sizes.state ? state : undefined);
      return { outputs: [h, lastState] };
    },
  },
};

function values(inputs: Readonly<Record<string, Input>>): Record<string, NamedArray> {
  const random = new Random(7);
  const named = Object.entries(inputs).map(([name, { shape, fill }]) => {
    const array = { shape, values: Float32Array.from({ length: sizeOf(shape) }, (_, i) => fill(random, i)) };
    return [name, array] as const;
  });
  return Object.fromEntries(named);
}

/** Outputs, the loss Σ wave ∘ output, and the gradients of the inputs that reach it. */
function compiled(engine: Engine, { inputs, build }: Case, sizes: Sizes) {
  const declared = inputs(sizes);
  const names = Object.keys(declared).filter((name) => !declared[name].fixed);
  return evaluation(engine, values(declared), (leaves: Leaves) => {
    const { outputs, others = [] } = build(leaves, sizes);
    const weighted = outputs.map((y) => sum(e.multiply(y, e.add(e.tanh(e.multiply(y, 0.3)), 0.7))));
    const loss = weighted.reduce((a, b) => e.add(a, b));
    const gradients = differentiate(
      [loss],
      names.map((name) => leaves[name]),
    );
    const results: Record<string, Tensor> = { loss };
    outputs.forEach((y, i) => {
      results[`y${i}`] = y;
    });
    others.forEach((y, i) => {
      results[`other${i}`] = y;
    });
    names.forEach((name, i) => {
      const gradient = gradients[i];
      if (gradient) results[`d${name}`] = gradient;
    });
    return { outputs: results };
  });
}

const reference = createReferenceEngine();
const small: Sizes = { batch: 2, length: 7, heads: 2, width: 3, state: true, window: 9 };

describe.each(Object.entries(cases))('%s', (_, it_) => {
  it.each([true, false])('gradients agree with central differences, state: %s', async (state) => {
    const sizes = { ...small, state };
    const { executable, run } = compiled(reference, it_, sizes);
    const right = await run();
    const inputs = it_.inputs(sizes);
    const wanted = Object.keys(inputs).filter((name) => !inputs[name].fixed && (state || name !== 'state'));
    for (const name of wanted) {
      const analytic = right[`d${name}`];
      expect(analytic, `gradient of ${name}`).toBeDefined();
      const x = values(inputs)[name].values;
      const step = 1e-5;
      const numeric = new Float64Array(x.length);
      for (let i = 0; i < x.length; i++) {
        const lossAt = async (value: number): Promise<number> => {
          executable.io.write(name, [value], i);
          return (await run()).loss[0];
        };
        numeric[i] = ((await lossAt(x[i] + step)) - (await lossAt(x[i] - step))) / (2 * step);
        executable.io.write(name, [x[i]], i);
      }
      expect(Math.max(...numeric.map(Math.abs))).toBeGreaterThan(1e-2);
      expect(relativeError(analytic, numeric), `gradient of ${name}`).toBeLessThan(1e-7);
    }
  });
});

const sizes: Sizes[] = [
  small,
  { batch: 3, length: 1, heads: 5, width: 1, state: true, window: 7 },
  { batch: 1, length: 1, heads: 2, width: 17, state: false, window: 30 },
  { batch: 3, length: 37, heads: 3, width: 5, state: true, window: 20 },
  { batch: 2, length: 150, heads: 1, width: 33, state: true, window: 140 },
  { batch: 2, length: 200, heads: 2, width: 8, state: false, window: 500 },
  { batch: 1, length: 150, heads: 17, width: 21, state: true, window: 40 },
];

await describeAgreement<Sizes & { readonly name: string }>({
  title: 'sequence operations',
  compute: (engine, { name, ...each }) => compiled(engine, cases[name], each).run(),
  tolerance: 2e-5,
  timeoutMs: 300_000,
  tests: (agree, every) => {
    it.each(Object.keys(cases))(
      '%s: forward and backward as the reference engine, for any threads',
      async (name) => {
        for (const each of oneIn(every, sizes)) await agree({ name, ...each });
      },
    );
  },
});
