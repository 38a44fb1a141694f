import { unpackRow } from '../compute/program/packing.ts';
import { XlstmError } from '../errors.ts';
import { Design } from './architecture.ts';
import type { Network } from './layer.ts';
import { Model } from './model.ts';
import type { NamedValues, Parameter } from './parameters.ts';

/**
 * A model without adapters that computes the same as one with: W + alpha / rank · B A in the place of each W, all parameters
 * as float32. Throws a usage error for a model that has no adapters.
 */
export async function mergeAdapter<N extends Network>(model: Model<N>): Promise<Model<N>> {
  const { design, parameters, engine } = model;
  if (!design?.adapter) {
    throw new XlstmError('usage', 'mergeAdapter: expected a model with adapters, found one without');
  }
  const { rank, alpha } = design.adapter;
  const values = await model.read();
  const merged = new Map<string, NamedValues>();
  for (const parameter of parameters.own) merged.set(parameter.name, unpacked(parameter, values));
  for (const { matrix, down, up } of parameters.adapted) {
    const { shape, values: base } = merged.get(matrix) as NamedValues;
    const [a, b] = [down, up].map((name) => (values.get(name) as NamedValues).values);
    const [rows, cols] = shape;
    const sums = Float64Array.from(base);
    for (let row = 0; row < rows; row++) {
      for (let r = 0; r < rank; r++) {
        const factor = (alpha / rank) * b[row * rank + r];
        for (let col = 0; col < cols; col++) sums[row * cols + col] += factor * a[r * cols + col];
      }
    }
    merged.set(matrix, { shape, values: sums });
  }
  const plain = new Design<N>(design.architecture, design.config);
  return Model.load(engine, plain, merged, design.adapter.source);
}

/** The numbers of a parameter, one for each element of its shape. */
function unpacked({ name, shape, format }: Parameter, all: ReadonlyMap<string, NamedValues>): NamedValues {
  const found = all.get(name) as NamedValues;
  if (format === undefined) return { shape, values: found.values };
  const [rows, cols] = shape;
  const words = found.integers?.() ?? new Int32Array();
  const values = new Float64Array(rows * cols);
  for (let row = 0; row < rows; row++) {
    values.set(unpackRow(format, words, cols, row * found.shape[1]), row * cols);
  }
  return { shape, values };
}
