import { shapeText, sizeOf } from '../compute/program/region.ts';
import type { Network } from './layer.ts';
import type { Model } from './model.ts';
import type { Parameter } from './parameters.ts';

/** Parameters with more numbers than this would take long to read: their first ones count. */
const MAX_FINGERPRINTED = 2 ** 20;
const FIRST = 2 ** 12;

/**
 * A number in hexadecimal digits that tells models apart, by their parameters' names, shapes and values (FNV-1a, 32
 * bits). It is the same on every engine, and another one after a step of training.
 *
 * @param parameters Those that count. Default: all.
 */
export async function modelFingerprint(
  model: Model<Network>,
  parameters: readonly Parameter[] = model.parameters.list,
): Promise<string> {
  let hash = 0x811c9dc5;
  const add = (word: number): void => {
    hash = Math.imul(hash ^ word, 0x01000193);
    hash ^= hash >>> 15; // high bits come down: FNV alone never mixes them into the low ones
  };
  for (const { name, shape, region } of parameters) {
    for (const character of `${name} ${shapeText(shape)}\n`) add(character.codePointAt(0) as number);
    const memory = model.memories.find((m) => m.region === region);
    const count = sizeOf(shape) > MAX_FINGERPRINTED ? FIRST : undefined;
    const values = Float32Array.from((await memory?.read(name, 0, count)) ?? []);
    for (const word of new Uint32Array(values.buffer)) add(word);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}
