import type { Engine, Executable, Memory } from '../engine/engine.ts';
import { Region, type Shape, sizeOf } from '../program/region.ts';
import { plan } from './plan.ts';
import { leaf, type Tensor } from './tensor.ts';
import { assign } from './views.ts';

export interface NamedArray {
  readonly shape: Shape;
  readonly values: ArrayLike<number>;
}

/** The part of a Program's memory that its caller reads and writes. */
export interface Evaluation {
  readonly executable: Executable;
  /** Runs once and returns the outputs. */
  run(): Promise<Record<string, Float32Array | Float64Array>>;
}

/**
 * Builds a graph from named inputs to named outputs and binds it to an engine: for experiments, tests and `verify`.
 * `memories` are those of further regions that the graph reads, such as a model's parameters. Training and generation
 * hold their Programs longer and do not come through here.
 */
export function evaluation<I extends string>(
  engine: Engine,
  inputs: Readonly<Record<I, NamedArray>>,
  build: (inputs: Record<I, Tensor>) => { outputs: Record<string, Tensor>; backwardFrom?: number },
  memories: readonly Memory[] = [],
): Evaluation {
  const io = new Region('io');
  const leaves = {} as Record<I, Tensor>;
  for (const name of Object.keys(inputs) as I[]) leaves[name] = leaf(io, name, inputs[name].shape);
  const { outputs, backwardFrom } = build(leaves);
  const roots = Object.entries(outputs).map(([name, value]) =>
    assign(leaf(io, `output:${name}`, value.shape), value),
  );
  const executable = engine.bind(plan('evaluation', { io, roots, backwardFrom }), memories);
  for (const name of Object.keys(inputs) as I[]) executable.io.write(name, inputs[name].values);
  return {
    executable,
    async run() {
      await executable.run();
      const results: Record<string, Float32Array | Float64Array> = {};
      for (const [name, value] of Object.entries(outputs)) {
        results[name] = (await executable.io.read(`output:${name}`)).subarray(0, sizeOf(value.shape));
      }
      return results;
    },
  };
}
