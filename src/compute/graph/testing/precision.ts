import type { Engine } from '../../engines/engine.ts';
import type { NamedArray } from '../../evaluation.ts';
import type { Program } from '../../program/program.ts';
import { Region, sizeOf } from '../../program/region.ts';
import { differentiate } from '../differentiate.ts';
import type { Named } from '../op.ts';
import { type Precision, plan } from '../plan.ts';
import { leaf, type Tensor } from '../tensor.ts';
import { assign, constant } from '../views.ts';

export type Inputs = Readonly<Record<string, NamedArray>>;
export type Results = Record<string, number[]>;

/** The results of a graph, and the gradients of its inputs for these seeds of the results. */
export function traced(inputs: Inputs, build: (leaves: Named) => Tensor, seed?: readonly number[]) {
  const io = new Region('io');
  const leaves = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape }]) => [name, leaf(io, name, shape)]),
  );
  const y = build(leaves);
  const names = Object.keys(inputs);
  const wrt = names.map((name) => leaves[name]);
  const gradients = seed ? differentiate([y], wrt, [constant([...seed], y.shape)]) : [];
  const outputs = { y, ...Object.fromEntries(names.map((name, i) => [`d${name}`, gradients[i]])) };
  const roots = Object.entries(outputs).flatMap(([name, t]) =>
    t ? [assign(leaf(io, `out:${name}`, t.shape), t)] : [],
  );
  return { io, roots };
}

async function run(engine: Engine, program: Program, inputs: Inputs): Promise<Results> {
  const executable = engine.bind(program, []);
  for (const [name, { values }] of Object.entries(inputs)) executable.io.write(name, values);
  await executable.run();
  const results: Results = {};
  for (const { name, shape } of program.io.entries)
    if (name.startsWith('out:'))
      results[name.slice(4)] = [...(await executable.io.read(name)).subarray(0, sizeOf(shape))];
  executable.free();
  return results;
}

/** Those of a Program of this precision, which may be planned for another engine's limits. */
export function compute(
  engine: Engine,
  precision: Precision,
  inputs: Inputs,
  build: (leaves: Named) => Tensor,
  seed?: readonly number[],
  limits = engine.limits,
): Promise<Results> {
  const graph = traced(inputs, build, seed);
  return run(engine, plan('product', { ...graph, limits, precision }), inputs);
}
