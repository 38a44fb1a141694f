import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { XlstmError } from '../../errors.ts';
import { relativeError } from '../../lab/verification/compare.ts';
import { Random } from '../../random.ts';
import type { Engine, Values } from '../engines/engine.ts';
import { createReferenceEngine } from '../engines/reference/engine.ts';
import { fastEngines } from '../engines/testing/engines.ts';
import { cpuLimits, type EngineLimits } from '../program/limits.ts';
import { instructionOperands, type Program } from '../program/program.ts';
import { Region, type Shape, sizeOf } from '../program/region.ts';
import { deltaScan } from './delta_scan.ts';
import { differentiate, reachable } from './differentiate.ts';
import * as e from './elementwise.ts';
import { headwiseLinear, matmul } from './matmul.ts';
import { mlstm } from './mlstm.ts';
import { mlstmProjections } from './mlstm_projections.ts';
import { defineOp } from './op.ts';
import { plan } from './plan.ts';
import { selectiveScan } from './selective_scan.ts';
import { createNode, leaf, type Tensor } from './tensor.ts';
import { assign, split } from './views.ts';

const WIDTH = 24; // 2 heads of 12, blocks of 4
const LENGTH = 21;

const inputs: Readonly<Record<string, Shape>> = {
  x: [2, LENGTH, WIDTH],
  reset: [2, LENGTH],
  weight: [18, 4, 4],
  bias: [3 * WIDTH],
  gateWeight: [4, 3 * WIDTH],
  gateBias: [4],
  out: [6, 4, 4],
  decay: [4, WIDTH],
  c: [2, 2, 12, 12],
  n: [2, 2, 12],
  m: [2, 2],
};
const constants = ['reset', 'm'];

/** What engines decide of, with every gradient; `x` has other uses too, whose gradients are absorbed. */
function traced(): { io: Region; roots: Tensor[]; outputs: string[] } {
  const io = new Region('io');
  const leaves = Object.fromEntries(
    Object.entries(inputs).map(([name, shape]) => [name, leaf(io, name, shape)]),
  );
  const { x, reset, weight, bias, gateWeight, gateBias, out, decay, c, n, m } = leaves;
  const a = e.tanh(x);
  const { qkv, gates } = mlstmProjections({ a, x }, { weight, bias }, { weight: gateWeight, bias: gateBias });
  const [q, k, v] = split(qkv, [WIDTH, WIDTH, WIDTH]);
  const [inputGate, forgetGate] = split(gates, [2, 2]);
  const cell = mlstm(
    { q, k, v, inputGate, forgetGate, reset, state: { c, n, m } },
    { heads: 2, keyScale: 0.3, queryScale: 1, eps: 1e-6 },
  );
  const y = headwiseLinear(e.add(cell.h, a), out);
  const [alpha, beta] = [e.sigmoid(inputGate), e.sigmoid(forgetGate)];
  const { h, lastState } = deltaScan({ q: y, k: e.tanh(k), v: y, alpha, beta }, 2, reset);
  const selective = selectiveScan({ x: h, delta: e.sigmoid(y), a: e.tanh(decay), b: gates, c: gates }, reset);
  const outputs: Record<string, Tensor> = {
    y,
    h,
    lastState,
    lastC: cell.state.c,
    lastN: cell.state.n,
    z: selective.y,
    lastZ: selective.lastState,
  };
  const loss = Object.values(outputs)
    .map((t) => e.sum(e.multiply(t, e.add(e.tanh(t), 0.7))))
    .reduce((s, t) => e.add(s, t));
  const names = Object.keys(inputs).filter((name) => !constants.includes(name));
  const gradients = differentiate(
    [loss],
    names.map((name) => leaves[name]),
  );
  names.forEach((name, i) => {
    outputs[`d${name}`] = gradients[i] as Tensor;
  });
  const roots = Object.entries(outputs).map(([name, t]) => assign(leaf(io, `out:${name}`, t.shape), t));
  return { io, roots, outputs: Object.keys(outputs) };
}

