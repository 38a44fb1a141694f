import { shapeText, sizeOf } from '../compute/program/region.ts';
import type { Network } from './layer.ts';
import type { Model } from './model.ts';
import type { Parameter } from './parameters.ts';

/** Parameters with more numbers than this would take long to read: their first ones count. */
const MAX_FINGERPRINTED = 2 ** 20;
const FIRST = 2 ** 12;

/** A number in hexadecimal digits that tells what was added from other things (FNV-1a, 32 bits). */
export class Fingerprint {
  #hash = 0x811c9dc5;

  /** Adds characters. */
  text(characters: string): this {
    for (const character of characters) this.#add(character.codePointAt(0) as number);
    return this;
  }

  /** Adds numbers as what they are in float32. */
  numbers(values: ArrayLike<number>): this {
    for (const word of new Uint32Array(Float32Array.from(values).buffer)) this.#add(word);
    return this;
  }

  toString(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  #add(word: number): void {
    const hash = Math.imul(this.#hash ^ word, 0x01000193);
    this.#hash = hash ^ (hash >>> 15); // high bits come down: FNV alone never mixes them into the low ones
  }
}

/**
 * A number in hexadecimal digits that tells models apart, by their parameters' names, shapes and values. It is the same on
 * every engine, and another one after a step of training.
 *
 * @param parameters Those that count. Default: all.
 */
export async function modelFingerprint(
  model: Model<Network>,
  parameters: readonly Parameter[] = model.parameters.list,
): Promise<string> {
  const fingerprint = new Fingerprint();
  for (const { name, shape, region } of parameters) {
    const memory = model.memories.find((m) => m.region === region);
    const count = sizeOf(shape) > MAX_FINGERPRINTED ? FIRST : undefined;
    fingerprint.text(`${name} ${shapeText(shape)}\n`);
    fingerprint.numbers((await memory?.read(name, 0, count)) ?? []);
  }
  return fingerprint.toString();
}
