import { describe, expect, it } from 'vitest';
import { createReferenceEngine } from '../engines/reference/engine.ts';
import { evaluation } from '../evaluation.ts';
import { type Shape, sizeOf } from '../program/region.ts';
import { causalConv } from './conv.ts';
import { differentiate } from './differentiate.ts';
import * as e from './elementwise.ts';
import { sum, sumColumns, sumRows, sumSquares } from './elementwise.ts';
import { embedding } from './embedding.ts';
import { gatedNorm } from './gated_norm.ts';
import { crossEntropy } from './loss.ts';
import { headwiseLinear, linear, matmul } from './matmul.ts';
import { mlstm } from './mlstm.ts';
import { mlstmProjections } from './mlstm_projections.ts';
import { norm } from './norm.ts';
import { recurrent } from './recurrent.ts';
import type { Tensor } from './tensor.ts';
import { concat, reshape, split, stopGradient } from './views.ts';

const engine = createReferenceEngine();

/** Deterministic values in about [-1, 1]. */
function values(shape: Shape, seed: number): Float64Array {
  return Float64Array.from(
    { length: sizeOf(shape) },
    (_, i) => Math.sin((i + 1) * 12.9898 + seed * 78.233) * 0.9,
  );
}

type Shapes = Record<string, Shape>;
interface Options {
  feeds?: Record<string, ArrayLike<number>>;
  /** Inputs that have no gradient. */
  fixed?: string[];
}

/** Compares the backward pass of Σ upstream ∘ outputs with central differences, for every input. */
async function checkGradient(
  shapes: Shapes,
  build: (inputs: Record<string, Tensor>) => Tensor[],
  options: Options = {},
): Promise<void> {
  const names = Object.keys(shapes);
  const inputs = Object.fromEntries(
    names.map((name, i) => [
      name,
      { shape: shapes[name], values: options.feeds?.[name] ?? values(shapes[name], i) },
    ]),
  );
  const wrt = names.filter((name) => !options.fixed?.includes(name));
  const run = evaluation(engine, inputs, (leaves) => {
    const outputs = build(leaves);
    const weighted = outputs.map((y, i) => sum(e.multiply(y, reshape(fixedUpstream(y, i, leaves), y.shape))));
    const loss = weighted.reduce((a, b) => e.add(a, b));
    const gradients = differentiate(
      [loss],
      wrt.map((name) => leaves[name]),
    );
    gradients.forEach((g, i) => {
      expect(g, `gradient of ${wrt[i]}`).toBeDefined();
    });
    return {
      outputs: { loss, ...Object.fromEntries(gradients.map((g, i) => [wrt[i], g as Tensor])) },
    };
  });
  const analytic = await run.run();
  for (const name of wrt) {
    const x = Float64Array.from(inputs[name].values);
    const numeric = new Float64Array(x.length);
    const h = 1e-5;
    for (let i = 0; i < x.length; i++) {
      const at = async (value: number): Promise<number> => {
        run.executable.io.write(name, [value], i);
        return (await run.run()).loss[0];
      };
      numeric[i] = ((await at(x[i] + h)) - (await at(x[i] - h))) / (2 * h);
      run.executable.io.write(name, [x[i]], i);
    }
    const scale = Math.max(1e-2, ...numeric.map(Math.abs));
    const error = Math.max(...numeric.map((n, i) => Math.abs(n - analytic[name][i]))) / scale;
    expect(error, `gradient of ${name}`).toBeLessThan(1e-6);
  }
}

/** A weight for every output element that is no input, so that errors cannot cancel. */
function fixedUpstream(y: Tensor, i: number, leaves: Record<string, Tensor>): Tensor {
  const some = Object.values(leaves)[0];
  const one = e.add(e.multiply(stopGradient(sum(some)), 0), 1 + 0.1 * i);
  const wave = Array.from({ length: y.cols }, (_, j) => 1 + 0.5 * Math.cos(j * 1.7 + i));
  return e.broadcastTo(e.multiply(one, constantRow(wave)), y.shape);
}

const constantRow = (row: number[]): Tensor => concat(row.map((v) => e.add(e.multiply(zero, 0), v)));
const zero = e.add(0, 0);