async function computed(engine: Engine, program: Program, names: string[]): Promise<Record<string, Values>> {
  const { io, run } = engine.bind(program, []);
  const random = new Random(5);
  for (const [name, shape] of Object.entries(inputs)) {
    const mark = (): number => Number(random.uniform() < 0.1);
    const value = (): number => Math.fround(random.uniform(-1, 1));
    io.write(name, Float32Array.from({ length: sizeOf(shape) }, name === 'reset' ? mark : value));
  }
  await run();
  const results: Record<string, Values> = {};
  for (const name of names) results[name] = await io.read(`out:${name}`);
  return results;
}

/** An engine that likes short chunks, and has no kernels for small blocks. */
const other: EngineLimits = {
  ...cpuLimits,
  alignment: 16,
  smallBlock: 2,
  mlstmChunk: { narrow: 4, wide: 8, wideFrom: 100, whole: 3 },
  scanChunk: { tokens: 5, stateElements: 2 * 12 * 16 },
};

const graph = traced();
const planned = { usual: cpuLimits, other };
const programs = Object.entries(planned).map(
  ([name, limits]) => [name, plan(name, { ...graph, limits })] as const,
);
const [[, usual], [, different]] = programs;

const calls = (program: Program, kernel: string) =>
  program.instructions.filter((i) => i.kernel === kernel).map((i) => instructionOperands(i));

describe('one graph planned for engines of different limits', () => {
  it('makes different Programs', () => {
    for (const kernel of ['mlstmForward', 'mlstmBackward']) {
      expect(calls(usual, kernel).map((a) => a.chunk)).toEqual([LENGTH]);
      expect(calls(different, kernel).map((a) => a.chunk)).toEqual([4]);
    }
    for (const kernel of ['selectiveScanForward', 'selectiveScanBackward']) {
      expect(calls(usual, kernel).map((a) => a.chunk)).toEqual([16]);
      expect(calls(different, kernel).map((a) => a.chunk)).toEqual([5]);
    }
    for (const kernel of ['deltaScanForward', 'deltaScanBackward']) {
      expect(calls(usual, kernel).map((a) => a.chunk)).toEqual([16]);
      expect(calls(different, kernel).map((a) => a.chunk)).toEqual([2]);
    }
    const fused = [
      'mlstmProjectionsForward',
      'mlstmProjectionsBackward',
      'blockLinear',
      'blockLinearGradient',
    ];
    expect(fused.map((kernel) => calls(usual, kernel).length)).toEqual([1, 1, 2, 1]);
    expect(fused.map((kernel) => calls(different, kernel).length)).toEqual([0, 0, 0, 0]);
    // q, k, v, their gates and the last product; the gradients of these, of a as often as it is read.
    expect(calls(usual, 'gemm')).toHaveLength(0);
    expect(calls(different, 'gemm')).toHaveLength(5 + 10);
  });

  it('leaves the graph as it was: planned again it makes the same Program', () => {
    expect(plan('usual', { ...graph, limits: cpuLimits }).print()).toBe(usual.print());
    expect([...graph.io.entries].some(({ name }) => name.startsWith('constant'))).toBe(false);
  });

  it('gives the same numbers on the reference engine', async () => {
    const engine = createReferenceEngine();
    const right = await computed(engine, usual, graph.outputs);
    const found = await computed(engine, different, graph.outputs);
    for (const name of graph.outputs) {
      expect(Math.max(...right[name].map(Math.abs)), name).toBeGreaterThan(1e-3);
      expect(relativeError(found[name], right[name]), name).toBeLessThan(1e-11);
    }
  });
});

