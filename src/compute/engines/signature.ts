import { cellNames, kernelConstants, packedFormats } from '../program/constants.ts';
import { kernelNames, kernels } from '../program/kernels.ts';
import { scalarFunctionNames } from '../program/scalar_functions.ts';

/**
 * A number for the kernel table's layout and constants. Compiled kernels carry the one that they were built from, so that an
 * engine never runs words of another layout.
 */
export function kernelTableSignature(): number {
  const rows = kernelNames.map((name) => [name, Object.entries(kernels[name].operands), kernels[name].tail]);
  const text = JSON.stringify([rows, scalarFunctionNames, kernelConstants, cellNames, packedFormats]);
  let hash = 0x811c9dc5; // FNV-1a, 32 bits
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
