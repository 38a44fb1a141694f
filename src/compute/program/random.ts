/**
 * Counter-based uniform numbers in [0, 1): the value depends on the three integers alone, so that a forward and
 * a backward pass, and every engine and thread count, see the same number. kernels/map.h states the same
 * arithmetic in C++.
 */
export function uniformHash(seed: number, salt: number, index: number): number {
  let h = Math.imul(seed, 0x9e3779b1) ^ Math.imul(salt, 0x85ebca77) ^ Math.imul(index, 0xc2b2ae3d);
  h ^= h >>> 16;
  h = Math.imul(h, 0x7feb352d);
  h ^= h >>> 15;
  h = Math.imul(h, 0x846ca68b);
  h ^= h >>> 16;
  return (h >>> 8) / 16777216;
}