const { cases, missing } = await fastEngines();
describe.each(cases)('Programs of different limits on $name', { timeout: 60_000 }, ({ open }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await open(2);
  });
  afterAll(() => engine.close());

  it.each(programs)('%s: as on the reference engine', async (_, program) => {
    const right = await computed(createReferenceEngine(), usual, graph.outputs);
    const found = await computed(engine, program, graph.outputs);
    for (const name of graph.outputs)
      expect(relativeError(found[name], right[name]), name).toBeLessThan(2e-5);
  });
});
if (missing) it.skip(`limits of native: not run, ${missing}`, () => {});

describe('the mLSTM’s chunk', () => {
  const io = new Region('io');
  /** The chunk that both passes take. */
  const chunk = (length: number, headDim: number, limits: Partial<EngineLimits> = {}): number => {
    const q = leaf(io, `q ${length} × ${headDim}`, [1, length, headDim]);
    const gate = leaf(io, `gate ${length} × ${headDim}`, [1, length, 1]);
    const { h } = mlstm(
      { q, k: q, v: q, inputGate: gate, forgetGate: gate },
      { heads: 1, keyScale: 1, queryScale: 1, eps: 1e-6 },
    );
    const [dq] = differentiate([e.sum(h)], [q]);
    const roots = [e.copy(dq as Tensor)];
    const program = plan('p', { io, roots, limits: { ...cpuLimits, ...limits } });
    const [forward] = calls(program, 'mlstmForward');
    const [backward] = calls(program, 'mlstmBackward');
    expect(backward.chunk).toBe(forward.chunk);
    return forward.chunk;
  };

  it('is the whole sequence where that is short beside the head, else longer for wide heads', () => {
    expect(chunk(100, 50)).toBe(100);
    expect(chunk(101, 50)).toBe(64);
    expect(chunk(256, 256)).toBe(256);
    expect(chunk(257, 256)).toBe(128);
    expect(chunk(257, 255)).toBe(64);
  });

  it('is cut to what a thread’s workspace holds, and refused where that holds none', () => {
    expect(chunk(256, 1024)).toBe(128);
    expect(chunk(300, 2048)).toBe(64);
    expect(chunk(400, 64, { threadScratch: 20_000 })).toBe(32);
    expect(() => chunk(400, 64, { threadScratch: 500 })).toThrow(/mlstmForward .*chunk 1\)/);
  });
});

