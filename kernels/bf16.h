// Numbers rounded to bfloat16, two of them a word, as dot products take them: the lower half of a word is the earlier step.
// The instruction (vdpbf16ps) adds both products of a word, takes denormal numbers for 0 and rounds after each of the two, to
// the nearest.
#pragma once
#include "cpu.h"
#include "simd.h"

#if XL_WIDTH == 16 && defined(XL_COMPILES_BF16) && XL_COMPILES_BF16
#define XL_HAS_BF16_DOTS 1
// The rest of the code runs on processors without these instructions.
#define XL_BF16 __attribute__((target("avx512bf16")))

namespace xl {
namespace bf16 {

// 32 numbers along k: 16 words.
XL_BF16 static inline vf along(vf first, vf second) {
  return (vf)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
}
// 16 numbers of one step and those of the next: a word for each.
XL_BF16 static inline vf across(vf even, vf odd) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                         20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return (vf)_mm512_permutexvar_epi16(order, (__m512i)along(even, odd));
}

// The first `count` of 32 numbers along k, or all; what is behind them is 0.
XL_BF16 static inline vf loadAlong(const float* from, int64_t count) {
  if (count >= 2 * W) return along(load(from), load(from + W));
  if (count >= W) return along(load(from), loadFirst(from + W, static_cast<int>(count - W)));
  return along(loadFirst(from, static_cast<int>(count)), zero());
}
// Of one step and the next, which there may not be.
XL_BF16 static inline vf loadAcross(const float* from, int64_t ld, bool both, int columns) {
  return across(loadLanes(from, columns), both ? loadLanes(from + ld, columns) : zero());
}

// sums + both products of each word.
XL_BF16 static inline vf addProducts(vf sums, vf a, vf b) {
  return (vf)_mm512_dpbf16_ps((__m512)sums, (__m512bh)a, (__m512bh)b);
}

}  // namespace bf16
}  // namespace xl
#else
#define XL_HAS_BF16_DOTS 0
#endif
