// What kernels with a norm in them share: sums over the columns of a group, its statistics and its weight.
#pragma once
#include "context.h"
#include "simd.h"

namespace xl {

XL_INLINE void addLanes(float* p, vf x, int lanes) { storeLanes(p, loadLanes(p, lanes) + x, lanes); }

// Σ f(c), four vectors at a time; f(column, lanes) is 0 in the lanes past `lanes`.
template <class F> XL_INLINE float sumColumns(int64_t n, F f) {
  vf s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
  int64_t c = 0;
  for (; c + 4 * W <= n; c += 4 * W) {
    s0 += f(c, W);
    s1 += f(c + W, W);
    s2 += f(c + 2 * W, W);
    s3 += f(c + 3 * W, W);
  }
  for (; c + W <= n; c += W) s0 += f(c, W);
  if (c < n) s1 += f(c, (int)(n - c));
  return sum((s0 + s1) + (s2 + s3));
}
// x̂ = (x − mean) · inverse; RMSNorm has mean 0.
struct NormStats {
  float mean, inverse;
};
XL_INLINE NormStats normStats(const float* x, int64_t n, bool rms, float eps) {
  // The squares are summed about the mean, not as E[x²] − μ², which cancels.
  const float mean = rms ? 0.0f : sumColumns(n, [&](int64_t c, int k) { return loadLanes(x + c, k); }) / (float)n;
  const vf mu = splat(mean);
  const float squares = sumColumns(n, [&](int64_t c, int k) {
    const vf d = keepFirst(loadLanes(x + c, k) - mu, k);
    return d * d;
  });
  return {mean, 1.0f / sqrt(splat(squares / (float)n + eps))[0]};
}

// What x̂ is multiplied by; 1 without a weight.
struct NormFactor {
  const float* weight;
  vf offset;

  XL_INLINE vf operator()(int64_t c, int k) const {
    return weight ? offset + loadLanes(weight + c, k) : splat(1.0f);
  }
};

}  // namespace xl
