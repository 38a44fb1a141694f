import { bytesOf } from '../../program/dtypes.ts';
import type { Address } from '../../program/program.ts';
import { type Region, sizeOf } from '../../program/region.ts';

/** An entry of a region as the word of an instruction. */
export function addressOf(region: Region, name: string): Address {
  const { offset, shape, dtype } = region.get(name);
  return { region, offset, bytes: bytesOf(dtype, sizeOf(shape)), label: name };
}
