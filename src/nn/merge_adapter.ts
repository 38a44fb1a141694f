import { unpackRow } from '../compute/program/packing.ts';
import { XlstmError } from '../errors.ts';
import type { Adapter } from './adapter.ts';
import { Design } from './architecture.ts';
import type { Network } from './layer.ts';
import { Model } from './model.ts';
import type { NamedValues, Parameter, Parameters } from './parameters.ts';

/**
 * A model without adapters that computes the same as one with: W + alpha / rank · B A in the place of each W, all parameters
 * as float32. Throws a usage error for a model that has no adapters.
 */
export async function mergeAdapter<N extends Network>(model: Model<N>): Promise<Model<N>> {
  if (model.design?.adapter) return plainModel(model);
  throw new XlstmError('usage', 'mergeAdapter: expected a model with adapters, found one without');
}

/** A model whose parameters are all float32, without adapters, that computes the same as one of a design. */
export async function plainModel<N extends Network>(model: Model<N>): Promise<Model<N>> {
  const { design, parameters, engine } = model;
  if (!design)
    throw new XlstmError('usage', 'plainModel: expected a model of a design, found one of a function');
  const values = await model.read();
  const plain = new Map<string, NamedValues>();
  for (const parameter of parameters.own) plain.set(parameter.name, unpacked(parameter, values));
  if (design.adapter) addAdapters(plain, values, parameters, design.adapter);
  return Model.load(engine, new Design<N>(design.architecture, design.config), plain, 'the model');
}

function addAdapters(
  to: Map<string, NamedValues>,
  values: ReadonlyMap<string, NamedValues>,
  parameters: Parameters,
  { rank, alpha }: Adapter,
): void {
  for (const { matrix, down, up } of parameters.adapted) {
    const { shape, values: base } = to.get(matrix) as NamedValues;
    const [a, b] = [down, up].map((name) => (values.get(name) as NamedValues).values);
    const [rows, cols] = shape;
    const sums = Float64Array.from(base);
    for (let row = 0; row < rows; row++) {
      for (let r = 0; r < rank; r++) {
        const factor = (alpha / rank) * b[row * rank + r];
        for (let col = 0; col < cols; col++) sums[row * cols + col] += factor * a[r * cols + col];
      }
    }
    to.set(matrix, { shape, values: sums });
  }
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
