import type { Engine } from '../../compute/engines/engine.ts';
import { evaluation, type NamedArray } from '../../compute/evaluation.ts';
import { differentiate } from '../../compute/graph/differentiate.ts';
import { plan } from '../../compute/graph/plan.ts';
import { leaf, type Tensor } from '../../compute/graph/tensor.ts';
import { assign } from '../../compute/graph/views.ts';
import { Region, type Shape, sizeOf } from '../../compute/program/region.ts';
import { timeSlice, writeTimeSlice } from './layout.ts';

type Arrays = Readonly<Record<string, NamedArray>>;
type Tensors = Readonly<Record<string, Tensor>>;
type Results = Record<string, Float32Array | Float64Array>;

export interface Sequence {
  /** Arrays [B, T, D]. */
  readonly inputs: Arrays;
  /** Parameters: the same for every token. */
  readonly fixed: Arrays;
  readonly state: Readonly<Record<string, Shape>>;
}

/** A cell over some tokens: from inputs, parameters and a state (absent: before the first token) to y and a state. */
export type Cell = (inputs: Tensors, state: Tensors | undefined) => { y: Tensor; state: Tensors };

/** A sequence in two pieces of different lengths, or in one where it is too short. */
export function halves(length: number): number[] {
  const first = Math.ceil(length / 3);
  return first < length ? [first, length - first] : [length];
}

/**
 * Runs a sequence in pieces of the given lengths within one Program, and the gradients of ⟨upstream, y⟩ back through
 * all of them and the states in between. Results: y, last_<state>, d<input>, d<parameter>.
 */
export async function differentiatePieces(
  engine: Engine,
  { inputs, fixed, state }: Sequence,
  lengths: readonly number[],
  upstream: NamedArray,
  cell: Cell,
): Promise<Results> {
  const names = Object.keys(inputs);
  const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((a, b) => a + b, 0));
  const given: Record<string, NamedArray> = { ...fixed };
  lengths.forEach((length, i) => {
    for (const [name, { shape, values }] of [...Object.entries(inputs), ['upstream', upstream] as const]) {
      given[`${name}.${i}`] = {
        shape: [shape[0], length, shape[2]],
        values: timeSlice(values, shape, starts[i], starts[i] + length),
      };
    }
  });
  const { run } = evaluation(engine, given, (leaves) => {
    const parameters = Object.keys(fixed).map((name) => leaves[name]);
    const outputs: Record<string, Tensor> = {};
    let sofar: Tensors | undefined;
    const ys = lengths.map((_, i) => {
      const piece = Object.fromEntries(names.map((name) => [name, leaves[`${name}.${i}`]]));
      const result = cell({ ...piece, ...leaves }, sofar);
      sofar = result.state;
      outputs[`y.${i}`] = result.y;
      return result.y;
    });
    for (const [name, t] of Object.entries(sofar as Tensors)) outputs[`last_${name}`] = t;
    const seeds = lengths.map((_, i) => leaves[`upstream.${i}`]);
    const pieces = lengths.flatMap((_, i) => names.map((name) => `${name}.${i}`));
    const wrt = [...pieces.map((name) => leaves[name]), ...parameters];
    const gradients = differentiate(ys, wrt, seeds);
    [...pieces, ...Object.keys(fixed)].forEach((name, i) => {
      outputs[`d${name}`] = gradients[i] as Tensor;
    });
    return { outputs };
  });
  const computed = await run();

  const results: Results = {};
  for (const name of [
    ...Object.keys(state).map((s) => `last_${s}`),
    ...Object.keys(fixed).map((p) => `d${p}`),
  ]) {
    results[name] = computed[name];
  }
  const join = (name: string, [batch, total, dim]: Shape): void => {
    const joined = new Float64Array(batch * total * dim);
    lengths.forEach((_, i) => {
      writeTimeSlice(joined, [batch, total, dim], starts[i], computed[`${name}.${i}`]);
    });
    results[name] = joined;
  };
  join('y', upstream.shape);
  for (const name of names) join(`d${name}`, inputs[name].shape);
  return results;
}

/**
 * Runs a sequence `length` tokens at a time (a divisor of T) with one Program, the state handed on through memory: as
 * a session does. Results: y, last_<state>.
 */
export async function runInPieces(
  engine: Engine,
  { inputs, fixed, state }: Sequence,
  length: number,
  cell: Cell,
): Promise<Results> {
  const io = new Region('io');
  const region = new Region('state');
  const leaves: Record<string, Tensor> = {};
  for (const [name, { shape }] of Object.entries(inputs)) {
    leaves[name] = leaf(io, name, [shape[0], length, shape[2]]);
  }
  for (const [name, { shape }] of Object.entries(fixed)) leaves[name] = leaf(io, name, shape);
  const before: Record<string, Tensor> = {};
  for (const [name, shape] of Object.entries(state)) before[name] = leaf(region, name, shape);

  const after = cell(leaves, before);
  const roots = [
    assign(leaf(io, 'y', after.y.shape), after.y),
    ...Object.keys(state).map((name) => assign(before[name], after.state[name])),
  ];
  const memory = engine.allocate(region);
  const executable = engine.bind(plan(`pieces of ${length}`, { io, roots, limits: engine.limits }), [memory]);
  for (const [name, { values }] of Object.entries(fixed)) executable.io.write(name, values);

  const [batch, total] = Object.values(inputs)[0].shape;
  const shape = [batch, total, after.y.cols];
  const y = new Float64Array(sizeOf(shape));
  for (let t = 0; t < total; t += length) {
    for (const [name, { values, shape: whole }] of Object.entries(inputs)) {
      executable.io.write(name, timeSlice(values, whole, t, t + length));
    }
    await executable.run();
    writeTimeSlice(y, shape, t, await executable.io.read('y'));
  }
  const results: Results = { y };
  for (const name of Object.keys(state)) results[`last_${name}`] = await memory.read(name);
  return results;
}
