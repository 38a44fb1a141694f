import { checkArray } from '../checks.ts';
import type { Engine, Executable, Memory } from './engines/engine.ts';
import { plan } from './graph/plan.ts';
import { leaf, type Tensor } from './graph/tensor.ts';
import { assign } from './graph/views.ts';
import { Region, type Shape, shapeText, sizeOf } from './program/region.ts';

/** Numbers for an input of a graph. */
export interface NamedArray {
  /** Dimensions, the outermost first. */
  readonly shape: Shape;
  /** Row by row, as many as the shape says. */
  readonly values: ArrayLike<number>;
}

/** A graph with numbers for its inputs, ready to run. */
export interface Evaluation {
  /** The Program, bound: other inputs are written to its `io`, by name. To be freed by the caller. */
  readonly executable: Executable;
  /** Runs once and gives copies of the outputs by name, row by row. */
  run(): Promise<Record<string, Float32Array | Float64Array>>;
}

/**
 * Builds a graph from named inputs to named outputs and binds it to an engine: for experiments, tests and `verify`.
 * `memories` are those of further regions that the graph reads, such as a model's parameters. Training and generation
 * hold their Programs longer and do not come through here. Throws a usage error for values that are not as many as
 * their shape says.
 */
export function evaluation<I extends string>(
  engine: Engine,
  inputs: Readonly<Record<I, NamedArray>>,
  build: (inputs: Record<I, Tensor>) => { outputs: Record<string, Tensor> },
  memories: readonly Memory[] = [],
): Evaluation {
  for (const [name, { shape, values }] of Object.entries<NamedArray>(inputs))
    checkArray(`the values of "${name}"`, values, sizeOf(shape), shapeText(shape), 'any');
  const io = new Region('io');
  const leaves = {} as Record<I, Tensor>;
  for (const name of Object.keys(inputs) as I[]) leaves[name] = leaf(io, name, inputs[name].shape);
  const { outputs } = build(leaves);
  const roots = Object.entries(outputs).map(([name, value]) =>
    assign(leaf(io, `output:${name}`, value.shape), value),
  );
  const executable = engine.bind(plan('evaluation', { io, roots, limits: engine.limits }), memories);
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
