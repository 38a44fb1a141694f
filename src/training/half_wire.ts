import type { Values } from '../compute/engines/engine.ts';

const QUIET = 0x40;
const INFINITY_BITS = 0x7f80_0000;

/** The nearest bfloat16 of each number, ties to the even one, as pairs of bytes [2 · count]. */
export function toBfloat16(values: Values): Uint8Array {
  const words = new Uint32Array(
    values instanceof Float32Array && values.byteOffset % 4 === 0
      ? values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength)
      : Float32Array.from(values).buffer,
  );
  const halves = new Uint16Array(words.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    halves[i] =
      (word & 0x7fff_ffff) > INFINITY_BITS
        ? (word >>> 16) | QUIET
        : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(halves.buffer);
}

/** The numbers of `toBfloat16`, into an array of as many. */
export function fromBfloat16(bytes: Uint8Array, values: Values): void {
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, values.length);
  const word = new Uint32Array(1);
  const number = new Float32Array(word.buffer);
  for (let i = 0; i < values.length; i++) {
    word[0] = halves[i] << 16;
    values[i] = number[0];
  }
}
