import { XlstmError } from '../../errors.ts';
import type { NamedValues } from '../../nn/parameters.ts';
import { swappedAxes } from '../../nn/swapped_axes.ts';
import { quote } from '../../quote.ts';
import type { Tirex2Config } from './config.ts';

type Tensors = ReadonlyMap<string, NamedValues>;

const KERNEL = '._recurrent_kernel_';
const BIAS = '._bias_';
const GATES = 4;

/**
 * The parameters in a file. A cell's tensors may stand there under the name of the cell that reads backwards, which is the same
 * cell, and its recurrent kernel under either of two; where one stands under several, they must be equal. Files hold the kernel
 * [heads, in, gates, out], and the bias [heads, gates, out].
 */
export function parametersOf(tensors: Tensors, _config: unknown, source: string): Tensors {
  const found = new Map<string, NamedValues>();
  const names = new Map<string, string>();
  for (const [given, tensor] of tensors) {
    const name = given.replace('.rev_cell.', '.fwd_cell.').replace(/\.recurrent_kernel$/, KERNEL);
    const earlier = found.get(name);
    if (earlier && !isEqual(earlier, tensor)) {
      throw new XlstmError(
        'checkpoint',
        `${source}: expected the same values under ${quote(names.get(name))} and ${quote(given)}, which are one tensor`,
        'The file is damaged, or was written by a program that trained them apart.',
      );
    }
    found.set(name, tensor);
    names.set(name, given);
  }
  return new Map([...found].map(([name, tensor]) => [name, fromFile(name, tensor)]));
}

/** What a file holds of the parameters, under the names that the official package writes. */
export const tensorsOf = (parameters: Tensors, { numSlstmHeads: heads }: Tirex2Config): Tensors =>
  new Map([...parameters].map(([name, tensor]) => [name, toFile(name, tensor, heads)]));

function isEqual(a: NamedValues, b: NamedValues): boolean {
  if (a.shape.join() !== b.shape.join()) return false;
  const { values: x } = a;
  const { values: y } = b;
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return false;
  return true;
}

/** Of other shapes they stay as they are, for the model to refuse. */
function fromFile(name: string, tensor: NamedValues): NamedValues {
  const { shape, values } = tensor;
  if (name.endsWith(KERNEL) && shape.length === 4 && shape[1] === shape[3]) {
    const [heads, dim, gates] = shape;
    return { shape: [heads, gates * dim, dim], values: swappedAxes(values, heads, dim, gates * dim) };
  }
  if (name.endsWith(BIAS) && shape.length === 3) {
    const [heads, gates, dim] = shape;
    return { shape: [gates * heads * dim], values: swappedAxes(values, 1, heads, gates, dim) };
  }
  return tensor;
}

function toFile(name: string, tensor: NamedValues, numHeads: number): NamedValues {
  const { shape, values } = tensor;
  if (name.endsWith(KERNEL)) {
    const [heads, rows, dim] = shape;
    return { shape: [heads, dim, GATES, rows / GATES], values: swappedAxes(values, heads, rows, dim) };
  }
  if (name.endsWith(BIAS)) {
    const dim = shape[0] / (GATES * numHeads);
    return { shape: [numHeads, GATES, dim], values: swappedAxes(values, 1, GATES, numHeads, dim) };
  }
  return tensor;
}
