import type { NamedValues } from '../../nn/parameters.ts';
import { swappedAxes } from '../../nn/swapped_axes.ts';

const KERNEL = 'slstm_cell._recurrent_kernel_';
const BIAS = 'slstm_cell._bias_';
const GATES = 4;

/**
 * The official package stores an sLSTM cell as the backend that trained it computes, "vanilla" (ours) or "cuda":
 *   _recurrent_kernel_   vanilla [heads, gates · headDim, headDim of the input], cuda [heads, headDim of the input, gates · headDim]
 *   _bias_               vanilla [gates, heads, headDim], cuda [heads, gates, headDim], flat both
 * No file says which. The kernel's shape does, for any size: gates · headDim is another number than headDim. The bias
 * has the layout of its kernel. A kernel of neither shape stays as it is, for the model to refuse.
 */
export function toVanillaLayout(tensors: ReadonlyMap<string, NamedValues>): ReadonlyMap<string, NamedValues> {
  const converted = new Map(tensors);
  for (const [name, { shape, values }] of cudaKernels(tensors)) {
    const [heads, headDim, rows] = shape;
    converted.set(name, { shape: [heads, rows, headDim], values: swappedAxes(values, heads, headDim, rows) });
    const biasName = name.replace(KERNEL, BIAS);
    const bias = tensors.get(biasName);
    if (bias?.shape.length !== 1 || bias.shape[0] !== heads * rows) continue;
    converted.set(biasName, {
      shape: bias.shape,
      values: swappedAxes(bias.values, 1, heads, GATES, headDim),
    });
  }
  return converted;
}

/** The other way, for programs that read the cuda layout alone. */
export function toCudaLayout(tensors: ReadonlyMap<string, NamedValues>): ReadonlyMap<string, NamedValues> {
  const converted = new Map(tensors);
  for (const [name, { shape, values }] of tensors) {
    if (!name.endsWith(KERNEL) || shape.length !== 3 || shape[1] !== GATES * shape[2]) continue;
    const [heads, rows, headDim] = shape;
    converted.set(name, { shape: [heads, headDim, rows], values: swappedAxes(values, heads, rows, headDim) });
    const biasName = name.replace(KERNEL, BIAS);
    const bias = tensors.get(biasName);
    if (bias?.shape.length !== 1 || bias.shape[0] !== heads * rows) continue;
    converted.set(biasName, {
      shape: bias.shape,
      values: swappedAxes(bias.values, 1, GATES, heads, headDim),
    });
  }
  return converted;
}

const cudaKernels = (tensors: ReadonlyMap<string, NamedValues>): [string, NamedValues][] =>
  [...tensors].filter(
    ([name, { shape }]) => name.endsWith(KERNEL) && shape.length === 3 && shape[2] === GATES * shape[1],
  );
