// Loops of the map kernel over one block, and the hash that numbers its uniform values.
#pragma once
#include "math.h"

namespace xl {

// uniformHash of src/compute/program/random.ts; index belongs to lane 0, the next lanes follow it.
XL_INLINE vf uniform(vu seed, uint32_t salt, uint32_t index) {
  vu h = (seed * 0x9e3779b1u) ^ (((vu)laneNumbers() + index) * 0xc2b2ae3du) ^ (salt * 0x85ebca77u);
  h ^= h >> 16;
  h *= 0x7feb352du;
  h ^= h >> 15;
  h *= 0x846ca68bu;
  h ^= h >> 16;
  return __builtin_convertvector((vi)(h >> 8), vf) * (1.0f / 16777216.0f);
}

// y[i] = f(a[i], …); y may be one of the operands.
template <class F> XL_INLINE void mapUnary(float* y, const float* a, int64_t n, F f) {
  int64_t i = 0;
  for (; i + W <= n; i += W) store(y + i, f(load(a + i)));
  const int rest = (int)(n - i);
  if (rest) storeFirst(y + i, f(loadFirst(a + i, rest)), rest);
}
template <class F> XL_INLINE void mapBinary(float* y, const float* a, const float* b, int64_t n, F f) {
  int64_t i = 0;
  for (; i + W <= n; i += W) store(y + i, f(load(a + i), load(b + i)));
  const int rest = (int)(n - i);
  if (rest) storeFirst(y + i, f(loadFirst(a + i, rest), loadFirst(b + i, rest)), rest);
}
template <class F>
XL_INLINE void mapTernary(float* y, const float* a, const float* b, const float* c, int64_t n, F f) {
  int64_t i = 0;
  for (; i + W <= n; i += W) store(y + i, f(load(a + i), load(b + i), load(c + i)));
  const int rest = (int)(n - i);
  if (rest) storeFirst(y + i, f(loadFirst(a + i, rest), loadFirst(b + i, rest), loadFirst(c + i, rest)), rest);
}

inline void fillBlock(float* y, float value, int64_t n) {
  int64_t i = 0;
  for (; i + W <= n; i += W) store(y + i, splat(value));
  if (i < n) storeFirst(y + i, splat(value), (int)(n - i));
}
inline void copyBlock(float* y, const float* x, int64_t n) {
  mapUnary(y, x, n, [](vf v) { return v; });
}

}  // namespace xl
