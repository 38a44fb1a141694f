import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../../../lab/verification/compare.ts';
import { evaluation } from '../../evaluation.ts';
import { differentiate } from '../../graph/differentiate.ts';
import { add, multiply, sum, tanh } from '../../graph/elementwise.ts';
import { crossEntropy } from '../../graph/loss.ts';
import { linear, matmul } from '../../graph/matmul.ts';
import { mlstm } from '../../graph/mlstm.ts';
import { norm } from '../../graph/norm.ts';
import { recurrent } from '../../graph/recurrent.ts';
import { recurrentCells } from '../../program/constants.ts';
import { Region } from '../../program/region.ts';
import { chooseEngine } from '../choose.ts';
import type { Engine } from '../engine.ts';
import { createReferenceEngine } from '../reference/engine.ts';
import { findAdapter, openDevice } from './device.ts';
import { WebgpuEngine } from './engine.ts';
import { hasSoftwareGpu, useSoftwareGpu } from './testing/software_gpu.ts';

const inputs = {
  x: { shape: [70, 40], values: Array.from({ length: 2800 }, (_, i) => Math.sin(i)) },
  w: { shape: [72, 40], values: Array.from({ length: 2880 }, (_, i) => Math.cos(3 * i)) },
};
const compute = (engine: Engine) =>
  evaluation(engine, inputs, ({ x, w }) => ({ outputs: { y: tanh(add(linear(x, w), 0.5)) } }));

