// What kernels with a norm in them share: sums over the columns of a group, its statistics, its weight, and sums over
// the rows.
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

// COUNT sums over the rows, each [width]: accumulate(rows, sums) adds those of a range of rows to sums [COUNT, width].
// scratch is [PARTITIONS, COUNT, width]. An output that is null is left out.
template <int COUNT, class F>
XL_INLINE void sumOverRows(const Context& ctx, int64_t rows, int64_t width, float* scratch,
                           float* const (&outputs)[COUNT], F accumulate) {
  const Range parts = share(ctx, PARTITIONS);
  for (int64_t p = parts.begin; p < parts.end; p++) {
    float* sums = scratch + p * COUNT * width;
    for (int64_t c = 0; c < COUNT * width; c++) sums[c] = 0.0f;
    accumulate(partition((int)p, rows), sums);
  }
  bool wanted = false;
  for (float* output : outputs) wanted = wanted || output;
  if (!wanted) return;
  ctx.sync();
  const Range columns = share(ctx, width, W);
  for (int o = 0; o < COUNT; o++) {
    if (!outputs[o]) continue;
    for (int64_t c = columns.begin; c < columns.end; c += W) {
      const int k = columns.end - c < W ? (int)(columns.end - c) : W;
      vf total = zero();
      for (int p = 0; p < PARTITIONS; p++) total += loadLanes(scratch + (p * COUNT + o) * width + c, k);
      storeLanes(outputs[o] + c, total, k);
    }
  }
}

}  // namespace xl
