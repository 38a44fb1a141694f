import { shapeText, sizeOf } from '../compute/program/region.ts';
import type { Model } from './model.ts';

/** Parameters with more numbers than this count by name and shape alone: they would take long to read. */
const MAX_FINGERPRINTED = 2 ** 20;

/**
 * A number in hexadecimal digits that tells models apart, by their parameters' names, shapes and values (FNV-1a, 32
 * bits). It is the same on every engine, and another one after a step of training.
 */
export async function modelFingerprint(model: Model): Promise<string> {
  let hash = 0x811c9dc5;
  const add = (word: number): void => {
    hash = Math.imul(hash ^ word, 0x01000193);
    hash ^= hash >>> 15; // high bits come down: FNV alone never mixes them into the low ones
  };
  for (const { name, shape, region } of model.parameters.list) {
    for (const character of `${name} ${shapeText(shape)}\n`) add(character.codePointAt(0) as number);
    if (sizeOf(shape) > MAX_FINGERPRINTED) continue;
    const memory = model.memories.find((m) => m.region === region);
    const values = Float32Array.from((await memory?.read(name)) ?? []);
    for (const word of new Uint32Array(values.buffer)) add(word);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}