describe.runIf(hasSoftwareGpu)('the webgpu engine', { timeout: 300_000 }, () => {
  let engine: Engine;
  beforeAll(async () => {
    await useSoftwareGpu();
    ({ engine } = await chooseEngine('webgpu'));
  }, 300_000);
  afterAll(() => engine?.close());

  it('computes what the reference engine computes, twice to the same bits', async () => {
    const { y } = await compute(createReferenceEngine()).run();
    const { run } = compute(engine);
    const first = (await run()).y;
    expect((await run()).y).toEqual(first);
    expect(Math.max(...Array.from(y, (value, i) => Math.abs(value - first[i])))).toBeLessThan(2e-6);
  });

  it('computes products of few elements and a long sum, and their gradients', async () => {
    const wave = (shape: number[], phase: number) => ({
      shape,
      values: Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin(phase + 0.7 * i)),
    });
    const inputs = { x: wave([21, 300], 1), w: wave([10, 300], 2), u: wave([300, 7], 3), v: wave([9, 7], 4) };
    const results = (on: Engine) =>
      evaluation(on, inputs, ({ x, w, u, v }) => {
        const [y, t] = [linear(x, w), linear(u, v)];
        const loss = add(sum(multiply(y, y)), sum(multiply(t, t)));
        const [dx, dw, du, dv] = differentiate([loss], [x, w, u, v]);
        return { outputs: { y, t, dx: dx!, dw: dw!, du: du!, dv: dv! } };
      }).run();
    const [right, found] = await Promise.all([results(createReferenceEngine()), results(engine)]);
    for (const [name, values] of Object.entries(right))
      expect(relativeError(found[name], values), name).toBeLessThan(2e-6);
  });

  it('computes large products in every layout, and a long sum in parts', async () => {
    const wave = (shape: number[], phase: number) => ({
      shape,
      values: Array.from({ length: shape[0] * (shape[1] ?? 1) }, (_, i) => Math.sin(phase + 0.7 * i)),
    });
    // The last tile of each side is not full.
    const [m, n, k] = [260, 264, 516];
    const inputs = {
      x: wave([m, k], 1),
      w: wave([n, k], 2),
      bias: wave([n], 3),
      residual: wave([m, n], 4),
      v: wave([n, 260], 5),
    };
    const results = (on: Engine) =>
      evaluation(on, inputs, ({ x, w, bias, residual, v }) => {
        const y = linear(x, w, bias, residual);
        const t = matmul(y, v);
        const loss = sum(multiply(t, t));
        const [dx, dw, dv] = differentiate([loss], [x, w, v]);
        return { outputs: { y, t, dx: dx!, dw: dw!, dv: dv! } };
      }).run();
    const found = await results(engine);
    for (const [name, values] of Object.entries(await results(createReferenceEngine())))
      expect(relativeError(found[name], values), name).toBeLessThan(1e-5);
  });

  it('sums across workgroups of any size, with subgroups and without', async () => {
    const adapter = await findAdapter();
    expect(adapter.features).toContain('subgroups');
    const bare = new WebgpuEngine(await adapter.adapter.requestDevice(), adapter.description);
    for (const [rows, width] of [
      [3, 130],
      [1, 64],
      [5, 3],
      [2, 1500],
    ]) {
      const wave = (shape: number[], phase: number) => ({
        shape,
        values: Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin(phase + 0.7 * i)),
      });
      const inputs = {
        x: wave([rows, width], 1),
        w: wave([11, width], 2),
        targets: { shape: [rows], values: Array.from({ length: rows }, (_, row) => (2 * row) % width) },
      };
      const results = (on: Engine) =>
        evaluation(on, inputs, ({ x, w, targets }) => {
          const normed = norm(x, undefined, undefined, {
            ...{ groups: 1, eps: 1e-3, kind: 'layer', weightOffset: 0 },
          });
          const losses = crossEntropy(normed, targets);
          const y = linear(normed, w);
          const [dx] = differentiate([add(sum(losses), sum(multiply(y, y)))], [x]);
          return { outputs: { normed, losses, y, dx: dx! } };
        }).run();
      const right = await results(createReferenceEngine());
      for (const on of [engine, bare]) {
        const found = await results(on);
        for (const [name, values] of Object.entries(right))
          expect(relativeError(found[name], values), `${name} of ${rows}, ${width}`).toBeLessThan(3e-5);
      }
    }
    await bare.close();
  });

  it('computes heads wider than a workgroup of the mLSTM', async () => {
    const [length, keyDim, valueDim] = [40, 70, 80];
    const wave = (cols: number, phase: number) => ({
      shape: [1, length, cols],
      values: Array.from({ length: length * cols }, (_, i) => Math.sin(phase + 0.7 * i)),
    });
    const options = { heads: 1, keyScale: 0.12, queryScale: 1, eps: 1e-6, chunk: 16 };
    const inputs = {
      q: wave(keyDim, 1),
      k: wave(keyDim, 2),
      v: wave(valueDim, 3),
      i: wave(1, 4),
      f: wave(1, 5),
    };
    const results = (on: Engine) =>
      evaluation(on, inputs, ({ q, k, v, i, f }) => {
        const { h } = mlstm({ q, k, v, inputGate: i, forgetGate: f }, options);
        const [dq, dk, dv, di, df] = differentiate([sum(multiply(h, h))], [q, k, v, i, f]);
        return { outputs: { h, dq: dq!, dk: dk!, dv: dv!, di: di!, df: df! } };
      }).run();
    const [right, found] = await Promise.all([results(createReferenceEngine()), results(engine)]);
    for (const [name, values] of Object.entries(right))
      expect(relativeError(found[name], values), name).toBeLessThan(2e-5);
  });

  it.each([
    ['slstm', 4, 4, 6],
    ['lstm', 8, 2, 8],
    ['gru', 6, 2, 5],
    ['rnn', 4, 4, 4],
  ] as const)(
    'carries several batch members of %s in a workgroup: %i of %i heads of %i units',
    async (cell, batch, heads, headDim) => {
      const length = 7;
      const { gatesPerUnit, states } = recurrentCells[cell];
      const dim = heads * headDim;
      const wave = (shape: number[], phase: number) => ({
        shape,
        values: Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(phase + 0.7 * i)),
      });
      const inputs = {
        x: wave([batch, length, gatesPerUnit * dim], 1),
        r: wave([heads, gatesPerUnit * headDim, headDim], 2),
        bias: wave([gatesPerUnit * dim], 3),
        reset: {
          shape: [batch, length],
          values: Array.from({ length: batch * length }, (_, i) => (i % 11 === 5 ? 1 : 0)),
        },
        state: {
          shape: [batch, dim],
          values: Array.from({ length: batch * dim }, (_, i) => 1 + 0.5 * Math.cos(i)),
        },
      };
      const options = { cell, heads, exponentialForget: false, recurrentClip: 0, cutRecurrent: false };
      const results = (on: Engine) =>
        evaluation(on, inputs, ({ x, r, bias, reset, state }) => {
          const before = Object.fromEntries(states.map((name) => [name, state]));
          const { y, state: last } = recurrent(x, r, bias, reset, before, options);
          const [dx, dr, dstate] = differentiate([sum(multiply(y, y))], [x, r, state]);
          return { outputs: { y, last: last.y!, dx: dx!, dr: dr!, dstate: dstate! } };
        }).run();
      const [right, found] = await Promise.all([results(createReferenceEngine()), results(engine)]);
      for (const [name, values] of Object.entries(right))
        expect(relativeError(found[name], values), name).toBeLessThan(1e-5);
    },
  );

  it('does everything in the order of the calls', async () => {
    const region = new Region('numbers');
    region.add('x', [4]);
    region.add('ids', [2], 'i32');
    const memory = engine.allocate(region);
    const other = engine.allocate(region);
    expect([...(await memory.readAll())].every((value) => value === 0)).toBe(true);
    memory.write('x', [1, 2, 3, 4]);
    const before = memory.read('x', 1, 2);
    memory.write('x', [9], 1);
    memory.write('ids', [2 ** 24 + 1, -7]);
    other.copyFrom(memory);
    memory.clear();
    expect([...(await before)]).toEqual([2, 3]);
    expect([...(await other.read('x'))]).toEqual([1, 9, 3, 4]);
    expect([...(await other.read('ids'))]).toEqual([2 ** 24 + 1, -7]);
    expect([...(await memory.read('x'))]).toEqual([0, 0, 0, 0]);
  });

  it('keeps memory in several buffers where one is too small for a region', async () => {
    const adapter = await findAdapter();
    const split = new WebgpuEngine(await openDevice(adapter), adapter.description, 256);
    const [region, other] = [new Region('numbers'), new Region('others')];
    other.add('before', [50]);
    for (const one of [region, other]) {
      one.add('x', [300]);
      one.add('ids', [70], 'i32');
    }
    const [memory, copy] = [split.allocate(region), split.allocate(other)];
    expect(memory.storage.pages.map(({ size }) => size)).toEqual([256, 256, 256, 256, 256, 256]);
    const values = Array.from({ length: 300 }, (_, i) => i + 0.5);
    memory.write('x', values);
    memory.write('x', [-1, -2, -3], 62);
    memory.write('ids', [2 ** 24 + 1, -7], 68);
    values.splice(62, 3, -1, -2, -3);
    copy.copyFrom(memory, { name: 'x', from: 10, count: 200, at: 90 });
    copy.copyFrom(memory, { name: 'ids' });
    expect([...(await memory.read('x'))]).toEqual(values);
    expect([...(await memory.read('x', 60, 10))]).toEqual(values.slice(60, 70));
    expect([...(await copy.read('x', 90, 200))]).toEqual(values.slice(10, 210));
    expect([...(await copy.read('ids', 67))]).toEqual([0, 2 ** 24 + 1, -7]);
    await memory.access((numbers) => void numbers.fill(5));
    expect(new Set(await memory.readAll())).toEqual(new Set([5]));
    memory.clear();
    expect(new Set(await memory.readAll())).toEqual(new Set([0]));
    await split.close();
  });

  it('has no threads', async () => {
    await expect(chooseEngine('webgpu', { threads: 2 })).rejects.toThrow(
      'threads: the webgpu engine has none',
    );
  });

  it('refuses everything once it is closed', async () => {
    const { engine: other } = await chooseEngine('webgpu');
    await other.close();
    expect(() => compute(other)).toThrow('the webgpu engine is closed');
  });
});