describe('residuals', () => {
  const leaving = defineOp({
    name: 'leaving',
    inputs: ['x'],
    outputs: ['y'],
    residuals: () => ({ table: [3] }),
    emit: ({ outputs }, to) => to.regionAlias(outputs.y, to.differentiated ? present : absent, 0),
  });
  const reading = (residual: 'table' | 'tokens') =>
    defineOp({
      name: 'reading',
      backwardOf: 'leaving',
      inputs: ['x'],
      outputs: ['y'],
      emit({ inputs: { x: read }, outputs }, to) {
        const inputs = { table: read, tokens: read };
        to.call('embeddingForward', { inputs, outputs }, { rows: 3, vocab: 3, dim: 1 }, [residual]);
      },
    });
  const [absent, present] = [new Region('absent'), new Region('present')];
  const x = leaf(new Region('io'), 'x', [3]);
  const y = [3];
  const left = createNode(leaving, { x }, { y }).y;
  const planOf = (...roots: Tensor[]): Program =>
    plan('p', { io: new Region('io'), roots: roots.map(e.copy), limits: cpuLimits });

  it('are left where the backward pass is part of the graph', () => {
    const read = createNode(reading('table'), { x }, { y }, undefined, left.node).y;
    expect(planOf(left).regions).toContain(absent);
    expect(planOf(left, read).regions).toContain(present);
    expect(planOf(left, read).print()).toMatch(/ table=work\+\d+\(leaving#\d+\.table\[3\]\)/);
    // Nothing but the residual leads from one to the other.
    expect(reachable([read])).toContain(left.node);
  });

  it('are read by the backward pass of their own operation alone', () => {
    const misused = /reading is the backward pass of leaving, given/;
    expect(() => createNode(reading('table'), { x }, { y })).toThrow(misused);
    expect(() => createNode(reading('table'), { x }, { y }, undefined, x.node)).toThrow(misused);
    const other = { ...reading('table'), name: 'other', backwardOf: undefined };
    expect(() => createNode(other, { x }, { y }, undefined, left.node)).toThrow(
      /other is the backward pass of nothing/,
    );
    const unknown = createNode(reading('tokens'), { x }, { y }, undefined, left.node).y;
    expect(() => planOf(unknown)).toThrow(/leaving leaves no "tokens"/);
  });
});

describe('regions and an engine’s limits', () => {
  const parameters = new Region('parameters');
  const io = new Region('io');
  const x = leaf(io, 'x', [4, 3]); // 48 bytes: what follows begins at 64
  const product = matmul(x, leaf(parameters, 'weight', [3, 500])); // 8,000 bytes
  const roots = [assign(leaf(io, 'y', [4, 1]), e.sumColumns(product))];
  parameters.add('others', [4000]); // 22,016 bytes in all
  io.add('others', [10_000]); // 40,128 bytes in all
  const refusal = (limits: Partial<EngineLimits>): XlstmError => {
    try {
      plan('p', { io, roots, limits: { ...cpuLimits, ...limits } });
    } catch (error) {
      expect(error).toBeInstanceOf(XlstmError);
      return error as XlstmError;
    }
    return expect.unreachable('it was planned');
  };

  it('refuses a Program of which a region is larger than the engine binds, and says what to do', () => {
    expect(() => plan('p', { io, roots, limits: { ...cpuLimits, largestBinding: 40_128 } })).not.toThrow();
    const error = refusal({ largestBinding: 40_127 });
    expect(error.code).toBe('config');
    expect(error.message).toBe('program p: region io takes 40,128 bytes, the engine takes 40,127 at once');
    expect(error.hint).toMatch(/smaller batch/);
    const small = new Region('io');
    const reading = (width: number): Tensor[] => {
      const weight = leaf(parameters, 'weight', [3, 500]);
      const y = e.sumColumns(matmul(leaf(small, 'x', [4, 3]), weight));
      return [assign(leaf(small, `y${width}`, [4, 1]), y)];
    };
    const planSmall = (largestBinding: number) => () =>
      plan('q', { io: small, roots: reading(500), limits: { ...cpuLimits, largestBinding } });
    expect(planSmall(22_016)).not.toThrow();
    expect(planSmall(22_015)).toThrow('program q: region parameters takes 22,016 bytes');
    expect(planSmall(7_999)).toThrow(/program q: its workspace takes 8,\d+ bytes/);
  });

  it('refuses regions whose entries lie closer than the engine needs', () => {
    const error = refusal({ alignment: 256 });
    expect(error.code).toBe('config');
    expect(error.message).toBe('region io: "y" begins at byte 64, the engine needs multiples of 256');
    expect(error.hint).toMatch(/multiples of 64/);
  });

  it('begins every array of the workspace at a multiple of the alignment', () => {
    const own = new Region('io');
    const a = leaf(own, 'a', [16, 16]);
    const b = leaf(own, 'b', [16, 16]);
    const parts = [a, b, matmul(a, b)].map((t) => e.sumColumns(matmul(t, b))); // 64 bytes each
    const total = e.sum(parts.reduce((s, t) => e.add(s, t)));
    const places = (alignment: number): number[] =>
      plan('p', {
        io: own,
        roots: [assign(leaf(own, 'total', [1]), total)],
        limits: { ...cpuLimits, alignment },
      }).instructions.flatMap(({ words }) =>
        words.flatMap((word) => (typeof word !== 'number' && word.region.name === 'work' ? word.offset : [])),
      );
    expect(places(64).some((offset) => offset % 256 !== 0)).toBe(true);
    expect(places(256).filter((offset) => offset % 256 !== 0)).toEqual([]);
  });
});