describe('gradients agree with central differences', () => {
  const unary = {
    negate: e.negate,
    square: e.square,
    exp: e.exp,
    tanh: e.tanh,
    sigmoid: e.sigmoid,
    logSigmoid: e.logSigmoid,
    erf: e.erf,
    silu: e.silu,
    gelu: e.gelu,
    absolute: e.absolute,
    relu: e.relu,
    softCap: (x: Tensor) => e.softCap(x, 2),
    copy: e.copy,
  };
  for (const [name, fn] of Object.entries(unary)) {
    it(name, () => checkGradient({ x: [3, 5] }, ({ x }) => [fn(x)]));
  }
  it('a row times a batch that has one row', async () => {
    const product = ({ row, x }: Record<string, Tensor>): Tensor => e.multiplyAdd(row, x, 1);
    await checkGradient({ row: [5], x: [1, 1, 5] }, (inputs) => {
      expect(product(inputs).shape).toEqual([1, 1, 5]);
      return [product(inputs)];
    });
  });
  it('log, square root, reciprocal of positive numbers', () =>
    checkGradient({ x: [2, 3] }, ({ x }) => {
      const p = e.add(e.square(x), 0.5);
      return [e.log(p), e.squareRoot(p), e.reciprocal(p)];
    }));
  for (const [name, fn] of Object.entries({
    add: e.add,
    subtract: e.subtract,
    multiply: e.multiply,
    maximum: e.maximum,
    minimum: e.minimum,
  })) {
    it(`${name} with broadcasting`, () =>
      checkGradient({ x: [4, 3], row: [3], column: [4, 1], one: [1] }, ({ x, row, column, one }) => [
        fn(x, row),
        fn(column, x),
        fn(x, one),
        fn(x, x),
      ]));
  }
  it('divide, multiplyAdd, select', () =>
    checkGradient({ a: [2, 3], b: [2, 3], c: [3] }, ({ a, b, c }) => [
      e.divide(a, e.add(e.square(b), 1)),
      e.multiplyAdd(a, b, c),
      e.select(e.greater(a, 0), b, c),
    ]));
  it('reductions', () =>
    checkGradient({ x: [3, 4] }, ({ x }) => [sumRows(e.square(x)), sumColumns(e.square(x)), sumSquares(x)]));
  it('split, concat, reshape', () =>
    checkGradient({ x: [2, 6] }, ({ x }) => {
      const [a, b] = split(x, [2, 4]);
      return [concat([e.square(b), a, e.exp(a)]), reshape(e.square(x), [3, 4]), concat([a, b])];
    }));
  it('matmul, linear with bias and residual', () =>
    checkGradient({ x: [2, 3, 4], w: [5, 4], b: [5], r: [2, 3, 5], v: [5, 2] }, ({ x, w, b, r, v }) => {
      const y = linear(x, w, b, r);
      return [y, matmul(y, v)];
    }));
  it('adds to gradients that other uses have contributed', () =>
    checkGradient({ x: [3, 8], w: [8, 8], b: [2, 4, 4], n: [8] }, ({ x, w, b, n }) => {
      const y = linear(x, w, undefined, x);
      const z = e.add(
        headwiseLinear(y, b),
        norm(y, n, undefined, { kind: 'layer', eps: 1e-5, weightOffset: 1 }),
      );
      return [z, e.square(y), e.tanh(x)];
    }));
  it('headwise linear, small and large blocks', () =>
    checkGradient({ x: [3, 24], small: [6, 3, 4], large: [2, 10, 12] }, ({ x, small, large }) => [
      headwiseLinear(x, small),
      headwiseLinear(x, large),
    ]));
  for (const kind of ['layer', 'rms'] as const) {
    it(`${kind} norm with groups, weight offset and bias`, () =>
      checkGradient({ x: [4, 6], w: [6], b: [6] }, ({ x, w, b }) => [
        norm(x, w, b, { kind, groups: 2, eps: 1e-5, weightOffset: 1 }),
        norm(x, undefined, undefined, { kind, eps: 1e-5, weightOffset: 0 }),
      ]));
  }
  for (const kind of ['layer', 'rms'] as const) {
    it(`gated ${kind} norm with groups, skip and views`, () =>
      checkGradient({ xz: [4, 12], a: [4, 6], s: [6], w: [6], b: [6] }, ({ xz, a, s, w, b }) => {
        const [x, z] = split(xz, [6, 6]);
        const options = { kind, groups: 2, eps: 1e-5, weightOffset: 1 } as const;
        return [
          gatedNorm(x, w, b, options, { gate: z, skip: s, addend: a }),
          gatedNorm(x, undefined, undefined, { ...options, groups: 1 }, { gate: a }),
          gatedNorm(z, w, undefined, options, { gate: z, skip: s, addend: z }),
        ];
      }));
  }
  it('embedding', () =>
    checkGradient({ table: [5, 3], tokens: [2, 3] }, ({ tokens, table }) => [embedding(tokens, table)], {
      feeds: { tokens: [0, 3, 3, 1, 4, 3] },
      fixed: ['tokens'],
    }));
  it('cross entropy with an ignored target', () =>
    checkGradient(
      { logits: [4, 5], targets: [4] },
      ({ logits, targets }) => [crossEntropy(logits, targets)],
      { feeds: { targets: [0, 4, -1, 2] }, fixed: ['targets'] },
    ));
  it('causal convolution with state and reset', () =>
    checkGradient(
      { x: [2, 5, 3], w: [3, 1, 4], b: [3], state: [2, 3, 3], reset: [2, 5] },
      ({ x, w, b, state, reset }) => {
        const { y, lastState } = causalConv(x, w, b, reset, state);
        const activated = causalConv(x, w, b, reset, state, 'silu');
        return [y, lastState, activated.y, activated.lastState, e.square(x)];
      },
      { feeds: { reset: [0, 0, 1, 0, 0, 0, 0, 0, 0, 0] }, fixed: ['reset'] },
    ));
  it('mlstm projections, with what other uses have contributed', () =>
    checkGradient(
      { a: [2, 3, 8], x: [2, 3, 8], w: [6, 4, 4], v: [12, 2, 2], b: [24], gw: [3, 24], gb: [3] },
      ({ a, x, w, v, b, gw, gb }) => {
        const gate = { weight: gw, bias: gb };
        const four = mlstmProjections({ a, x }, { weight: w }, gate);
        const two = mlstmProjections({ a, x: e.tanh(x) }, { weight: v, bias: b }, gate);
        return [four.qkv, four.gates, two.gates, e.square(a)];
      },
    ));
  it('mlstm with state, last state and reset', () =>
    checkGradient(
      {
        q: [2, 5, 4],
        k: [2, 5, 4],
        v: [2, 5, 6],
        i: [2, 5, 2],
        f: [2, 5, 2],
        c: [2, 2, 2, 3],
        n: [2, 2, 2],
        m: [2, 2],
        reset: [2, 5],
      },
      ({ q, k, v, i, f, c, n, m, reset }) => {
        const options = { heads: 2, keyScale: 0.7, queryScale: 1.1, eps: 0, chunk: 2 };
        const { h, state } = mlstm(
          { q, k, v, inputGate: i, forgetGate: f, reset, state: { c, n, m } },
          options,
        );
        // The true memory is C e^m: a loss on it, like any later use, does not depend on m.
        const scale = reshape(e.exp(stopGradient(state.m)), [4, 1]);
        return [h, e.multiply(reshape(state.c, [4, 6]), scale), e.multiply(reshape(state.n, [4, 2]), scale)];
      },
      { feeds: { reset: [0, 0, 0, 0, 0, 0, 0, 1, 0, 0], m: [0.1, -0.2, 0.3, 0] }, fixed: ['reset', 'm'] },
    ));
  for (const cell of ['slstm', 'lstm', 'gru', 'rnn'] as const) {
    it(`recurrent scan: ${cell}`, () => {
      const gates = { slstm: 4, lstm: 4, gru: 3, rnn: 1 }[cell];
      const hasCell = cell === 'slstm' || cell === 'lstm';
      const shapes: Shapes = {
        wx: [2, 4, gates * 4],
        r: [2, gates * 2, 2],
        b: [gates * 4],
        y: [2, 4],
        reset: [2, 4],
      };
      if (hasCell) shapes.c = [2, 4];
      if (cell === 'slstm') Object.assign(shapes, { n: [2, 4], m: [2, 4] });
      return checkGradient(
        shapes,
        ({ wx, r, b, reset, y, c, n, m }) => {
          const options = { cell, heads: 2, exponentialForget: false, recurrentClip: 0, cutRecurrent: false };
          const out = recurrent(wx, r, b, reset, { y, c, n, m }, options);
          const { y: lastY, c: lastC, n: lastN, m: lastM } = out.state;
          // The sLSTM's true cell state is c e^m, n e^m: a loss on it does not depend on m.
          const scale = lastM ? e.exp(stopGradient(lastM)) : 1;
          return [out.y, lastY, lastC, lastN].flatMap((t) =>
            t ? [t === lastC || t === lastN ? e.multiply(t, scale) : t] : [],
          );
        },
        {
          feeds: {
            reset: [0, 0, 0, 0, 0, 0, 1, 0],
            n: [1, 2, 1.5, 1, 1, 2, 1, 1.2],
            m: [0.1, 0, 0.2, 0, 0, 0, 0.1, 0],
          },
          fixed: ['reset', 'm'],
        },
      );
    });
  }
});
